"""`Place`: where in a photo the part lies that the network saw, in pixels. It knows no map.

A part may reach beyond the photo where the network's input was padded; the padding is black here and never shown.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.nn.functional import pad

from sightline.reports.outline import Loop
from sightline.results.original import Box

DIMMED = 0.65
"""Brightness of what the network did not see."""
FRAME = (255, 255, 255)
THIN = 480
"""The frame is as wide as this part of the photo's longer side, and at least a pixel."""


@dataclass(frozen=True)
class Place:
    """A rectangle of whole pixels.

    Args:
        box: the rectangle as shares of the photo's width and height.
        left: its first column; below zero where it begins before the photo.
        top: its first row.
        width: in pixels.
        height: in pixels.
    """

    box: Box
    left: int
    top: int
    width: int
    height: int

    @classmethod
    def of(cls, box: Box, photo: UInt8[Tensor, "h w 3"]) -> Place:
        """The rectangle of a box in a photo."""
        high, wide = photo.shape[:2]
        x, y, width, height = box
        left, top = round(x * wide), round(y * high)
        return cls(box, left, top, max(1, round((x + width) * wide) - left), max(1, round((y + height) * high) - top))

    def cut(self, photo: UInt8[Tensor, "h w 3"]) -> UInt8[Tensor, "y x 3"]:
        """The part, black where it reaches beyond the photo."""
        high, wide = photo.shape[:2]
        beyond = (-self.left, self.left + self.width - wide, -self.top, self.top + self.height - high)
        sides = [max(0, side) for side in beyond]
        whole = pad(photo, (0, 0, *sides))
        left, top = self.left + sides[0], self.top + sides[2]
        return whole[top : top + self.height, left : left + self.width]

    def inside(self, photo: UInt8[Tensor, "h w 3"]) -> Box:
        """The photo in the part, `(x, y, width, height)` as shares of the part."""
        high, wide = photo.shape[:2]
        left, top = max(0, -self.left), max(0, -self.top)
        right, bottom = min(self.width, wide - self.left), min(self.height, high - self.top)
        return (left / self.width, top / self.height, (right - left) / self.width, (bottom - top) / self.height)

    def paste(self, part: UInt8[Tensor, "y x 3"], photo: UInt8[Tensor, "h w 3"]) -> UInt8[Tensor, "h w 3"]:
        """The photo with the part in its place, framed, and the rest dimmed."""
        high, wide = photo.shape[:2]
        rows = slice(max(0, self.top), min(high, self.top + self.height))
        columns = slice(max(0, self.left), min(wide, self.left + self.width))
        result = (photo.float() * DIMMED).round().to(torch.uint8)
        thin = max(1, round(max(high, wide) / THIN))
        around = (
            slice(max(0, rows.start - thin), rows.stop + thin),
            slice(max(0, columns.start - thin), columns.stop + thin),
        )
        result[around] = torch.tensor(FRAME, dtype=torch.uint8)
        result[rows, columns] = part[
            rows.start - self.top : rows.stop - self.top, columns.start - self.left : columns.stop - self.left
        ]
        return result

    def moved(self, loops: tuple[Loop, ...]) -> tuple[Loop, ...]:
        """Lines in shares of the part, in shares of the photo."""
        x, y, width, height = self.box
        return tuple(tuple((x + width * across, y + height * down) for across, down in loop) for loop in loops)
