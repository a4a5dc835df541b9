"""What an attribute network says about a decision, as phrases that are grounded in the image."""
