"""From the evidence about attributes to sentences, each phrase grounded in the image."""
