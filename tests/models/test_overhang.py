"""Kernels that look beyond the ends make places that the model cuts off again; that is no crop of the input."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import sightline
from sightline.models import adapt


class Made(nn.Module):
    """Passes on what it makes of its first layer."""

    def __init__(self, make: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.made, self.make = nn.Conv1d(2, 4, 3, padding=1), nn.Identity(), make

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.made(self.make(self.first(x)))
        return out


def conv(x: Tensor, size: int, padding: int, **options: int) -> Tensor:
    return F.conv1d(x, torch.ones(4, 1, size), padding=padding, groups=4, **options)


WHOLE: dict[str, Callable[[Tensor], Tensor]] = {
    "a kernel of even size": lambda x: conv(x, 16, 8)[:, :, :-1],
    "added to what it read": lambda x: x + conv(x, 16, 8)[:, :, :-1],
    "a causal kernel": lambda x: x + conv(x, 3, 2)[:, :, :-2],
    "a causal kernel with holes": lambda x: x + conv(x, 3, 8, dilation=4)[:, :, :-8],
    "two causal kernels": lambda x: conv(conv(x, 3, 2)[:, :, :-2], 3, 4, dilation=2)[:, :, :-4],
    "cut at both ends": lambda x: x + conv(x, 3, 3)[:, :, 2:-2],
    "cut after a kernel of odd size": lambda x: x + conv(conv(x, 4, 2), 3, 1)[:, :, 1:],
    "cut by the next kernel": lambda x: conv(conv(x, 4, 3), 4, 0) + x,
    "padded by hand": lambda x: x + conv(F.pad(x, (2, 0)), 3, 0),
}
CROPPED: dict[str, Callable[[Tensor], Tensor]] = {
    "a crop": lambda x: x[:, :, :-1],
    "more than was added": lambda x: conv(x, 3, 2)[:, :, :-3],
    "added and cut before": lambda x: conv(x[:, :, :-2], 3, 2),
    "twice as many": lambda x: F.conv_transpose1d(x, torch.ones(4, 1, 2), stride=2, groups=4)[:, :, :-1],
    "as many by a transposed kernel": lambda x: F.conv_transpose1d(x, torch.ones(4, 1, 3), stride=1, groups=4)[
        :, :, :20
    ],
    "half of them": lambda x: conv(x, 3, 12, stride=2)[:, :, :-1],
}


@pytest.mark.parametrize("name", WHOLE)
def test_places_that_kernels_added_may_be_cut_off(name: str) -> None:
    site = adapt(Made(WHOLE[name]).eval()).structure(torch.rand(2, 2, 20)).site("made", "output", 1)
    assert site is not None
    assert site.layout is not None
    assert site.layout.size == (20,)


@pytest.mark.parametrize("name", CROPPED)
def test_places_of_the_input_may_not(name: str) -> None:
    site = adapt(Made(CROPPED[name]).eval()).structure(torch.rand(2, 2, 20)).site("made", "output", 1)
    assert site is not None
    assert site.layout is None


class Causal(nn.Module):
    """A block of a temporal convolutional network."""

    def __init__(self, holes: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(8, 8, 3, padding=2 * holes, dilation=holes)
        self.cut = 2 * holes

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x)[:, :, : -self.cut].relu()


def test_a_temporal_convolutional_network_has_all_its_blocks() -> None:
    model = nn.Sequential(
        nn.Conv1d(2, 8, 1), *(Causal(2**i) for i in range(4)), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(8, 3)
    )
    flow = sightline.explain(model.eval(), torch.rand(1, 2, 64), target=1)[0].flow
    assert flow.layers == ("0", "1", "2", "3", "4")
    assert all(map_.values.shape == (64,) for map_ in flow.maps)
