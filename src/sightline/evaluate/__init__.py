"""Comparing methods on a model and photos: methods x places x metrics, with nulls, intervals and an answer."""

from sightline.evaluate.certified import Certified, certified_samples, cue_of, is_world, read_world
from sightline.evaluate.measure import PLACES, WITH_LOCATION, WITHOUT_LOCATION, Row, Settings, measure, with_nulls
from sightline.evaluate.ranking import Answer, Standing, rank
from sightline.evaluate.redrawn import REDRAWN, Redrawn, redrawn_forwards
from sightline.evaluate.run import compare, within_budget
from sightline.evaluate.samples import Batch, Sample, draw, prepare, read_samples
from sightline.evaluate.store import Table

__all__ = [
    "PLACES",
    "REDRAWN",
    "WITHOUT_LOCATION",
    "WITH_LOCATION",
    "Answer",
    "Batch",
    "Certified",
    "Redrawn",
    "Row",
    "Sample",
    "Settings",
    "Standing",
    "Table",
    "certified_samples",
    "compare",
    "cue_of",
    "draw",
    "is_world",
    "measure",
    "prepare",
    "rank",
    "read_samples",
    "read_world",
    "redrawn_forwards",
    "with_nulls",
    "within_budget",
]
