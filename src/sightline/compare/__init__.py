"""Comparing methods on a model and photos: methods x places x metrics, with controls, intervals and an answer."""

from sightline.compare.measure import PLACES, WITH_LOCATION, WITHOUT_LOCATION, Row, Settings, measure, with_controls
from sightline.compare.ranking import Answer, Standing, rank
from sightline.compare.run import compare, within_budget
from sightline.compare.samples import Batch, Sample, draw, prepare, read_samples
from sightline.compare.store import Table

__all__ = [
    "PLACES",
    "WITHOUT_LOCATION",
    "WITH_LOCATION",
    "Answer",
    "Batch",
    "Row",
    "Sample",
    "Settings",
    "Standing",
    "Table",
    "compare",
    "draw",
    "measure",
    "prepare",
    "rank",
    "read_samples",
    "with_controls",
    "within_budget",
]
