"""Relevance handed from an activation to the layer before it is what relevance over value would have become."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from sightline import explain
from sightline.common.modes import leave_as_found
from sightline.explainers.flow.affine import Affine, fused
from sightline.explainers.flow.lrp.gamma import gamma_rule
from sightline.explainers.flow.lrp.messages import Relevance, over
from sightline.explainers.flow.lrp.rules import Rules
from sightline.explainers.flow.tape import recording

MAPS = {
    "small weights": (nn.Conv2d(4, 6, 1), 8),
    "weights larger than what they make": (nn.Conv2d(4, 6, 3), 3),
    "grouped": (nn.Conv2d(4, 8, 3, padding=1, groups=2), 8),
    "transposed": (nn.ConvTranspose2d(4, 6, 2, 2), 8),
}


def step_of(name: str, sign: float) -> tuple[Affine, Tensor, Tensor]:
    """A layer with a batch norm behind it, some of whose factors may be negative; its input and output."""
    torch.manual_seed(0)
    layer, side = MAPS[name]
    norm = nn.BatchNorm2d(layer.out_channels)
    norm.weight.data = torch.linspace(sign, 1.5, layer.out_channels)
    norm.bias.data.normal_()
    model = nn.Sequential(layer, norm).double().eval()
    x = torch.rand(2, 4, side, side, dtype=torch.double)
    with leave_as_found(model), recording(x) as tape:
        z = model(x)
    step = fused(tape)[0][0]
    assert isinstance(step, Affine)
    return step, x, z


@pytest.mark.parametrize("sign", [0.5, -0.5])
@pytest.mark.parametrize("gamma", [0.0, 0.25, math.inf])
@pytest.mark.parametrize("positive", [True, False])
@pytest.mark.parametrize("name", MAPS)
def test_all_ways_through_a_layer_give_the_equation(name: str, positive: bool, gamma: float, sign: float) -> None:
    step, x, z = step_of(name, sign)
    x = x if positive else x - 0.5
    z = z if positive else step.apply(x, step.W, step.bias)
    R = torch.randn(z.shape, dtype=z.dtype, generator=torch.Generator().manual_seed(1)) * (z > 0)
    plain, raised = (0.0, 1.0) if math.isinf(gamma) else (1.0, gamma)
    want = torch.zeros_like(x)
    with torch.enable_grad():
        for b in range(len(x)):
            # Each contribution by itself: the Jacobian of the map without its bias.
            one = x[b : b + 1].detach().requires_grad_()
            J = torch.autograd.functional.jacobian(lambda v: step.apply(v, step.W), one).reshape(z[b].numel(), -1)
            parts = J * one.detach().reshape(1, -1)
            bias = step.bias[:, None, None].expand_as(z[b]).reshape(-1)
            s = z[b].reshape(-1, 1).sign()
            below = (
                plain * z[b].reshape(-1)
                + raised * ((parts * s).clamp_min(0).sum(1) + (bias * s[:, 0]).clamp_min(0)) * s[:, 0]
            )
            shares = (plain * parts + raised * (parts * s).clamp_min(0) * s) / below[:, None]
            want[b] = (shares * R[b].reshape(-1, 1)).sum(0).reshape(x[b].shape)
    G = over(Relevance(R), z)
    for rectified in (False, True):
        known = {"positive": positive, "rectified": rectified}
        for message in (G, Relevance(R.clone())):
            torch.testing.assert_close(x * gamma_rule(step, x, z, message, gamma, **known), want)


class TwoReaders(nn.Module):
    """The decision reads a layer before its activation and behind it."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        z = self.second(self.first(x).relu())
        return self.head(torch.cat([z.mean((2, 3)), nn.functional.hardswish(z).mean((2, 3))], 1))


def test_a_layer_that_is_read_past_its_activation_gets_one_kind_of_message(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = TwoReaders(), torch.rand(1, 3, 6, 6)
    maps = [m.values for m in explain(model, x, target=1, method="lrp", layers=["first", "second"]).one().flow.maps]
    monkeypatch.setattr(Rules, "_hands_relevance", lambda self, node: False)
    plain = [m.values for m in explain(model, x, target=1, method="lrp", layers=["first", "second"]).one().flow.maps]
    for own, want in zip(maps, plain, strict=True):
        torch.testing.assert_close(own, want, rtol=1e-5, atol=1e-7)


class Between(nn.Module):
    """The decision is a layer before its activation, which is returned beside what follows."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.third = (nn.Conv2d(n, 4, 3, padding=1) for n in (3, 4, 4))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.second(self.first(x).relu())
        return z, self.third(z.relu()).mean((2, 3))


def test_a_decision_may_read_a_layer_before_its_activation_too() -> None:
    model, x = Between(), torch.rand(1, 3, 6, 6)

    def decision(output: tuple[Tensor, Tensor]) -> Tensor:
        return output[0][:, 1].sum((1, 2)) + output[1][:, 2]

    ask = {"target": decision, "method": "lrp", "layers": ["first"]}
    (own,) = explain(model, x, output=lambda raw: raw, **ask).one().flow.maps
    # By hand: the relevance of the first layer is that of both ways together.
    parts = [
        explain(model, x, output=lambda raw: raw, **{**ask, "target": part}).one().flow.maps[0].values
        for part in (lambda out: out[0][:, 1].sum((1, 2)), lambda out: out[1][:, 2])
    ]
    torch.testing.assert_close(own.values, sum(parts), rtol=1e-4, atol=1e-6)
