"""Where gates belong: a supernet in which any scheme can be tried, and searchers that seek the best one."""

from sightline.gates.search import reinforce as _reinforce  # noqa: F401 - it registers itself
from sightline.gates.search.accuracy import Accuracy, Score, recalibrate
from sightline.gates.search.effects import Effect, main_effects
from sightline.gates.search.found import Found
from sightline.gates.search.ledger import Trial
from sightline.gates.search.run import search
from sightline.gates.search.searchers import SEARCHERS
from sightline.gates.search.spread import processes, ray_workers
from sightline.gates.search.supernet import draw, mask, supernet

__all__ = [
    "SEARCHERS",
    "Accuracy",
    "Effect",
    "Found",
    "Score",
    "Trial",
    "draw",
    "main_effects",
    "mask",
    "processes",
    "ray_workers",
    "recalibrate",
    "search",
    "supernet",
]
