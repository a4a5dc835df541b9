"""Where gates belong: a supernet in which any scheme can be tried, and searchers that seek the best one."""

from sightline.tasks.gate_search.accuracy import Accuracy, Score, recalibrate
from sightline.tasks.gate_search.executors import processes, ray_workers
from sightline.tasks.gate_search.log import Trial
from sightline.tasks.gate_search.metrics import Effect, main_effects
from sightline.tasks.gate_search.network import draw, mask, supernet
from sightline.tasks.gate_search.result import Found
from sightline.tasks.gate_search.search import search
from sightline.tasks.gate_search.searchers import reinforce as _reinforce  # noqa: F401 - it registers itself
from sightline.tasks.gate_search.searchers.base import SEARCHERS

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
