"""How evidence moves from one map to the next: differences, centre of mass and mass by region, as pure functions.

All of it reads the *positive* part of a map, scaled so that it sums to one, with the mass of a cell spread evenly
over the cell's area. So grids of different sizes can be compared, and drawing a map finer changes nothing. A map that
has no such part (zero, flat, not finite, nowhere positive) has no mass, and nothing is made up for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.results import AttentionMap, Status

FINEST = 28
"""Cells along the longer side, at most, of the grid on which two maps are compared."""
NO_EVIDENCE = "nothing positive"

Box = tuple[float, float, float, float]
"""`(x, y, width, height)` as shares of the picture's sides."""


@dataclass(frozen=True)
class Centre:
    """Centre of a mass and how far it spreads, as shares of the picture's width and height.

    Args:
        x: from the left edge.
        y: from the upper edge.
        across: standard deviation along the width.
        down: standard deviation along the height.
    """

    x: float
    y: float
    across: float
    down: float


def mass(map_: AttentionMap) -> Float[Tensor, "h w"] | None:
    r"""The positive part of a map, of sum one: $\max(v, 0) / \sum \max(v, 0)$; None where there is none to speak of.

    Example:
        >>> mass(AttentionMap(torch.tensor([[1.0, -2.0], [0.0, 3.0]]), "s", signed=True)).tolist()
        [[0.25, 0.0], [0.0, 0.75]]
    """
    if map_.status is not Status.OK:
        return None
    positive = map_.values.detach().cpu().double().clamp(min=0.0)
    peak = float(positive.max())
    return positive / peak / (positive / peak).sum() if peak > 0.0 else None


def silence(map_: AttentionMap) -> str:
    """Why a map has no mass, in a word or two; nothing if it has."""
    if map_.status is not Status.OK:
        return str(map_.status)
    return "" if float(map_.values.max()) > 0.0 else NO_EVIDENCE


def regrid(mass_: Float[Tensor, "h w"], size: tuple[int, int]) -> Float[Tensor, "H W"]:
    """The same mass on another grid: a new cell holds what lay in its area.

    Example:
        >>> regrid(torch.tensor([[0.5, 0.25, 0.25]]).double(), (1, 2)).tolist()
        [[0.625, 0.375]]
    """
    rows, columns = (_cells(old, new) for old, new in zip(mass_.shape, size, strict=True))
    return rows @ mass_ @ columns.mT


def common_grid(one: tuple[int, ...], other: tuple[int, ...], *, finest: int = FINEST) -> tuple[int, int]:
    """The grid two maps are compared on: along each side the coarser of the two, and no finer than `finest`.

    A coarse map does not say where in its cells the evidence lies, so the finer one is brought down to it.

    Example:
        >>> common_grid((56, 56), (7, 14))
        (7, 14)
    """
    height, width = (min(sides) for sides in zip(one, other, strict=True))
    share = min(1.0, finest / max(height, width))
    return max(1, round(height * share)), max(1, round(width * share))


def difference(
    before: Float[Tensor, "h w"], after: Float[Tensor, "H W"], *, finest: int = FINEST
) -> Float[Tensor, "y x"]:
    """What each place gained (above zero) and lost (below) from one mass to the next; the sum is zero.

    Example:
        >>> difference(torch.tensor([[0.75, 0.25]]).double(), torch.tensor([[0.25, 0.75]]).double()).tolist()
        [[-0.5, 0.5]]
    """
    size = common_grid(before.shape, after.shape, finest=finest)
    return regrid(after, size) - regrid(before, size)


def moved(change: Float[Tensor, "y x"]) -> float:
    """Share of the evidence that lies elsewhere than before, 0..1: half the sum of a difference's magnitudes."""
    return 0.5 * float(change.abs().sum())


def centre(mass_: Float[Tensor, "h w"]) -> Centre:
    """Centre of mass and standard deviation along both sides.

    Example:
        >>> centre(torch.tensor([[0.25, 0.75]]).double()).x
        0.625
    """
    y, down = _moments(mass_.sum(1))
    x, across = _moments(mass_.sum(0))
    return Centre(x, y, across, down)


def inside(mass_: Float[Tensor, "h w"], boxes: Sequence[Box]) -> tuple[float, ...]:
    """Share of the mass that lies in each box; what sticks out of the picture holds nothing.

    Example:
        >>> inside(torch.tensor([[0.5, 0.5]]).double(), [(0.25, 0.0, 0.75, 1.0)])
        (0.75,)
    """
    x, y, width, height = torch.tensor(boxes, dtype=torch.float64).unbind(1)
    rows = overlap(mass_.shape[0], torch.stack([y, y + height], 1))
    columns = overlap(mass_.shape[1], torch.stack([x, x + width], 1))
    return tuple((rows @ mass_ * columns).sum(1).tolist())


def _moments(profile: Float[Tensor, " n"]) -> tuple[float, float]:
    """Mean and standard deviation of a mass along 0..1 that lies evenly within each of its n cells."""
    count = len(profile)
    places = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    mean = float(profile @ places)
    return mean, float(profile @ (places - mean).square() + 1.0 / (12 * count * count)) ** 0.5


@lru_cache(maxsize=64)
def _cells(old: int, new: int) -> Float[Tensor, "new old"]:
    """Shares of each of `old` even cells along a side that lie in each of `new` even cells."""
    edges = torch.arange(new + 1, dtype=torch.float64) / new
    return overlap(old, torch.stack([edges[:-1], edges[1:]], 1))


def overlap(cells: int, spans: Float[Tensor, "n 2"]) -> Float[Tensor, "n cells"]:
    """Share of each even cell of 0..1 that lies within each span."""
    edges = torch.arange(cells + 1, dtype=torch.float64) / cells
    low = torch.maximum(edges[:-1], spans[:, :1])
    high = torch.minimum(edges[1:], spans[:, 1:])
    return (high - low).clamp(min=0.0) * cells
