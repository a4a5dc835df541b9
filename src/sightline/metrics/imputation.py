r"""Noisy linear imputation: hidden pixels become the weighted mean of their neighbours, plus a little noise.

The linear system of ROAD [rong2022road], solved for a whole batch at once on the device: conjugate gradients,
preconditioned by a multigrid cycle over 2x2 aggregates. It knows pictures and masks, no models.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import EllipsisType

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

STRAIGHT, OBLIQUE = 1 / 6, 1 / 12
DAMPING = 0.8
OVER = 1.6
"""A coarse correction of piecewise constants falls short by about this factor."""
CHECK = 2
"""Iterations between looks at the residual (each look waits for the device)."""

Place = tuple[EllipsisType, slice, slice]


@dataclass(frozen=True)
class Level:
    """The system on one grid: its diagonal, its couplings to four of eight neighbours, which cells are unknown."""

    diagonal: Float[Tensor, "r 1 h w"]
    right: Float[Tensor, "r 1 h w"]
    down: Float[Tensor, "r 1 h w"]
    across: Float[Tensor, "r 1 h w"]
    back: Float[Tensor, "r 1 h w"]
    unknown: Float[Tensor, "r 1 h w"]

    def apply(self, x: Float[Tensor, "r c h w"]) -> Float[Tensor, "r c h w"]:
        """The matrix times `x`; `x` is zero where nothing is unknown."""
        y = self.diagonal * x
        for weight, cells, neighbours in self._pairs():
            coupling = weight[cells]
            y[cells].addcmul_(coupling, x[neighbours], value=-1)
            y[neighbours].addcmul_(coupling, x[cells], value=-1)
        return y

    def residual(self, right: Float[Tensor, "r c h w"], x: Float[Tensor, "r c h w"]) -> Float[Tensor, "r c h w"]:
        """What is missing: `right` less the matrix times `x`."""
        y = self.apply(x)
        return torch.sub(right, y, out=y)

    def _pairs(self) -> tuple[tuple[Tensor, Place, Place], ...]:
        first, last, all_ = slice(None, -1), slice(1, None), slice(None)
        return (
            (self.right, (..., all_, first), (..., all_, last)),
            (self.down, (..., first, all_), (..., last, all_)),
            (self.across, (..., first, first), (..., last, last)),
            (self.back, (..., first, last), (..., last, first)),
        )


def impute(
    pictures: Float[Tensor, "r c h w"],
    hidden: Bool[Tensor, "r 1 h w"],
    *,
    noise: float = 0.01,
    seed: int = 0,
    tolerance: float = 5e-4,
    iterations: int = 200,
) -> Float[Tensor, "r c h w"]:
    r"""Fill hidden pixels from the visible ones.

    For every hidden pixel $i$: $x_i \sum_j w_{ij} = \sum_j w_{ij} x_j$ over its neighbours $j$ inside the picture,
    $w = 1/6$ for direct and $1/12$ for diagonal ones, known where visible; then $x_i \leftarrow x_i + \sigma\epsilon$
    [rong2022road].

    Args:
        pictures: any units.
        hidden: what is to be filled. A picture without any visible pixel is filled with its mean.
        noise: standard deviation, in units of the pictures.
        seed: random seed of the noise, which is one field for all rows, so that a batch gives what singles give.
        tolerance: residual, relative to the right-hand side, at which the solver stops. At the default, what is left
            of the error is a fifth of the noise at most (root mean square; a test compares with the exact solution).
        iterations: at most that many.

    Returns:
        The pictures, with the visible pixels as they were.
    """
    values = pictures if pictures.dtype == torch.float64 else pictures.float()
    centre = values.mean((-2, -1), keepdim=True)
    level, pull = _system(values - centre, hidden)
    filled = solve(level, pull, tolerance=tolerance, iterations=iterations) + centre
    if noise:
        field = torch.randn(values.shape[1:], generator=torch.Generator().manual_seed(seed), dtype=torch.float32)
        filled = filled + noise * field.to(filled)
    return torch.where(hidden, filled.to(pictures.dtype), pictures)


def solve(
    level: Level, right: Float[Tensor, "r c h w"], *, tolerance: float, iterations: int
) -> Float[Tensor, "r c h w"]:
    """Preconditioned conjugate gradients, every row and channel on its own."""
    levels = hierarchy(level)
    x, residual = torch.zeros_like(right), right
    goal = tolerance * right.norm(dim=(-2, -1), keepdim=True)
    direction = z = cycle(levels, residual)
    energy = (residual * z).sum((-2, -1), keepdim=True)
    for step in range(1, iterations + 1):
        image = level.apply(direction)
        length = _ratio(energy, (direction * image).sum((-2, -1), keepdim=True))
        x.addcmul_(length, direction)
        residual = residual.addcmul(length, image, value=-1)
        if step % CHECK == 0 and bool((residual.norm(dim=(-2, -1), keepdim=True) <= goal).all()):
            break
        z = cycle(levels, residual)
        fresh = (residual * z).sum((-2, -1), keepdim=True)
        direction = z.addcmul_(_ratio(fresh, energy), direction)
        energy = fresh
    return x


def _system(pictures: Tensor, hidden: Tensor) -> tuple[Level, Tensor]:
    """The finest level, and the pull of the visible pixels on the hidden ones."""
    unknown = hidden.to(pictures.dtype)
    visible = pictures * (1 - unknown)
    total = _neighbours(torch.ones_like(unknown))
    live = unknown * (unknown.flatten(1).mean(1) < 1).to(unknown.dtype)[:, None, None, None]
    right, down = live.clone(), live.clone()
    right[..., :-1] *= live[..., 1:] * STRAIGHT
    down[..., :-1, :] *= live[..., 1:, :] * STRAIGHT
    across, back = torch.zeros_like(live), torch.zeros_like(live)
    across[..., :-1, :-1] = live[..., :-1, :-1] * live[..., 1:, 1:] * OBLIQUE
    back[..., :-1, 1:] = live[..., :-1, 1:] * live[..., 1:, :-1] * OBLIQUE
    right[..., -1], down[..., -1, :] = 0, 0
    diagonal = torch.where(live > 0, total, 1)
    return Level(diagonal, right, down, across, back, live), live * _neighbours(visible)


def _neighbours(x: Float[Tensor, "r c h w"]) -> Float[Tensor, "r c h w"]:
    """Weighted sum over the eight neighbours: binomial sums along both axes, less the middle."""
    padded = functional.pad(x, (1, 1, 1, 1))
    rows = padded[..., :-2, :] + 2 * padded[..., 1:-1, :] + padded[..., 2:, :]
    return (rows[..., :-2] + 2 * rows[..., 1:-1] + rows[..., 2:]) * OBLIQUE - x * (4 * OBLIQUE)


def hierarchy(level: Level) -> list[Level]:
    """The system on grids of half the side, down to a single cell."""
    levels = [level]
    while max(levels[-1].diagonal.shape[-2:]) > 1:
        levels.append(_coarser(levels[-1]))
    return levels


def _coarser(fine: Level) -> Level:
    r"""Galerkin product $P^\top A P$ with piecewise constant $P$: sums of couplings within and between 2x2 blocks."""
    right, down, across, back, unknown = map(_even, (fine.right, fine.down, fine.across, fine.back, fine.unknown))
    top, bottom, left, end = slice(0, None, 2), slice(1, None, 2), slice(0, None, 2), slice(1, None, 2)
    inside = right[..., top, left] + right[..., bottom, left] + down[..., top, left] + down[..., top, end]
    inside = inside + across[..., top, left] + back[..., top, end]
    # a diagonal coupling leaves its block sideways, downwards or through the corner
    sideways = right[..., top, end] + right[..., bottom, end] + across[..., top, end]
    sideways[..., :-1] += back[..., top, left][..., 1:]
    below = down[..., bottom, left] + down[..., bottom, end] + across[..., bottom, left] + back[..., bottom, end]
    some = functional.max_pool2d(unknown, 2)
    diagonal = _sum(fine.diagonal * fine.unknown) - 2 * inside
    return Level(
        torch.where(some > 0, diagonal, 1), sideways, below, across[..., bottom, end], back[..., bottom, left], some
    )


def _even(x: Tensor) -> Tensor:
    odd = (x.shape[-1] % 2, x.shape[-2] % 2)
    return functional.pad(x, (0, odd[0], 0, odd[1])) if any(odd) else x


def _sum(x: Tensor) -> Tensor:
    """Sums over 2x2 blocks; strided additions are ten times as quick as pooling here."""
    whole = _even(x)
    rows = whole[..., ::2, :] + whole[..., 1::2, :]
    return rows[..., ::2] + rows[..., 1::2]


def cycle(levels: list[Level], right: Float[Tensor, "r c h w"]) -> Float[Tensor, "r c h w"]:
    """One symmetric V-cycle: smooth, correct on the coarser grid, smooth."""
    level = levels[0]
    if len(levels) == 1:
        return level.unknown * right / level.diagonal
    weight = DAMPING * level.unknown / level.diagonal
    x = weight * right
    coarse = cycle(levels[1:], _sum(level.residual(right, x)).mul_(levels[1].unknown))
    step = functional.interpolate(coarse, scale_factor=2)[..., : x.shape[-2], : x.shape[-1]]
    x.addcmul_(level.unknown, step, value=OVER)
    return x.addcmul_(weight, level.residual(right, x))


def _ratio(above: Tensor, below: Tensor) -> Tensor:
    return torch.where(below > 0, above / below, 0)
