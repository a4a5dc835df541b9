"""Layouts as a recording would give them, for tests that hold a tensor and no model."""

from __future__ import annotations

from sightline.models import Layout
from sightline.models.adapter.axes import BATCH, feature, source
from sightline.models.adapter.layout import layout_of


def grid_layout(channels: int, height: int, width: int) -> Layout:
    """The layout of `[b, c, h, w]`."""
    axes = [source(BATCH, 2), feature(channels), source("2", height), source("3", width)]
    layout = layout_of(axes, ("2", "3"), ("y", "x"), 2)
    assert layout is not None
    return layout
