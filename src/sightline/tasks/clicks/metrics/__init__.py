"""Figures of predicted clicks."""
