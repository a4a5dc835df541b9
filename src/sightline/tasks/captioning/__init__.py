"""Captions that show their regions: normalised and geometry-aware self-attention."""
