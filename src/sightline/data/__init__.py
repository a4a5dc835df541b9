"""Readers of the real formats: photos, folders of them, CUB, CIFAR; and what opens an input of any kind.

This package knows nothing of models, explanations or metrics; it imports only our errors.
"""
