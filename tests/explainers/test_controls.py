"""Controls over inputs of any rank, each against a loop over its equation; on pictures bit for bit as they were."""

from __future__ import annotations

import math
import zlib
from itertools import product

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from sightline.explainers.controls import edges, gaussian, random, uniform

SIZES = {1: (12,), 2: (6, 9), 3: (4, 6, 8)}
GRIDS = {1: (3,), 2: (3, 3), 3: (2, 3, 4)}
each_rank = pytest.mark.parametrize("rank", list(SIZES))


def inputs_of(rank: int) -> Tensor:
    torch.manual_seed(rank)
    return torch.randn(2, 3, *SIZES[rank])


@each_rank
def test_uniform_is_one_everywhere(rank: int) -> None:
    assert torch.equal(uniform(inputs_of(rank), GRIDS[rank], 0), torch.ones(2, *GRIDS[rank]))


@each_rank
def test_gaussian_is_a_product_over_the_axes(rank: int) -> None:
    values = gaussian(inputs_of(rank), GRIDS[rank], 0)
    for at in product(*map(range, GRIDS[rank])):
        squares = (((p + 0.5) / n - 0.5) ** 2 for p, n in zip(at, GRIDS[rank], strict=True))
        assert float(values[(1, *at)]) == pytest.approx(math.exp(-sum(squares) / (2 * 0.25**2)), rel=1e-5)


@each_rank
def test_edges_are_sobel_steps_along_every_axis_averaged_onto_the_grid(rank: int) -> None:
    inputs, size, grid = inputs_of(rank), SIZES[rank], GRIDS[rank]
    gray = inputs.mean(1)[0]

    def value(place: tuple[int, ...]) -> float:
        inside = tuple(min(n - 1, max(0, p)) for p, n in zip(place, size, strict=True))
        return float(gray[inside])

    strength = torch.zeros(size)
    for place in product(*map(range, size)):
        total = 0.0
        for along in range(rank):
            step = 0.0
            for shift in product((-1, 0, 1), repeat=rank):
                weight = math.prod(s if axis == along else 2 - abs(s) for axis, s in enumerate(shift))
                step += weight * value(tuple(p + s for p, s in zip(place, shift, strict=True)))
            total += step**2
        strength[place] = math.sqrt(total)
    blocks = [n // g for n, g in zip(size, grid, strict=True)]
    values = edges(inputs, grid, 0)[0]
    for at in product(*map(range, grid)):
        block = strength[tuple(slice(p * n, (p + 1) * n) for p, n in zip(at, blocks, strict=True))]
        assert float(values[at]) == pytest.approx(float(block.mean()), rel=1e-4)


@each_rank
def test_random_is_noise_that_each_sample_seeds_itself(rank: int) -> None:
    inputs, grid = inputs_of(rank), GRIDS[rank]
    values = random(inputs, grid, 7)
    assert not torch.equal(values[0], values[1])
    assert torch.equal(random(inputs[1:], grid, 7)[0], values[1])
    assert not torch.equal(random(inputs, grid, 8), values)
    seed = zlib.crc32(f"7 {int(inputs[0].view(torch.int32).long().sum())} {grid}".encode())
    assert torch.equal(values[0], torch.rand(grid, generator=torch.Generator().manual_seed(seed)))


def test_edges_and_gaussian_of_pictures_are_bit_for_bit_what_two_axes_gave() -> None:
    inputs = torch.rand(2, 3, 37, 50)
    across = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
    kernels = torch.stack([across, across.T])[:, None]
    steps = F.conv2d(F.pad(inputs.mean(1, keepdim=True), (1, 1, 1, 1), mode="replicate"), kernels)
    assert torch.equal(edges(inputs, (7, 9), 0), F.adaptive_avg_pool2d(steps.norm(dim=1), (7, 9)))
    rows, columns = (torch.exp(-(((torch.arange(n) + 0.5) / n - 0.5) ** 2) / (2 * 0.25**2)) for n in (7, 9))
    assert torch.equal(gaussian(inputs, (7, 9), 0)[1], rows[:, None] * columns)
