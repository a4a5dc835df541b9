"""How the numbers of a map travel in a page: small grids as they are, large ones in steps of a 254th of their range.

The colour tables have 256 steps, so that a map in 255 levels looks the same to within one of them, at a quarter of
the size. Zero stays zero: it is the lowest level of an unsigned map and the middle one of a signed map.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.reports.scale import Scale, scale_of
from sightline.results import AttentionMap, Status

EXACT = 1024
"""Grids of at most this many cells travel as float32."""
FINEST_STEP = 4095
"""Steps of a place along a picture's side."""
LEVELS = 254
"""Steps between the two ends of a map's range; even, so that one level lies in the middle."""


def packed(map_: AttentionMap, limits: Scale) -> dict[str, Any]:
    """A map's values for a page: `values` in base64, and `levels`, zero where they are float32 as they were.

    Args:
        map_: any map; one with values that are not finite always travels as it is.
        limits: the map's own scale; nothing lies outside it.
    """
    if map_.values.numel() <= EXACT or map_.status is Status.NAN or limits.high <= limits.low:
        return {"values": raw_bytes(map_.values), "levels": 0}
    return {"values": level_bytes(map_.values, limits), "levels": LEVELS}


def packed_difference(change: Float[Tensor, "h w"]) -> dict[str, Any]:
    """A difference for a page: always in levels, from `-reach` to `reach`."""
    limits = scale_of(change, signed=True)
    height, width = change.shape
    reach = float(f"{limits.high:.4g}")
    return {"height": height, "width": width, "reach": reach, "values": level_bytes(change, limits), "levels": LEVELS}


def raw_bytes(values: Float[Tensor, "..."]) -> str:
    """Raw values as base64 of little-endian float32, row by row."""
    return _text(values.detach().cpu().float().contiguous().numpy().astype("<f4").tobytes())


def level_bytes(values: Float[Tensor, "..."], limits: Scale) -> str:
    """Values as base64 of one byte each, row by row: the nearest of `LEVELS + 1` levels between the limits."""
    share = limits.positions(values.detach().cpu().double())
    return _text((share * LEVELS + 0.5).floor().to(torch.uint8).contiguous().numpy().tobytes())


def ring_text(ring: Sequence[tuple[float, float]]) -> str:
    """A closed line for a page: base64 with four letters a corner, x and y in twelve bits each.

    Args:
        ring: corners `(x, y)` in 0..1.

    Example:
        >>> ring_text([(0.0, 1.0)])
        'AA//'
    """
    steps = ((round(FINEST_STEP * x) << 12 | round(FINEST_STEP * y)) for x, y in ring)
    return _text(b"".join(step.to_bytes(3, "big") for step in steps))


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
