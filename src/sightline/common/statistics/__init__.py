"""Intervals and tests, each a pure function."""
