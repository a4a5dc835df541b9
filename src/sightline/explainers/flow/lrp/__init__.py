"""The LRP flow: changed gradients by which the score is shared out, layer by layer."""
