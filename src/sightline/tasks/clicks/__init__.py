"""Clicks as choices: one interaction layer that contains the classical click models, and explains each click."""
