"""A scene as a picture."""

from __future__ import annotations

import math

from PIL import Image, ImageDraw

from sightline.tasks.captioning.world.scenes import COLOURS, SHAPES, Scenes

SIDE = 480
"""Pixels of the picture's sides."""
PAINT = dict(zip(COLOURS, ("#d1495b", "#2f6fb0", "#3a8f5c", "#e0a81c", "#b4b4b0"), strict=True))
PAPER = "#f7f5f0"


def scene_picture(scenes: Scenes, scene: int, side: int = SIDE) -> Image.Image:
    """Draw one scene; coloured shapes lie over grey ones.

    Args:
        scenes: the set.
        scene: its number.
        side: pixels of the picture's sides.
    """
    picture = Image.new("RGB", (side * 2, side * 2), PAPER)
    draw = ImageDraw.Draw(picture)
    grey = scenes.colours[scene] == len(COLOURS) - 1
    for i in sorted(range(len(grey)), key=lambda i: not bool(grey[i])):
        left, top, right, bottom = (float(v) * side * 2 for v in scenes.boxes[scene, i])
        paint = PAINT[COLOURS[int(scenes.colours[scene, i])]]
        _shape(draw, SHAPES[int(scenes.shapes[scene, i])], (left, top, right, bottom), paint)
    return picture.resize((side, side), Image.Resampling.LANCZOS)


def _shape(draw: ImageDraw.ImageDraw, kind: str, box: tuple[float, float, float, float], paint: str) -> None:
    left, top, right, bottom = box
    if kind == "circle":
        draw.ellipse(box, fill=paint)
    elif kind == "square":
        draw.rectangle(box, fill=paint)
    else:
        points = _TRIANGLE if kind == "triangle" else _STAR
        draw.polygon([(left + x * (right - left), top + y * (bottom - top)) for x, y in points], fill=paint)


_TRIANGLE = ((0.5, 0.0), (1.0, 1.0), (0.0, 1.0))
_STAR = tuple(
    (
        0.5 + (0.5 if i % 2 == 0 else 0.21) * math.sin(i * math.pi / 5),
        0.5 - (0.5 if i % 2 == 0 else 0.21) * math.cos(i * math.pi / 5),
    )
    for i in range(10)
)
