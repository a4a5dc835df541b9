"""Attention of transformers, read off the recorded computation: rollout, gradient-weighted attention, LeGrad."""

# In the order of the method matrix: importing a file registers its methods.
from sightline.explainers.attention import rollout as rollout  # isort: skip
from sightline.explainers.attention import legrad as legrad  # isort: skip
