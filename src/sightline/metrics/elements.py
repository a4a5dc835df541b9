"""What is deleted: the elements of a map's domain, and how they lie over a model's input.

Where a domain lies in an input is said in `domains`. This is the one place where a coarse map is enlarged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int, Num, Shaped
from torch import Tensor
from torch.nn import functional

from sightline.errors import InputError
from sightline.metrics.domains import PLACEMENTS
from sightline.results.domains import Domain

MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}


@dataclass(frozen=True)
class Elements:
    """Elements of a domain over an input.

    Args:
        sizes: sizes of the map's axes.
        over: sizes of the input along the same axes.
        before: axes of the input between the batch and the domain's first axis (channels).
        after: axes behind the domain's last axis (embedding).
    """

    sizes: tuple[int, ...]
    over: tuple[int, ...]
    before: int
    after: int

    @property
    def count(self) -> int:
        """How many elements there are."""
        return int(torch.Size(self.sizes).numel())

    @property
    def axes(self) -> tuple[int, ...]:
        """Axes of the input that the domain lies over."""
        return tuple(range(1 + self.before, 1 + self.before + len(self.sizes)))

    def spread(self, chosen: Shaped[Tensor, "r m"]) -> Shaped[Tensor, "r ..."]:
        """A choice (or a weight) of elements as a mask that broadcasts against inputs."""
        mask = chosen.reshape(len(chosen), *self.sizes)
        for axis, (cells, positions) in enumerate(zip(self.sizes, self.over, strict=True), start=1):
            if cells != positions:
                home = torch.arange(positions, device=mask.device) * cells // positions
                mask = mask.index_select(axis, home)
        return mask.reshape(len(mask), *[1] * self.before, *self.over, *[1] * self.after)


def lay(
    maps: Float[Tensor, "b ..."],
    inputs: Num[Tensor, "b ..."],
    *,
    domain: Domain,
    grid: Literal["input", "cells"] = "input",
) -> tuple[Float[Tensor, "b m"], Elements]:
    """Lay maps over inputs.

    Args:
        maps: `[b, *axes of the domain]`.
        inputs: `[b, channels..., *axes]` for dense domains, `[b, n, ...]` for words, regions and fields.
        domain: what the maps lie over.
        grid: see `Probe`.

    Returns:
        The value of every element, and the elements.

    Raises:
        InputError: the two do not fit.
    """
    rank = len(domain.axes)
    if maps.ndim != 1 + rank or inputs.ndim < 1 + rank or len(maps) != len(inputs):
        raise InputError(
            f"maps over {domain.kind!r} are [b, {', '.join(domain.axes)}] beside inputs of the same batch; got maps "
            f"{tuple(maps.shape)} and inputs {tuple(inputs.shape)}"
        )
    before, dense = PLACEMENTS[domain.kind](inputs.ndim - 1, rank)
    over = tuple(inputs.shape[1 + before : 1 + before + rank])
    if dense and grid == "input":
        maps = on_grid(maps, over)
    if not dense and maps.shape[1] != over[0]:
        raise InputError(f"a map of {maps.shape[1]} {domain.kind} cannot lie over an input of {over[0]}")
    return maps.flatten(1), Elements(tuple(maps.shape[1:]), over, before, inputs.ndim - 1 - rank - before)


def on_grid(maps: Float[Tensor, "b ..."], sizes: tuple[int, ...]) -> Float[Tensor, "b ..."]:
    """Maps on another grid: linear interpolation along every axis, pixel centres at half positions.

    Raises:
        InputError: the number of axes differs.
    """
    if maps.ndim - 1 != len(sizes) or len(sizes) not in MODES:
        raise InputError(f"maps of shape {tuple(maps.shape)} cannot be put on a grid of {'x'.join(map(str, sizes))}")
    if tuple(maps.shape[1:]) == tuple(sizes):
        return maps
    values = maps if maps.is_floating_point() and maps.dtype != torch.bfloat16 else maps.float()
    return functional.interpolate(values[:, None], size=sizes, mode=MODES[len(sizes)], align_corners=False)[:, 0]


def ranks(values: Float[Tensor, "b m"], *, seed: int | None = 0) -> Int[Tensor, "b m"]:
    """Place of every element when they are sorted from the largest value to the smallest.

    Ties - a map behind a ReLU is full of them - are broken by one random order of the elements drawn from `seed`, the
    same for every sample; `seed=None` breaks them by position, which favours the top left corner.

    Example:
        >>> ranks(torch.tensor([[0.1, 0.9, 0.5]]))
        tensor([[2, 0, 1]], dtype=torch.int32)
    """
    count = values.shape[1]
    places = torch.arange(count, dtype=torch.int32, device=values.device).expand(len(values), -1)
    if seed is None:
        order = values.argsort(dim=1, descending=True, stable=True)
    else:
        shuffle = torch.randperm(count, generator=torch.Generator().manual_seed(seed)).to(values.device)
        order = shuffle[values[:, shuffle].argsort(dim=1, descending=True, stable=True)]
    return torch.empty_like(places).scatter_(1, order, places)
