"""Models that can be looked into: their stages, layouts, weights, labels and preprocessing."""

from sightline.backbones.adapter import Adapter, Wanted, adapt
from sightline.backbones.layout import Layout, find_layout
from sightline.backbones.stages import Stage, StageSpec, stage_name

__all__ = ["Adapter", "Layout", "Stage", "StageSpec", "Wanted", "adapt", "find_layout", "stage_name"]
