"""Logs of clicks: what their columns are, how they are read in pieces, and how they become numbers."""
