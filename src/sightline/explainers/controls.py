"""Explainers that know nothing of the model. What does not beat them is not an explanation."""

from __future__ import annotations

import zlib

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from sightline.explainers.method import control

SIGMA = 0.25
"""Width of the centred Gaussian, as a share of each side."""


@control(name="uniform", title="Uniform", equation="1", source="adebayo2018sanity")
def uniform(inputs: Float[Tensor, "b c H W"], grid: tuple[int, int], seed: int) -> Float[Tensor, "b h w"]:
    """The same value everywhere."""
    return torch.ones(len(inputs), *grid, device=inputs.device)


@control(
    name="gaussian",
    title="Centred Gaussian",
    equation="exp( -(x^2 + y^2) / (2 sigma^2) ),  sigma = 1/4 of each side",
    source="judd2012benchmark",
)
def gaussian(inputs: Float[Tensor, "b c H W"], grid: tuple[int, int], seed: int) -> Float[Tensor, "b h w"]:
    """A bump in the middle: photographers put things there."""
    rows, columns = (
        torch.exp(-(((torch.arange(n, device=inputs.device) + 0.5) / n - 0.5) ** 2) / (2 * SIGMA**2)) for n in grid
    )
    return (rows[:, None] * columns).expand(len(inputs), -1, -1)


@control(
    name="edges",
    title="Edges",
    equation="sqrt( (Sobel_x * gray)^2 + (Sobel_y * gray)^2 ), averaged onto the grid",
    source="adebayo2018sanity",
)
def edges(inputs: Float[Tensor, "b c H W"], grid: tuple[int, int], seed: int) -> Float[Tensor, "b h w"]:
    """Strength of the picture's edges."""
    gray = inputs.float().mean(1, keepdim=True)
    across = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]], device=inputs.device)
    kernels = torch.stack([across, across.T])[:, None]
    steps = F.conv2d(F.pad(gray, (1, 1, 1, 1), mode="replicate"), kernels)
    return F.adaptive_avg_pool2d(steps.norm(dim=1), grid)


@control(
    name="random", title="Random", equation="uniform noise in 0..1, seeded by the picture", source="adebayo2018sanity"
)
def random(inputs: Float[Tensor, "b c H W"], grid: tuple[int, int], seed: int) -> Float[Tensor, "b h w"]:
    """Noise. Each sample's own values seed it, so a picture has one random map in whatever batch it comes."""
    return torch.stack([_noise(sample, grid, seed) for sample in inputs])


def _noise(sample: Tensor, grid: tuple[int, int], seed: int) -> Float[Tensor, "h w"]:
    picture = int(sample.detach().float().cpu().contiguous().view(torch.int32).long().sum())
    generator = torch.Generator().manual_seed(zlib.crc32(f"{seed} {picture} {grid}".encode()))
    return torch.rand(grid, generator=generator).to(sample.device)
