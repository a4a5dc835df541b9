"""How dense evidence is: raw values as multiples of what an even spread over the picture would be.

Colour needs a number that means the same at every layer and for every method. A raw value does not: the same evidence
is small in each of 12,544 cells and large in each of 49. The density does: it is 1 where the evidence is as dense as
if all of the map's evidence were spread evenly, and 5 where five times as much lies as there would lie then.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.reports.kernel import grown
from sightline.results import AttentionMap

LITTLE = 0.05
"""Evidence against is left out of a picture where it is less than this share of the absolute sum."""


FINEST = 160
"""Cells along the longer side, at least, of the grid on which a map is weighed."""


@dataclass(frozen=True)
class Unit:
    """What a picture's colours stand for.

    Args:
        value: the raw value whose density is 1.
        against: whether evidence against the decision is drawn too.
    """

    value: float
    against: bool = False

    def densities(self, values: Float[Tensor, "h w"]) -> Float[Tensor, "h w"]:
        """Values as multiples of the unit; evidence against is 0 where it is not drawn, and NaN stays NaN."""
        if self.value <= 0.0:
            return values * 0.0
        return (values if self.against else values.clamp(min=0.0)) / self.value


def unit_of(map_: AttentionMap) -> Unit:
    r"""The unit of one map of its own: the mean of $|v|$ over what is drawn of it.

    Example:
        >>> unit_of(AttentionMap(torch.full((2, 2), 3.0), "layer"))
        Unit(value=3.0, against=False)
    """
    against = is_against(map_.values.detach().cpu().float())
    drawn = grown(map_, fine_size(map_))
    drawn = drawn[torch.isfinite(drawn)]
    drawn = drawn if against else drawn.clamp(min=0.0)
    return Unit(float(drawn.abs().mean()) if drawn.numel() else 0.0, against)


def shared_unit(maps: Iterable[AttentionMap]) -> Unit:
    """One unit for several maps, the largest of theirs; evidence against is drawn as soon as one of them has it."""
    units = [unit_of(map_) for map_ in maps]
    return Unit(max((unit.value for unit in units), default=0.0), any(unit.against for unit in units))


def is_against(values: Float[Tensor, "..."]) -> bool:
    """Whether there is enough evidence against the decision to be drawn: 5 % of the absolute sum of finite values.

    Example:
        >>> is_against(torch.tensor([1.0, -0.04])), is_against(torch.tensor([1.0, -0.06]))
        (False, True)
    """
    finite = values[torch.isfinite(values)].double()
    whole = float(finite.abs().sum())
    return whole > 0.0 and float(finite.clamp(max=0.0).abs().sum()) >= LITTLE * whole


def fine_size(map_: AttentionMap) -> tuple[int, int]:
    """`(H, W)` of a fine grid: whole multiples of the map's own."""
    height, width = map_.shape
    factor = max(1, math.ceil(FINEST / max(height, width)))
    return height * factor, width * factor
