"""The fifteen part locations of CUB-200-2011, read off a rendering.

Left and right are the bird's own: one that looks to the right shows its right side.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sightline.worlds.aviary.attributes import PARTS, part_id
from sightline.worlds.aviary.bird import bird_frame
from sightline.worlds.aviary.outlines import NECK
from sightline.worlds.aviary.render import FACTOR, Rendering

CUB_PARTS = (
    "back", "beak", "belly", "breast", "crown", "forehead", "left eye", "left leg", "left wing", "nape", "right eye",
    "right leg", "right wing", "tail", "throat",
)  # fmt: skip
_OURS = {
    "back": "back",
    "beak": "bill",
    "belly": "belly",
    "breast": "breast",
    "crown": "crown",
    "tail": "tail",
    "throat": "throat",
}
_ON_HEAD = {"forehead": (0.60, -0.68), "nape": (0.23, -0.52)}
_NEAR_LEG, _FAR_LEG = (0.165, 0.60), (-0.015, 0.60)


class Keypoint(NamedTuple):
    """A part location in pixels; 0, 0 when it cannot be seen."""

    name: str
    x: float
    y: float
    visible: bool


def keypoints(drawing: Rendering) -> tuple[Keypoint, ...]:
    """All fifteen, in the order of `CUB_PARTS`."""
    near = "left" if drawing.scene.pose.left else "right"
    return tuple(_keypoint(drawing, name, near) for name in CUB_PARTS)


def _keypoint(drawing: Rendering, name: str, near: str) -> Keypoint:
    """One location: from the part's mask, or from the bird's geometry."""
    side, _, part = name.partition(" ")
    if name in _OURS:
        point = drawing.locations[PARTS.index(_OURS[name])]
    elif name in _ON_HEAD:
        point = _anchor(drawing, _ON_HEAD[name], "crown", on_head=True)
    elif part == "leg":
        point = _anchor(drawing, _NEAR_LEG if side == near else _FAR_LEG, "leg", on_head=False)
    else:
        point = drawing.locations[PARTS.index(part)] if side == near else None
    return Keypoint(name, 0.0, 0.0, visible=False) if point is None else Keypoint(name, *point, visible=True)


def _anchor(drawing: Rendering, at: tuple[float, float], part: str, *, on_head: bool) -> tuple[float, float] | None:
    """A point in bird coordinates, if the part is what one sees there."""
    extent = drawing.fine_parts.shape[0]
    frame = bird_frame(drawing.scene, extent)
    if on_head:
        frame = frame.turned(NECK, drawing.scene.pose.head)
    column, row = (int(v) for v in np.floor(frame.place(np.array([at], np.float32))[0]))
    inside = 0 <= row < extent and 0 <= column < extent
    if not inside or drawing.fine_parts[row, column] != part_id(part):
        return None
    return (column + 0.5) / FACTOR, (row + 0.5) / FACTOR
