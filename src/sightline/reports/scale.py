"""`Scale`: the range of raw values in which a page carries a map, and the words for what colours compare with.

An unsigned map's range begins at zero and a signed one's is centred there, so that zero is one of its steps. What
colours stand for is the business of `density`.
"""

from __future__ import annotations

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
    """The raw values at the two ends of a range.

    Args:
        low: the lowest value, in the map's own units.
        high: the highest value.
        signed: whether the range is centred at zero; then `low == -high`.
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
    """The range of a tensor: from zero (or below, if it goes there) to its peak, or centred at zero.

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
    """The range of one map."""
    return scale_of(map_.values.float(), signed=map_.signed)


def check_mode(mode: str) -> None:
    """Refuse a scale mode that does not exist.

    Raises:
        ResultError: `mode` is neither `"own"` nor `"shared"`.
    """
    if mode not in MODES:
        raise ResultError(f"there is no colour scale {mode!r}; known scales: {', '.join(MODES)}")
