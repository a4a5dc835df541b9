"""A view of a whole tensor is that tensor: what flows back through the view belongs to the layer too."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import sightline

VIEWS: dict[str, Callable[[Tensor], Tensor]] = {
    "view": lambda x: x.view(x.shape),
    "all of it": lambda x: x[:],
    "dots": lambda x: x[...],
    "every channel": lambda x: x[:, :],
    "expanded": lambda x: x.expand_as(x),
    "one chunk": lambda x: x.chunk(1)[0],
    "split into one": lambda x: x.split(6, 1)[0],
    "narrowed": lambda x: x.narrow(1, 0, x.shape[1]),
    "permuted": lambda x: x.permute(0, 1, 2, 3),
    "turned and back": lambda x: x.mT.mT,
    "flattened and back": lambda x: x.flatten(2).view(x.shape),
    "sliced by an operation": lambda x: torch.ops.aten.slice.Tensor(x, 0, 0, 2**63 - 1),
}


class Residual(nn.Module):
    """Every tensor is read once as it is and once through a view."""

    def __init__(self, view: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.first = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU())
            self.second = nn.Conv2d(6, 6, 3, padding=1)
            self.head = nn.Linear(6, 4)
        self.view = view

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x + 0.5 * self.view(x))
        x = x + self.second(self.view(x)).relu()
        return self.head((x + self.view(x)).mean((2, 3)))


@pytest.mark.parametrize("method", ["lrp", "naflow"])
@pytest.mark.parametrize("name", VIEWS)
def test_a_view_of_a_whole_tensor_changes_no_map(name: str, method: str) -> None:
    x = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    plain, viewed = (
        sightline.explain(Residual(view), x, target=1, method=method, layers="all+input")
        for view in (lambda tensor: tensor, VIEWS[name])
    )
    for one, other in zip(plain, viewed, strict=True):
        assert one.flow.layers == other.flow.layers
        for a, b in zip(one.flow.maps, other.flow.maps, strict=True):
            torch.testing.assert_close(a.values, b.values, rtol=1e-5, atol=1e-7)


def test_a_part_that_is_cut_out_twice_is_one_part() -> None:
    def cut_twice(x: Tensor) -> Tensor:
        first, _ = x[:, :1], x.split([1, x.shape[1] - 1], 1)
        return torch.cat([first, *x.split([1, x.shape[1] - 1], 1)[1:]], 1)

    x = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    plain, cut = (
        sightline.explain(Residual(view), x, target=1, method="lrp", layers="all+input")
        for view in (lambda tensor: tensor, cut_twice)
    )
    for one, other in zip(plain, cut, strict=True):
        for a, b in zip(one.flow.maps, other.flow.maps, strict=True):
            torch.testing.assert_close(a.values, b.values, rtol=1e-5, atol=1e-7)
