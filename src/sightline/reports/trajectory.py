"""`Trajectory`: the way of the evidence through one flow - mass by layer, steps between neighbours, mass by region.

It puts together what `motion` computes. Layers without evidence are gaps with a reason, and no step crosses them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor

from sightline.reports.kernel import sections_of
from sightline.reports.motion import FINEST, Box, Centre, centre, difference, inside, mass, silence
from sightline.reports.where import NINTHS as NAMES
from sightline.results import Explanation

SPANS = ("beginning", "middle", "end")
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
    Region(name.removeprefix("the "), (place % 3 / 3, place // 3 / 3, 1 / 3, 1 / 3))
    for place, name in enumerate(NAMES)
)
"""The picture cut into three by three equal parts."""


def columns_of(names: tuple[str, ...]) -> tuple[Region, ...]:
    """Equal parts side by side, each as high as the picture.

    Example:
        >>> columns_of(("left", "right"))[1].box
        (0.5, 0.0, 0.5, 1.0)
    """
    wide = 1 / len(names)
    return tuple(Region(name, (place * wide, 0.0, wide, 1.0)) for place, name in enumerate(names))


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
        finest = FINEST * self.sections
        return tuple(
            None if a is None or b is None else difference(a, b, finest=finest) for a, b in pairwise(self.masses)
        )

    @property
    def sections(self) -> int:
        """Parts of the picture side by side: slices or frames."""
        return sections_of(self.item.flow[0])

    @cached_property
    def centres(self) -> tuple[Centre | None, ...]:
        """The centre of mass at each layer; sections side by side have none in common."""
        return tuple(None if one is None or self.sections > 1 else centre(one) for one in self.masses)

    @cached_property
    def regions(self) -> tuple[Region, ...]:
        """The boxes of the explanation's own phrases, or else equal parts: sections, spans of a line, or ninths."""
        if self._boxes:
            return tuple(Region(name, box) for name, box in self._boxes.items())
        if self.sections > 1:
            return columns_of(self.item.flow[0].domain.labels)
        return columns_of(SPANS) if all(map_.shape[0] == 1 for map_ in self.item.flow.maps) else NINTHS

    @cached_property
    def _boxes(self) -> dict[str, Box]:
        boxes: dict[str, Box] = {}
        for phrase in self.item.phrases:
            if phrase.box is not None and phrase.role != "change":
                boxes.setdefault(phrase.text, phrase.box)
        return boxes

    @property
    def named(self) -> bool:
        """Whether the regions are the explanation's own."""
        return bool(self._boxes)

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
