"""Decisions that can be explained: each target reads scalars off a model's output."""

from sightline.targets.base import Readout, Target
from sightline.targets.classes import ClassPerSample, ClassScore, Contrast, TopClasses
from sightline.targets.custom import Custom
from sightline.targets.names import class_index
from sightline.targets.parse import TargetLike, parse_target
from sightline.targets.select import Selector, select_output

__all__ = [
    "ClassPerSample",
    "ClassScore",
    "Contrast",
    "Custom",
    "Readout",
    "Selector",
    "Target",
    "TargetLike",
    "TopClasses",
    "class_index",
    "parse_target",
    "select_output",
]
