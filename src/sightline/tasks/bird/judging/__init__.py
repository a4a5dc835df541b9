"""Judging explainers on scenes whose decision is certified: extra rows of a comparison, from worlds drawn again."""

from sightline.tasks.bird.judging.certified import Certified, certified_samples, cue_of
from sightline.tasks.bird.judging.redrawn import REDRAWN, Redrawn, redrawn_forwards

__all__ = ["REDRAWN", "Certified", "Redrawn", "certified_samples", "cue_of", "redrawn_forwards"]
