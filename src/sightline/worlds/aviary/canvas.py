"""A supersampled canvas: polygons become regions, regions are painted, the canvas is reduced once.

Alpha is binary before reduction, so the reduced colours are premultiplied by the coverage. Knows
nothing of birds.
"""

from __future__ import annotations

from functools import cache
from math import cos, radians, sin
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
Bytes = NDArray[np.uint8]
Points = tuple[tuple[float, float], ...]


class Region(NamedTuple):
    """A mask and where its upper left corner lies on the canvas."""

    top: int
    left: int
    mask: Bools

    @property
    def window(self) -> tuple[slice, slice]:
        """The rows and columns of the canvas under the mask."""
        rows, columns = self.mask.shape
        return slice(self.top, self.top + rows), slice(self.left, self.left + columns)


class Frame(NamedTuple):
    """A right-handed bird's own coordinates: origin and unit length in pixels, a turn, and a mirror."""

    x: float
    y: float
    unit: float
    angle: float
    mirror: bool

    def place(self, points: Floats) -> Floats:
        """Bird coordinates [n, 2] to canvas pixels [n, 2]."""
        c, s = cos(radians(self.angle)) * self.unit, sin(radians(self.angle)) * self.unit
        along, down = points[:, 0], points[:, 1]
        x, y = along * c - down * s, along * s + down * c
        return np.stack([self.x + (-x if self.mirror else x), self.y + y], axis=1)

    def grid(self, region: Region) -> tuple[Floats, Floats]:
        """Bird coordinates (along, down) of every pixel of a region."""
        rows, columns = region.mask.shape
        x: Floats = np.arange(region.left, region.left + columns, dtype=np.float32)[None, :] - np.float32(self.x)
        y: Floats = np.arange(region.top, region.top + rows, dtype=np.float32)[:, None] - np.float32(self.y)
        x = -x if self.mirror else x
        c, s = cos(radians(self.angle)) / self.unit, sin(radians(self.angle)) / self.unit
        return np.asarray(x * c + y * s, np.float32), np.asarray(y * c - x * s, np.float32)

    def turned(self, pivot: tuple[float, float], degrees: float) -> Frame:
        """The frame after a turn about a point given in bird coordinates."""
        # Turned about the origin first, then moved so that the pivot lies where it was.
        before = self.place(np.array([pivot], np.float32))[0]
        turned = self._replace(angle=self.angle + degrees)
        after = turned.place(np.array([pivot], np.float32))[0]
        return turned._replace(x=self.x + float(before[0] - after[0]), y=self.y + float(before[1] - after[1]))


@cache
def smooth(points: Points, steps: int = 6) -> Floats:
    """A closed Catmull-Rom curve through the points, [n * steps, 2]."""
    p1 = np.array(points, np.float32)[:, None]
    p0, p2, p3 = np.roll(p1, 1, 0), np.roll(p1, -1, 0), np.roll(p1, -2, 0)
    t = np.linspace(0, 1, steps, endpoint=False, dtype=np.float32)[None, :, None]
    cubic = 3 * p1 - p0 - 3 * p2 + p3
    curve = (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + cubic * t**3) / 2
    return np.asarray(curve.reshape(-1, 2), np.float32)


@cache
def sharp(points: Points) -> Floats:
    """The polygon as it is, [n, 2]."""
    return np.array(points, np.float32)


@cache
def ellipse(x: float, y: float, width: float, height: float) -> Floats:
    """An ellipse of 24 corners by its centre and half axes."""
    turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    return np.stack([x + width * np.cos(turn), y + height * np.sin(turn)], axis=1).astype(np.float32)


def edge(mask: Bools, width: int) -> Bools:
    """The inner rim of a mask, `width` pixels wide."""
    inner = np.zeros_like(mask)
    w = width
    if min(mask.shape) > 2 * w:
        core = mask[w:-w, w:-w]
        inner[w:-w, w:-w] = core & mask[: -2 * w, w:-w] & mask[2 * w :, w:-w]
        inner[w:-w, w:-w] &= mask[w:-w, : -2 * w] & mask[w:-w, 2 * w :]
    return mask & ~inner


class Canvas:
    """Colour, coverage and part ids at `factor` times the final side."""

    def __init__(self, side: int, factor: int) -> None:
        self.side = side
        self.factor = factor
        self.extent = side * factor
        self.colour: Bytes = np.zeros((self.extent, self.extent, 3), np.uint8)
        self.alpha: Bytes = np.zeros((self.extent, self.extent), np.uint8)
        self.parts: Bytes = np.zeros((self.extent, self.extent), np.uint8)

    def region(self, corners: Floats, within: Region | None = None) -> Region:
        """The pixels of a polygon, cut to the canvas and to another region."""
        low = np.maximum(np.floor(corners.min(0)).astype(int), 0)
        high = np.minimum(np.ceil(corners.max(0)).astype(int) + 1, self.extent)
        if within is not None:
            low = np.maximum(low, [within.left, within.top])
            rows, columns = within.mask.shape
            high = np.minimum(high, [within.left + columns, within.top + rows])
        width, height = (int(v) for v in np.maximum(high - low, 0))
        left, top = int(low[0]), int(low[1])
        if width == 0 or height == 0:
            return Region(min(top, self.extent), min(left, self.extent), np.zeros((0, 0), bool))
        mask = _fill(corners - low, width, height)
        if within is not None:
            rows, columns = slice(top - within.top, None), slice(left - within.left, None)
            mask &= within.mask[rows, columns][:height, :width]
        return Region(top, left, mask)

    def paint(self, region: Region, colour: Bytes, part: int) -> None:
        """Cover a region with one colour [3] or a colour per pixel [h, w, 3], as part `part`."""
        mask, window = region.mask, region.window
        np.copyto(self.colour[window], colour, where=mask[..., None])
        np.copyto(self.alpha[window], np.uint8(255), where=mask)
        np.copyto(self.parts[window], np.uint8(part), where=mask)

    def reduced(self) -> tuple[Floats, Floats]:
        """Premultiplied colour [h, w, 3] and coverage [h, w, 1] in 0-1 at the final side."""
        colour = Image.fromarray(self.colour).reduce(self.factor)
        alpha = Image.fromarray(self.alpha).reduce(self.factor)
        scale = np.float32(1 / 255)
        return np.asarray(colour, np.float32) * scale, np.asarray(alpha, np.float32)[..., None] * scale


def _fill(corners: Floats, width: int, height: int) -> Bools:
    """Rasterise one polygon into a small mask."""
    image = Image.new("L", (width, height))
    ImageDraw.Draw(image).polygon(corners.ravel().tolist(), fill=1)
    return np.array(image).view(bool)
