"""A map over the whole photo that the user gave: what the network did not see of it is dimmed.

How a map is drawn is the business of `drawing`, and where the photo comes from that of `results.original`.
"""

from __future__ import annotations

from typing import Any

from jaxtyping import UInt8
from torch import Tensor

from sightline.reports.drawing import overlay
from sightline.reports.photo import fit
from sightline.results import AttentionMap
from sightline.results.original import WHOLE, Original


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
    return overlay(map_, photo, box=WHOLE if original.whole else original.crop, **look)
