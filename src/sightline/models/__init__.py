"""Models that can be looked into: their stages, layouts, weights, labels and preprocessing."""

from sightline.models.adapter.adapter import Adapter, Wanted, adapt
from sightline.models.adapter.layers import Stage, StageSpec, stage_name
from sightline.models.adapter.layout import Layout, find_layout

__all__ = ["Adapter", "Layout", "Stage", "StageSpec", "Wanted", "adapt", "find_layout", "stage_name"]
