"""What the network of events learns from: drawn scenes, and the layouts of published sets of clips."""
