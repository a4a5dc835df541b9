"""What each word of a caption was based on."""
