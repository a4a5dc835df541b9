"""The places of an input, wherever its channels are.

Most inputs are `[b, c, places...]`, but a video transformer may take `[b, t, c, y, x]`, a recurrent network
`[b, t, c]`, and a network of raw sound `[b, t]`. Which axes are which is known from the recorded forward; this file
knows no method.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from sightline.models.adapter.structure import Structure


def channels_second(structure: Structure, x: Float[Tensor, "b ..."]) -> Float[Tensor, "b c *places"]:
    """An input, or numbers of its shape, with channels second and places last."""
    return structure.input_layout.to_grid(x)


def over_channels(structure: Structure, maps: Float[Tensor, "b *places"]) -> Float[Tensor, "b ..."]:
    """Maps over places in a shape that broadcasts against inputs."""
    sides = iter(maps.shape[1:])
    axes = range(1, len(structure.shape) + 1)
    return maps.reshape(len(maps), *(next(sides) if str(axis) in structure.sources else 1 for axis in axes))


def spans(structure: Structure, sides: tuple[int, ...]) -> tuple[int, ...]:
    """Lengths along the places, put among the whole lengths of the input's other axes; without the samples."""
    lengths = iter(sides)
    return tuple(
        next(lengths) if str(axis) in structure.sources else length
        for axis, length in enumerate(structure.shape, start=1)
    )
