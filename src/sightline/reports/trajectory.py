"""`Trajectory`: the way of the evidence through one flow - mass by layer, steps between neighbours, mass by region.

It puts together what `motion` computes. Layers without evidence are gaps with a reason, and no step crosses them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor

from sightline.reports.motion import Box, Centre, centre, difference, inside, mass, silence
from sightline.results import Explanation

ROWS, COLUMNS = ("top", "middle", "bottom"), ("left", "centre", "right")
STRONGEST = 4
"""Regions that a picture tells apart by colour."""


@dataclass(frozen=True)
class Region:
    """A part of the picture whose share of the evidence is followed.

    Args:
        name: in words.
        box: where it lies.
    """

    name: str
    box: Box

    @property
    def area(self) -> float:
        """Share of the picture that it covers: what evidence that lies evenly would have."""
        x, y, width, height = self.box
        wide, high = min(1.0, x + width) - max(0.0, x), min(1.0, y + height) - max(0.0, y)
        return max(0.0, wide) * max(0.0, high)


NINTHS = tuple(
    Region("centre" if row == 1 == column else f"{ROWS[row]} {COLUMNS[column]}", (column / 3, row / 3, 1 / 3, 1 / 3))
    for row in range(3)
    for column in range(3)
)
"""The picture cut into three by three equal parts."""


@dataclass(frozen=True, eq=False)
class Trajectory:
    """The way of the evidence through the layers of one explanation's flow.

    Args:
        item: the explanation.
    """

    item: Explanation

    @cached_property
    def masses(self) -> tuple[Float[Tensor, "h w"] | None, ...]:
        """For each layer the evidence of sum one, or None."""
        return tuple(mass(map_) for map_ in self.item.flow.maps)

    @cached_property
    def gaps(self) -> tuple[str, ...]:
        """For each layer why it has no evidence; nothing where it has."""
        return tuple(silence(map_) for map_ in self.item.flow.maps)

    @cached_property
    def steps(self) -> tuple[Float[Tensor, "y x"] | None, ...]:
        """The difference from each layer to the next; None where one of the two has no evidence."""
        return tuple(None if a is None or b is None else difference(a, b) for a, b in pairwise(self.masses))

    @cached_property
    def centres(self) -> tuple[Centre | None, ...]:
        """The centre of mass at each layer."""
        return tuple(None if one is None else centre(one) for one in self.masses)

    @cached_property
    def regions(self) -> tuple[Region, ...]:
        """The boxes of the explanation's own phrases, or else the ninths of the picture."""
        boxes: dict[str, Box] = {}
        for phrase in self.item.phrases:
            if phrase.box is not None and phrase.role != "change":
                boxes.setdefault(phrase.text, phrase.box)
        return tuple(Region(name, box) for name, box in boxes.items()) or NINTHS

    @property
    def named(self) -> bool:
        """Whether the regions are the explanation's own."""
        return self.regions is not NINTHS

    @cached_property
    def shares(self) -> tuple[tuple[float | None, ...], ...]:
        """For each region its share of the evidence at each layer."""
        boxes = tuple(region.box for region in self.regions)
        layers = [(None,) * len(boxes) if one is None else inside(one, boxes) for one in self.masses]
        return tuple(zip(*layers, strict=True))

    @cached_property
    def strongest(self) -> tuple[int, ...]:
        """The regions that hold most evidence on the average over the layers, at most `STRONGEST`, most first."""
        weights = [sum(share for share in row if share is not None) for row in self.shares]
        order = sorted(range(len(weights)), key=lambda place: -weights[place])
        return tuple(order[:STRONGEST])
