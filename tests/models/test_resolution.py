"""Places at another resolution, where they stand in several axes: against brute force."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.models import adapt

SIDES = (8, 12)


def coordinates(dim: int) -> Tensor:
    """An input whose every value is its own place along an axis."""
    steps = torch.arange(SIDES[dim - 2], dtype=torch.float32)
    return steps.reshape([-1 if d == dim else 1 for d in range(4)]).expand(2, 3, *SIDES).contiguous()


def windows(x: Tensor, side: int = 4) -> Tensor:
    """`[b, c, y, x]` in windows `[b * rows * columns, c, side, side]`."""
    b, c, rows, columns = x.shape
    x = x.reshape(b, c, rows // side, side, columns // side, side)
    return x.permute(0, 2, 4, 1, 3, 5).reshape(-1, c, side, side)


def whole(w: Tensor, rows: int = 2, columns: int = 3) -> Tensor:
    """The windows put together again."""
    c, side = w.shape[1], w.shape[-1]
    w = w.reshape(-1, rows, columns, c, side, side).permute(0, 3, 1, 4, 2, 5)
    return w.reshape(-1, c, rows * side, columns * side)


def depth(x: Tensor) -> Tensor:
    """Space to depth by views: two by two places go into channels."""
    b, c, rows, columns = x.shape
    x = x.reshape(b, c, rows // 2, 2, columns // 2, 2).permute(0, 3, 5, 1, 2, 4)
    return x.reshape(b, -1, rows // 2, columns // 2)


def halo(x: Tensor) -> Tensor:
    """Queries of each window against a larger window around it."""
    queries = windows(x).flatten(2).mT
    around = F.pad(x, (1, 1, 1, 1)).unfold(2, 6, 4).unfold(3, 6, 4).permute(0, 2, 3, 4, 5, 1).reshape(-1, 36, 3)
    return whole((queries @ around.mT @ around).mT.reshape(-1, 3, 4, 4))


def asked_everywhere(x: Tensor) -> Tensor:
    """The same few queries in every window, added to what is there."""
    few = F.avg_pool2d(x, (2, 3)).flatten(2).mT.repeat_interleave(6, 0)
    return x + 0 * whole((few @ windows(x).flatten(2) @ windows(x).flatten(2).mT).mT.reshape(-1, 3, 4, 4))


SAME: dict[str, Callable[[Tensor], Tensor]] = {
    "a convolution within windows": lambda x: F.conv2d(windows(x), torch.ones(3, 1, 1, 1), groups=3),
    "pooling of the same size within windows": lambda x: whole(F.avg_pool2d(windows(x), 1)),
    "a roll, a convolution, a roll back": lambda x: F.avg_pool2d(x.roll((1, 2), (2, 3)), 1).roll((-1, -2), (2, 3)),
    "queries asked in every window": asked_everywhere,
}
HALF: dict[str, Callable[[Tensor], Tensor]] = {
    "windows pooled": lambda x: F.avg_pool2d(windows(x), 2),
    "windows pooled and put together": lambda x: whole(F.avg_pool2d(windows(x), 2)),
    "windows pooled, joined with the pooled picture": lambda x: (
        (whole(F.avg_pool2d(windows(x), 2)) + F.avg_pool2d(x, 2)) / 2
    ),
    "depth, then a convolution": lambda x: F.conv2d(depth(x), torch.full((1, 12, 1, 1), 1 / 12)),
    "depth, then a convolution with a frame": lambda x: F.conv2d(
        depth(x), F.pad(torch.full((1, 12, 1, 1), 1 / 12), (1, 1, 1, 1)), padding=1
    ),
    "depth and the pooled picture": lambda x: (
        F.conv2d(depth(x), torch.full((3, 12, 1, 1), 1 / 24)) + F.avg_pool2d(x, 2) / 2
    ),
    "the mean of each window of two": lambda x: windows(x, 2).mean((2, 3)),
}


class Moving(nn.Module):
    """Moves its input and returns what it made."""

    def __init__(self, move: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.moved, self.move = nn.Conv2d(3, 3, 1, groups=3, bias=False), nn.Identity(), move
        nn.init.ones_(self.first.weight)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.moved(self.move(self.first(x)))
        return out


@pytest.mark.parametrize("name", [*SAME, *HALF])
@pytest.mark.parametrize("dim", [2, 3])
def test_every_place_is_found_at_its_resolution(name: str, dim: int) -> None:
    model = Moving({**SAME, **HALF}[name])
    x = coordinates(dim)
    site = adapt(model).structure(x).site("moved", "output", 1)
    assert site is not None
    assert site.layout is not None
    grid = site.layout.to_grid(model(x).detach()).mean(1)
    wanted = x[:, 0] if name in SAME else F.avg_pool2d(x, 2)[:, 0]
    assert torch.allclose(grid, wanted)


def test_windows_that_look_beyond_their_edge_are_put_together() -> None:
    model = Moving(halo)
    site = adapt(model).structure(coordinates(2)).site("moved", "output", 1)
    assert site is not None
    assert site.layout is not None
    assert site.layout.size == SIDES
    assert site.layout.kind == "grid"


def test_windows_of_which_some_are_taken_have_no_places() -> None:
    model = Moving(lambda x: F.avg_pool2d(windows(x), 2).reshape(-1, 6, 3, 2, 2)[:, 1:].flatten(0, 1))
    site = adapt(model).structure(coordinates(2)).site("moved", "output", 1)
    assert site is not None
    assert site.layout is None
