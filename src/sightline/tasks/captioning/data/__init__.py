"""Captions and regions as people publish them, and generated scenes, as batches."""
