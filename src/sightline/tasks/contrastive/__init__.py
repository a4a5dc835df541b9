"""An image encoder trained with InfoNCE on the aviary."""
