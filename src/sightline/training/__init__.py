"""Loops for what is trained here. Nothing heavy is imported until a loop is asked for."""
