"""How a map's domain lies over a model's input: over its last axes, or over axis 1.

A task whose inputs are built otherwise registers how its domain lies, under an entry point of the group
`sightline.domains`:

    @PLACEMENTS.register("fields")
    def fields(input_rank: int, rank: int) -> Placement: ...

This file knows no metric.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from sightline.errors import InputError
from sightline.registry import Registry


class Placement(NamedTuple):
    """Where a domain lies in an input.

    Args:
        before: axes of the input between the batch and the domain's first axis (channels).
        dense: whether the map may be coarser than the input and is enlarged to it; else it has a value for each
            place.
    """

    before: int
    dense: bool


Place = Callable[[int, int], Placement]
"""From the number of axes of the input, without the batch, and that of the domain."""

PLACEMENTS: Registry[Place] = Registry("domain", group="sightline.domains", error=InputError)
"""By `Domain.kind`."""


@PLACEMENTS.register("image")
@PLACEMENTS.register("signal")
@PLACEMENTS.register("volume")
@PLACEMENTS.register("space-time")
@PLACEMENTS.register("spectrogram")
def last_axes(input_rank: int, rank: int) -> Placement:
    """Pixels and their kin: the last axes, behind the channels."""
    return Placement(input_rank - rank, dense=True)


@PLACEMENTS.register("words")
@PLACEMENTS.register("regions")
@PLACEMENTS.register("fields")
def first_axis(input_rank: int, rank: int) -> Placement:
    """Things in a row: axis 1, before their features."""
    return Placement(0, dense=False)
