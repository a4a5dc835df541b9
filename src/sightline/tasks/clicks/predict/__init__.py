"""Predictions for the rows of a log."""
