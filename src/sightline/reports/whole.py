"""A map over the whole photo: drawn where the network looked, with a thin frame around that part.

How a map is drawn is the business of `drawing`, and where the photo comes from that of `results.original`.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import UInt8
from PIL import ImageDraw
from torch import Tensor

from sightline.reports.drawing import overlay
from sightline.reports.photo import BLANK, fit, picture_of, tensor_of
from sightline.results import AttentionMap
from sightline.results.original import Original

FRAME, SHADE = (255, 255, 255), (16, 18, 24)

Box = tuple[int, int, int, int]
"""`(left, top, right, bottom)` in pixels; beyond the photo where bars were added."""


def over_whole(
    map_: AttentionMap, original: Original, *, longest: int | None = None, **look: Any
) -> UInt8[Tensor, "h w 3"]:
    """A map over the photo that the user gave.

    Args:
        map_: a map over what the network saw.
        original: the photo, and which part of it that was.
        longest: pixels of the photo's longer side; None is its own.
        look: options of `overlay`.

    Returns:
        RGB in 0..255, of the photo's shape.
    """
    photo = original.pixels if longest is None else fit(original.pixels, longest, enlarge=True)
    if original.whole:
        return overlay(map_, photo, **look)
    box = box_of(original.crop, (photo.shape[0], photo.shape[1]))
    return framed(_pasted(photo, box, overlay(map_, _part(photo, box), **look)), box)


def box_of(crop: tuple[float, float, float, float], size: tuple[int, int]) -> Box:
    """The part of a picture of `(height, width)` in whole pixels, at least one wide and high.

    Example:
        >>> box_of((0.25, 0.0, 0.5, 1.0), (10, 20))
        (5, 0, 15, 10)
    """
    (x, y, width, height), (rows, columns) = crop, size
    left, top = round(x * columns), round(y * rows)
    return left, top, max(left + 1, round((x + width) * columns)), max(top + 1, round((y + height) * rows))


def framed(picture: UInt8[Tensor, "h w 3"], box: Box) -> UInt8[Tensor, "h w 3"]:
    """A picture with a thin frame around a part of it, light inside dark, as far as it lies in the picture."""
    drawn = picture_of(picture)
    pen = ImageDraw.Draw(drawn)
    left, top, right, bottom = (
        max(0, box[0]),
        max(0, box[1]),
        min(drawn.width, box[2]) - 1,
        min(drawn.height, box[3]) - 1,
    )
    pen.rectangle((left, top, right, bottom), outline=SHADE)
    if right - left > 2 and bottom - top > 2:
        pen.rectangle((left + 1, top + 1, right - 1, bottom - 1), outline=FRAME)
    return tensor_of(drawn)


def _part(photo: UInt8[Tensor, "h w 3"], box: Box) -> UInt8[Tensor, "h w 3"]:
    """The part as the network saw it, with bars where it goes beyond the photo."""
    left, top, right, bottom = box
    part = torch.full((bottom - top, right - left, 3), BLANK, dtype=torch.uint8)
    rows, columns = slice(max(0, top), min(len(photo), bottom)), slice(max(0, left), min(photo.shape[1], right))
    part[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = photo[rows, columns]
    return part


def _pasted(photo: UInt8[Tensor, "h w 3"], box: Box, part: UInt8[Tensor, "h w 3"]) -> UInt8[Tensor, "h w 3"]:
    """The photo with a part of it replaced."""
    left, top, right, bottom = box
    rows, columns = slice(max(0, top), min(len(photo), bottom)), slice(max(0, left), min(photo.shape[1], right))
    whole = photo.clone()
    whole[rows, columns] = part[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    return whole
