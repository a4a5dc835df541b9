"""`Energy`: how much of a class map lies on the object, beside what maps reach that know nothing of the picture.

Photos are centred on their object, so any map that is high in the middle has much on it. Hence a control beside the
object's area: the mean map of all other pictures, which is centred as the photos are. Pure functions of tensors.
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from sightline.common.statistics.bootstrap import Interval, bootstrap

NOTHING = 1e-12


@dataclass(frozen=True)
class Energy:
    """Where the map of the decided class lies.

    Args:
        inside: share of the map on the object, mean over pictures.
        area: share of the picture that the object covers: the energy of a map that is everywhere alike.
        gain: difference of the two shares, picture by picture.
        mean_map: share of the mean map of all other pictures on the object: centred as the pictures are.
        over_mean_map: how much more of the picture's own map lies on the object, picture by picture.
    """

    inside: Interval
    area: float
    gain: Interval
    mean_map: float
    over_mean_map: Interval

    def __str__(self) -> str:
        """All of it in a line."""
        return (
            f"{self.inside} of the class map lies on the object, which covers {self.area:.3f}; the mean map of all "
            f"other pictures has {self.mean_map:.3f} there (difference {self.over_mean_map})"
        )


def energy_of(maps: Float[Tensor, "n h w"], inside: Float[Tensor, "n h w"]) -> Energy:
    """How much of each map lies on its object, beside its controls.

    Args:
        maps: maps that sum to 1.
        inside: the object's share of each cell.
    """
    own, area = shares_on(maps, inside), inside.mean((1, 2))
    mean = shares_on(mean_of_others(maps), inside)
    return Energy(
        inside=bootstrap(own),
        area=float(area.mean()),
        gain=bootstrap(own - area),
        mean_map=float(mean.mean()),
        over_mean_map=bootstrap(own - mean),
    )


def shares_on(maps: Float[Tensor, "n h w"], inside: Float[Tensor, "n h w"]) -> Float[Tensor, " n"]:
    """Share of each map that lies on the object; 0 where there is no map."""
    return (maps * inside).sum((1, 2)) / maps.sum((1, 2)).clamp(min=NOTHING)


def mean_of_others(maps: Float[Tensor, "n h w"]) -> Float[Tensor, "n h w"]:
    """For each picture the mean of the maps of all other pictures; it has on an object what they have on average.

    Example:
        >>> import torch
        >>> mean_of_others(torch.tensor([0.0, 2.0, 4.0])[:, None, None]).flatten().tolist()
        [3.0, 2.0, 1.0]
    """
    return (maps.sum(0) - maps) / max(1, len(maps) - 1)
