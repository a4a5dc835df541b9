"""The engine: listens to a model's layers, runs it once forward and once backward, and leaves it as it was found."""

from sightline.capture.engine import Capture, Plan, Reduction, capture
from sightline.capture.pair import Pair
from sightline.capture.sums import ChannelSum
from sightline.common.chunks import in_chunks, out_of_memory

__all__ = [
    "Capture",
    "ChannelSum",
    "Pair",
    "Plan",
    "Reduction",
    "capture",
    "in_chunks",
    "out_of_memory",
]
