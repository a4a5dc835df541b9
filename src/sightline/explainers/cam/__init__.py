"""The CAM family: a weight per channel, from gradients, forwards or principal components."""
