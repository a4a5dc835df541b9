"""`Scale`: which raw values the two ends of a colour table stand for.

An unsigned map is drawn from zero, never from its smallest value: a map whose values are all alike looks alike
everywhere. A signed map is drawn from minus to plus its largest magnitude, so that zero is in the middle.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.errors import ResultError
from sightline.results import AttentionMap

ScaleMode = Literal["own", "shared"]
MODES: tuple[ScaleMode, ...] = ("own", "shared")


@dataclass(frozen=True)
class Scale:
    """The raw values at the two ends of the colour table.

    Args:
        low: the value drawn in the first colour, in the map's own units.
        high: the value drawn in the last colour.
        signed: whether the diverging table is meant; then `low == -high`.
    """

    low: float
    high: float
    signed: bool = False

    def positions(self, values: Float[Tensor, "h w"]) -> Float[Tensor, "h w"]:
        """Where values lie between the ends, as shares clipped to 0..1.

        On a scale of no width (a map of zeros) every value lies at the bottom, or in the middle if it is signed.
        """
        span = self.high - self.low
        if span <= 0.0:
            return torch.full_like(values, 0.5 if self.signed else 0.0)
        return ((values - self.low) / span).clamp(0.0, 1.0)


def scale_of(values: Float[Tensor, "..."], *, signed: bool = False) -> Scale:
    """The scale of one tensor's own: from zero (or below, if it goes there) to its peak, or centred at zero.

    Values that are not finite do not count.

    Example:
        >>> scale_of(torch.tensor([1.0, 4.0]))
        Scale(low=0.0, high=4.0, signed=False)
        >>> scale_of(torch.tensor([1.0, -4.0]), signed=True)
        Scale(low=-4.0, high=4.0, signed=True)
    """
    finite = values[torch.isfinite(values)]
    smallest, largest = (float(finite.min()), float(finite.max())) if finite.numel() else (0.0, 0.0)
    if signed:
        reach = max(-smallest, largest)
        return Scale(-reach, reach, signed=True)
    return Scale(min(0.0, smallest), max(0.0, largest))


def own_scale(map_: AttentionMap) -> Scale:
    """The scale of one map's own."""
    return scale_of(map_.values.float(), signed=map_.signed)


def shared_scale(maps: Iterable[AttentionMap]) -> Scale:
    """One scale for several maps; signed as soon as one of them is.

    Raises:
        ResultError: there are no maps.
    """
    maps = tuple(maps)
    if not maps:
        raise ResultError("a shared colour scale was asked for, but there are no maps to share it")
    ends = [own_scale(map_) for map_ in maps]
    ends_of_all = torch.tensor([(scale.low, scale.high) for scale in ends], dtype=torch.float64)
    return scale_of(ends_of_all, signed=any(map_.signed for map_ in maps))


def check_mode(mode: str) -> None:
    """Refuse a scale mode that does not exist.

    Raises:
        ResultError: `mode` is neither `"own"` nor `"shared"`.
    """
    if mode not in MODES:
        raise ResultError(f"there is no colour scale {mode!r}; known scales: {', '.join(MODES)}")
