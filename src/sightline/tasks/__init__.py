"""What is trained here, one folder each; siblings that do not know one another and are found through the registry."""
