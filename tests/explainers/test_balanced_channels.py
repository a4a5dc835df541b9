"""XGrad-CAM divides by a channel's sum: where a norm has made that zero, rounding does not decide."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import sightline
from sightline.capture.pair import Pair


class MeanTaken(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean((2, 3), keepdim=True)


NORMS: dict[str, Callable[[], nn.Module]] = {
    "instance norm": lambda: nn.InstanceNorm2d(4),
    "group norm of single channels": lambda: nn.GroupNorm(4, 4, affine=False),
    "mean taken away": MeanTaken,
    "instance norm behind a large mean": lambda: nn.Sequential(Shift(20.0), nn.InstanceNorm2d(4)),
}


class Shift(nn.Module):
    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = by

    def forward(self, x: Tensor) -> Tensor:
        return x + self.by


def net(norm: str, dtype: torch.dtype, seed: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        tail = [nn.ReLU(), nn.Conv2d(4, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)]
        return nn.Sequential(nn.Conv2d(3, 4, 3), NORMS[norm](), *tail).eval().to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("norm", NORMS)
def test_a_batch_gives_the_maps_of_single_pictures_behind_a_norm_over_places(norm: str, dtype: torch.dtype) -> None:
    if dtype == torch.bfloat16 and "large" in norm:
        pytest.skip("at a mean of 20 the activations themselves are rounding")
    for seed in range(5):
        model = net(norm, dtype, seed)
        x = torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(seed)).to(dtype)
        both = sightline.explain(model, x, target=0, method="xgradcam", layers=["1"])
        for i in range(2):
            one = sightline.explain(model, x[i : i + 1], target=0, method="xgradcam", layers=["1"]).one()
            assert both[i].flow["1"].status == one.flow["1"].status == "zero"


def test_channels_of_one_sign_and_channels_that_nearly_balance_keep_their_weight() -> None:
    A = torch.zeros(1, 4, 20, 20)
    A[0, 0, 3, 3] = 1e-20
    A[0, 1] = 1.0
    A[0, 2, ::2], A[0, 2, 1::2] = 1.0, -1.0
    A[0, 2, 0, 0] += 0.1
    A[0, 3, ::2], A[0, 3, 1::2] = 1.0, -1.0
    A[0, 3, 0, 0] += 1e-6
    for rounding in (1.2e-7, 7.8e-3):
        balanced = Pair(A, A, rounding).balanced
        assert balanced[0].tolist() == [False, False, rounding > 1e-3, True]


def test_where_nothing_balances_the_map_is_the_equation() -> None:
    A, G = (torch.randn(2, 5, 6, 7, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))
    from sightline.explainers.cam.cams import xgradcam

    weights = (G * A).sum((2, 3)) / A.sum((2, 3))
    right = torch.einsum("bc,bchw->bhw", weights, A).relu()
    assert torch.allclose(xgradcam(Pair(A, G)), right, atol=1e-5)
