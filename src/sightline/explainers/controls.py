"""Explainers that know nothing of the model. What does not beat them is not an explanation.

They take pictures, signals, volumes and clips alike: inputs `[b, c, *places]` and a grid of as many axes.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from sightline.explainers.method import control

SIGMA = 0.25
"""Width of the centred Gaussian, as a share of each side."""

CONVOLUTIONS: dict[int, Callable[..., Tensor]] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
AVERAGES: dict[int, Callable[..., Tensor]] = {
    1: F.adaptive_avg_pool1d,
    2: F.adaptive_avg_pool2d,
    3: F.adaptive_avg_pool3d,
}
"""By the number of place axes."""


@control(name="uniform", title="Uniform", equation="1", source="adebayo2018sanity")
def uniform(inputs: Float[Tensor, "b c ..."], grid: tuple[int, ...], seed: int) -> Float[Tensor, "b ..."]:
    """The same value everywhere."""
    return torch.ones(len(inputs), *grid, dtype=torch.float32, device=inputs.device)


@control(
    name="gaussian",
    title="Centred Gaussian",
    equation="exp( -(x^2 + y^2) / (2 sigma^2) ),  sigma = 1/4 of each side",
    source="judd2012benchmark",
)
def gaussian(inputs: Float[Tensor, "b c ..."], grid: tuple[int, ...], seed: int) -> Float[Tensor, "b ..."]:
    """A bump in the middle: photographers put things there."""
    first, *others = (
        torch.exp(
            -(((torch.arange(n, dtype=torch.float32, device=inputs.device) + 0.5) / n - 0.5) ** 2) / (2 * SIGMA**2)
        )
        for n in grid
    )
    for side in others:
        first = first[..., None] * side
    return first.expand(len(inputs), *grid)


@control(
    name="edges",
    title="Edges",
    equation="sqrt( (Sobel_x * gray)^2 + (Sobel_y * gray)^2 ), averaged onto the grid",
    source="adebayo2018sanity",
)
def edges(inputs: Float[Tensor, "b c ..."], grid: tuple[int, ...], seed: int) -> Float[Tensor, "b ..."]:
    """Strength of the input's edges: steps along every axis, smoothed along the others."""
    gray = inputs.float().mean(1, keepdim=True)
    axes = gray.ndim - 2
    padded = F.pad(gray, (1, 1) * axes, mode="replicate")
    with torch.autocast(gray.device.type, enabled=False):
        steps = CONVOLUTIONS[axes](padded, _sobel(axes).to(gray))
    return AVERAGES[axes](steps.norm(dim=1), grid)


def _sobel(axes: int) -> Float[Tensor, "axes 1 ..."]:
    """A kernel for each axis, the last axis first: a step along it, a binomial sum along the others."""
    step, smooth = torch.tensor([-1.0, 0.0, 1.0]), torch.tensor([1.0, 2.0, 1.0])
    kernels = []
    for along in reversed(range(axes)):
        kernel = torch.ones(())
        for axis in range(axes):
            kernel = kernel[..., None] * (step if axis == along else smooth)
        kernels.append(kernel)
    return torch.stack(kernels)[:, None]


@control(
    name="random", title="Random", equation="uniform noise in 0..1, seeded by the picture", source="adebayo2018sanity"
)
def random(inputs: Float[Tensor, "b c ..."], grid: tuple[int, ...], seed: int) -> Float[Tensor, "b ..."]:
    """Noise. Each sample's own values seed it, so a picture has one random map in whatever batch it comes."""
    return torch.stack([_noise(sample, grid, seed) for sample in inputs])


def _noise(sample: Tensor, grid: tuple[int, ...], seed: int) -> Float[Tensor, "..."]:
    picture = int(sample.detach().float().cpu().contiguous().view(torch.int32).long().sum())
    generator = torch.Generator().manual_seed(zlib.crc32(f"{seed} {picture} {grid}".encode()))
    return torch.rand(grid, dtype=torch.float32, generator=generator).to(sample.device)
