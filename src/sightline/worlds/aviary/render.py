"""From a scene to pixels and to what is true about them: masks, box, part locations, visibility.

A pure function of the scene and the size. Knows nothing of worlds, files or labels' names.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightline.errors import DataError
from sightline.worlds.aviary.attributes import PARTS, part_id
from sightline.worlds.aviary.backgrounds import background
from sightline.worlds.aviary.bird import draw_bird
from sightline.worlds.aviary.canvas import Bools, Bytes, Canvas, Floats
from sightline.worlds.aviary.foliage import draw_cover, draw_perch
from sightline.worlds.aviary.scene import Light, Scene

DRAWING = 1
"""Version of the drawings; raised whenever a scene's pixels change, so that kept pictures are drawn anew."""
FACTOR = 3
"""Supersampling: 9 samples per pixel."""

Box = tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class Rendering:
    """A rendered scene.

    Args:
        scene: what was rendered.
        image: [h, w, 3] of bytes.
        fine_parts: part ids at `FACTOR` times the side, after occlusion; 0 is not bird.
    """

    scene: Scene
    image: Bytes
    fine_parts: Bytes

    def coverage(self, part: str | None = None) -> Floats:
        """The share of every pixel that a part (or, without a name, any of the bird) covers, [h, w]."""
        mask = self.fine_parts > 0 if part is None else self.fine_parts == part_id(part)
        return _shares(mask)

    @cached_property
    def foreground(self) -> Bools:
        """Pixels of which the bird covers at least half."""
        return self.coverage() >= 0.5

    @cached_property
    def parts(self) -> Bytes:
        """Part id of every foreground pixel's middle sample, 0 elsewhere, [h, w]."""
        middle = self.fine_parts[FACTOR // 2 :: FACTOR, FACTOR // 2 :: FACTOR]
        return np.ascontiguousarray(middle)

    @cached_property
    def box(self) -> Box | None:
        """x, y, width, height of the foreground, or None without one."""
        rows, columns = np.flatnonzero(self.foreground.any(1)), np.flatnonzero(self.foreground.any(0))
        if not len(rows):
            return None
        x, y = int(columns[0]), int(rows[0])
        return x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1

    @cached_property
    def visibility(self) -> tuple[float, ...]:
        """Per part, the share of it that neither the border nor anything before the bird hides, 0-1."""
        pixels = np.bincount(self.fine_parts.ravel(), minlength=len(PARTS) + 1)[1:]
        whole = _unhidden(self.scene, self.image.shape[0])
        return tuple(min(1.0, float(n) / float(w)) if w else 0.0 for n, w in zip(pixels, whole, strict=True))

    @cached_property
    def locations(self) -> tuple[tuple[float, float] | None, ...]:
        """Per part, the visible pixel nearest to the middle of its visible samples (x, y), or None."""
        return tuple(_middle(self.fine_parts == i + 1) for i in range(len(PARTS)))


def render(scene: Scene, size: int = 128) -> Rendering:
    """Draw a scene.

    Args:
        scene: what to draw.
        size: side of the picture in pixels, at least 16.

    Raises:
        DataError: the size is too small to draw a bird.

    Example:
        >>> from sightline.worlds.aviary import World
        >>> render(World().scene(0), size=32).image.shape
        (32, 32, 3)
    """
    if size < 16:
        raise DataError(f"a scene cannot be drawn at {size} pixels; ask for at least 16, such as 128")
    canvas = Canvas(size, FACTOR)
    draw_perch(canvas, scene)
    if scene.bird:
        draw_bird(canvas, scene)
    for cover in scene.covers:
        draw_cover(canvas, cover)
    colour, alpha = canvas.reduced()
    image = lit(background(scene.backdrop, size) * (1 - alpha) + colour, scene.light)
    return Rendering(scene, image, canvas.parts)


def lit(picture: Floats, light: Light) -> Bytes:
    """Apply the light: brightness, warmth, and a slope across the picture."""
    side = picture.shape[0]
    axis = np.linspace(-0.5, 0.5, side, dtype=np.float32)
    ramp = axis[None, :] * np.cos(light.angle) + axis[:, None] * np.sin(light.angle)
    gain = light.brightness * (1 + light.slope * ramp)
    tint = np.array([1 + 0.07 * light.warmth, 1.0, 1 - 0.09 * light.warmth], np.float32)
    picture = picture * gain[..., None].astype(np.float32) * (tint * np.float32(255))
    return np.asarray(np.clip(picture + 0.5, 0, 255), np.uint8)


def _unhidden(scene: Scene, side: int) -> NDArray[np.int64]:
    """Samples of every part when the same bird sits in the middle of a canvas that holds all of it."""
    if not scene.bird:
        return np.zeros(len(PARTS), np.int64)
    pose = replace(scene.pose, x=0.5, y=0.5, length=scene.pose.length / 2)
    middle = Canvas(side, FACTOR)
    draw_bird(middle, replace(scene, pose=pose))
    return 4 * np.bincount(middle.parts.ravel(), minlength=len(PARTS) + 1)[1:].astype(np.int64)


def _shares(mask: Bools) -> Floats:
    """Mean of a fine mask over every pixel."""
    reduced = Image.fromarray(mask.astype(np.uint8) * 252).reduce(FACTOR)
    return np.asarray(np.asarray(reduced, np.float32) / 252, np.float32)


def _middle(mask: Bools) -> tuple[float, float] | None:
    """The sample of a mask that is nearest to its centroid, in pixels."""
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return None
    nearest = int(np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2))
    return (float(columns[nearest]) + 0.5) / FACTOR, (float(rows[nearest]) + 0.5) / FACTOR
