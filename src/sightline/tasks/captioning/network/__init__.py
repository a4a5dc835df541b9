"""Attention over regions, the captioner made of it, and how it writes a sentence."""
