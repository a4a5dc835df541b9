"""What is known of one model without running it: layers, layouts, classes, and the plain module inside a wrapper."""
