"""Worlds with a known answer, and readers of the real formats.

This room knows nothing of models, explanations or metrics; it imports only the house's errors.
"""
