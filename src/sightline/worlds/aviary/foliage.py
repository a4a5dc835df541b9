"""What stands before and under the bird: the branch it sits on, leaves and twigs that hide it.

Foliage is never bird: it is painted with part id 0.
"""

from __future__ import annotations

from math import cos, radians, sin

import numpy as np

from sightline.worlds.aviary.bird import bird_frame
from sightline.worlds.aviary.canvas import Bytes, Canvas, Floats, ellipse
from sightline.worlds.aviary.outlines import FEET_Y
from sightline.worlds.aviary.scene import Cover, Scene

_BARK = (np.array([66, 50, 40], np.float32), np.array([146, 120, 92], np.float32))
_LEAF = (np.array([46, 92, 44], np.float32), np.array([148, 178, 70], np.float32))


def draw_perch(canvas: Canvas, scene: Scene) -> None:
    """The branch under the feet, across the whole picture, with a few leaves."""
    frame, perch = bird_frame(scene, canvas.extent), scene.perch
    foot = frame.place(np.array([[0.1, FEET_Y]], np.float32))[0]
    slope, half = radians(perch.slope), perch.thickness * frame.unit / 2
    direction = np.array([cos(slope), sin(slope)], np.float32)
    normal = np.array([-direction[1], direction[0]], np.float32)
    middle = foot + normal * half
    reach = np.linspace(-1.5, 1.5, 25, dtype=np.float32)[:, None] * canvas.extent
    rng = np.random.default_rng([perch.seed, 41])
    knots = half * (1 + 0.10 * rng.standard_normal((2, 25, 1)).astype(np.float32))
    line = middle + reach * direction
    _branch(canvas, line - normal * knots[0], line + normal * knots[1], perch.tone)
    for at in rng.uniform(-0.9, 0.9, int(rng.integers(2, 6))):
        base = middle + np.float32(at * canvas.extent) * direction
        cover = Cover(
            "leaf",
            float(base[0]) / canvas.extent,
            float(base[1]) / canvas.extent,
            scene.pose.length * float(rng.uniform(0.25, 0.5)),
            perch.slope + float(rng.choice([-1, 1]) * rng.uniform(25, 80)),
            float(rng.uniform()),
        )
        draw_cover(canvas, cover)


def _branch(canvas: Canvas, upper: Floats, lower: Floats, tone: float) -> None:
    """A band in three tones: lit from above."""
    bark = _mix(_BARK, tone)
    for share, shade in ((1.0, 0.72), (0.72, 1.0), (0.30, 1.22)):
        bottom = upper + (lower - upper) * np.float32(share)
        corners = np.concatenate([upper, bottom[::-1]]).astype(np.float32)
        canvas.paint(canvas.region(corners), _byte(bark * np.float32(shade)), 0)


def draw_cover(canvas: Canvas, cover: Cover) -> None:
    """A leaf with its midrib, or a bare twig."""
    c, s = cos(radians(cover.angle)), sin(radians(cover.angle))
    turn = np.array([[c, s], [-s, c]], np.float32) * np.float32(cover.length * canvas.extent)
    base = np.array([cover.x, cover.y], np.float32) * np.float32(canvas.extent)
    if cover.kind == "twig":
        shape = np.array([[0, -0.03], [3.0, -0.015], [3.0, 0.015], [0, 0.03]], np.float32)
        canvas.paint(canvas.region(shape @ turn + base), _byte(_mix(_BARK, cover.tone)), 0)
        return
    blade = ellipse(0.5, 0.0, 0.5, 0.22).copy()
    blade[:, 1] *= 1.15 - blade[:, 0]
    leaf = _mix(_LEAF, cover.tone)
    half = blade.copy()
    half[:, 1] = np.maximum(half[:, 1], 0)
    rib = np.array([[-0.15, -0.012], [0.95, -0.006], [0.95, 0.006], [-0.15, 0.012]], np.float32)
    for shape, shade in ((blade, 1.0), (half, 0.84), (rib, 1.28)):
        canvas.paint(canvas.region(shape @ turn + base), _byte(leaf * np.float32(shade)), 0)


def _mix(ends: tuple[Floats, Floats], tone: float) -> Floats:
    return np.asarray(ends[0] * (1 - tone) + ends[1] * tone, np.float32)


def _byte(colour: Floats) -> Bytes:
    return np.asarray(np.clip(colour, 0, 255), np.uint8)
