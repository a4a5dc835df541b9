"""Rules of the first layer against sums over single weights, and relevance through what comes before that layer."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

import sightline
from sightline.errors import MethodError
from sightline.explainers.flow.affine import affine_of
from sightline.explainers.flow.lrp.bounded import bounded_rule, flat_rule, squared_rule
from tests.explainers.flow.test_lrp import LAYERS
from tests.explainers.flow.test_tape import taped

DOUBLE = torch.float64
SIDE = 8
KINDS = {
    **{
        name: (make, (1, 4 if name == "grouped" else 3, 4, 4))
        for name, make in LAYERS.items()
        if name != "batch norm"
    },
    "signal": (lambda: nn.Conv1d(2, 3, 3, stride=2, padding=1), (1, 2, 9)),
    "volume": (lambda: nn.Conv3d(1, 3, 2, padding=1), (1, 1, 3, 4, 3)),
    "patches": (lambda: nn.Conv2d(3, 5, 2, stride=2), (1, 3, 4, 4)),
}


def by_sums(J: Tensor, x: Tensor, low: Tensor, high: Tensor, R: Tensor) -> Tensor:
    """The rule for bounded pixels, weight by weight, from the dense Jacobian `[outputs, inputs]`."""
    result = torch.zeros_like(x)
    for weights, relevance in zip(J, R, strict=True):
        shares = x * weights - low * weights.clamp_min(0) - high * weights.clamp_max(0)
        result += shares / shares.sum() * relevance
    return result


def parts(kind: str) -> tuple[object, Tensor, Tensor, Tensor]:
    """A layer's step, its input, its Jacobian and a relevance of its output."""
    torch.manual_seed(3)
    make, shape = KINDS[kind]
    module = make().to(DOUBLE).eval()
    x = torch.randn(shape, dtype=DOUBLE)
    tape, z = taped(module, x)
    step = affine_of(tape.calls[-1])
    J = torch.autograd.functional.jacobian(module, x).reshape(z.numel(), x.numel())
    return step, tape.value(step.input), J, torch.randn_like(z)


@pytest.mark.parametrize("kind", KINDS)
def test_the_rule_for_bounded_pixels_is_the_sum_over_weights(kind: str) -> None:
    step, x, J, R = parts(kind)
    low, high = x.min() - torch.rand_like(x), x.max() + torch.rand_like(x)
    expected = by_sums(J, x.flatten(), low.flatten(), high.flatten(), R.flatten())
    result = bounded_rule(step, x, low, high, R)
    torch.testing.assert_close(result.flatten(), expected, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(result.sum(), R.sum(), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rule", [squared_rule, flat_rule])
def test_the_rules_by_weights_are_sums_over_weights(kind: str, rule: Callable[..., Tensor]) -> None:
    step, x, J, R = parts(kind)
    shares = J.square() if rule is squared_rule else (J != 0).to(DOUBLE)
    expected = (shares / shares.sum(1, keepdim=True) * R.flatten()[:, None]).sum(0)
    torch.testing.assert_close(rule(step, x, R).flatten(), expected, rtol=1e-9, atol=1e-12)


def test_pixels_that_all_lie_at_the_worst_end_share_by_squared_weights() -> None:
    step, x, _, R = parts("convolution")
    ends = torch.zeros_like(x)
    torch.testing.assert_close(bounded_rule(step, ends, ends, ends, R), squared_rule(step, x, R))


class Front(nn.Module):
    """A small classifier behind something that is done to its pixels; `first` is the layer that weighs them."""

    def __init__(self, before: Callable[[Tensor], Tensor], first: nn.Module, *, tokens: bool = False) -> None:
        super().__init__()
        self.fc, self.before, self.first = nn.Linear(5, 4), before, first
        self.second, self.tokens = nn.LazyConv2d(5, 1), tokens

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(self.before(x))
        y = y.transpose(1, 2)[..., None] if self.tokens else y
        return self.fc(F.relu(self.second(F.relu(y))).mean((2, 3)))


class Standardise(nn.Module):
    def __init__(self, *, in_place: bool = False) -> None:
        super().__init__()
        self.in_place = in_place
        self.register_buffer("mean", torch.tensor([0.5, 0.4, 0.3], dtype=DOUBLE)[:, None, None])
        self.register_buffer("std", torch.tensor([0.2, -0.3, 0.25], dtype=DOUBLE)[:, None, None])

    def forward(self, x: Tensor) -> Tensor:
        return x.sub_(self.mean).div_(self.std) if self.in_place else (x - self.mean) / self.std


def conv(channels: int = 3, size: int = 3, stride: int = 1) -> nn.Module:
    return nn.Conv2d(channels, 6, size, stride)


def coordinates(x: Tensor) -> Tensor:
    ramp = torch.linspace(-1, 1, x.shape[-1], dtype=x.dtype).expand(len(x), 1, *x.shape[2:])
    return torch.cat([x, ramp], 1)


GREY = torch.tensor([0.3, 0.6, 0.1], dtype=DOUBLE)[:, None, None]
FRONTS: dict[str, Callable[[], Front]] = {
    "nothing": lambda: Front(nn.Identity(), conv()),
    "padding inside the layer": lambda: Front(nn.Identity(), nn.Conv2d(3, 6, 5, padding=2)),
    "batch norm behind the layer": lambda: Front(nn.Identity(), nn.Sequential(conv(), nn.BatchNorm2d(6))),
    "batch norm before the layer": lambda: Front(nn.BatchNorm2d(3), conv()),
    "normalised inside": lambda: Front(Standardise(), conv()),
    "normalised inside, in place": lambda: Front(Standardise(in_place=True), conv()),
    "scaled and shifted": lambda: Front(lambda x: 1 - 2 * x / 255, conv()),
    "clipped": lambda: Front(lambda x: x.clamp(0.1, 0.8), conv()),
    "logarithm": lambda: Front(lambda x: torch.log1p(x), conv()),
    "standardised by its own mean and deviation": lambda: Front(
        lambda x: (x - x.mean((1, 2, 3), keepdim=True)) / x.std((1, 2, 3), keepdim=True), conv()
    ),
    "zeros around": lambda: Front(lambda x: F.pad(x, (1, 2, 0, 1)), conv()),
    "ones around": lambda: Front(lambda x: F.pad(x, (1, 2, 0, 1), value=1.0), conv()),
    "mirrored around": lambda: Front(lambda x: F.pad(x, (2, 2, 2, 2), mode="reflect"), conv()),
    "flipped": lambda: Front(lambda x: x.flip(3), conv()),
    "blue first": lambda: Front(lambda x: x[:, [2, 1, 0]], conv()),
    "rolled": lambda: Front(lambda x: x.roll(3, 2), conv()),
    "one channel repeated": lambda: Front(lambda x: x[:, :1].repeat(1, 3, 1, 1), conv()),
    "one channel expanded": lambda: Front(lambda x: x[:, :1].expand(-1, 3, -1, -1), conv()),
    "one channel three times": lambda: Front(lambda x: torch.cat([x[:, :1]] * 3, 1), conv()),
    "one channel stacked": lambda: Front(lambda x: torch.stack([x[:, 0]] * 3, 1), conv()),
    "made grey": lambda: Front(lambda x: (x * GREY).sum(1, keepdim=True), conv(1)),
    "made grey by its mean": lambda: Front(lambda x: x.mean(1, keepdim=True), conv(1)),
    "opponent colours": lambda: Front(lambda x: torch.cat([x[:, :1] - x[:, 1:2], x[:, :1] + x[:, 2:]], 1), conv(2)),
    "places beside": lambda: Front(coordinates, conv(4)),
    "halved": lambda: Front(nn.AvgPool2d(2), conv()),
    "enlarged": lambda: Front(lambda x: F.interpolate(x, scale_factor=1.5, mode="bilinear"), conv()),
    "enlarged by copies": lambda: Front(lambda x: F.interpolate(x, scale_factor=2), conv()),
    "largest of four": lambda: Front(nn.MaxPool2d(2), conv()),
    "space to depth": lambda: Front(nn.PixelUnshuffle(2), conv(12, 1)),
    "patches by a convolution": lambda: Front(nn.Identity(), conv(3, 4, 4)),
    "patches by a linear layer": lambda: Front(
        lambda x: rearrange(x, "b c (h p) (w q) -> b (h w) (p q c)", p=4, q=4), nn.Linear(48, 6), tokens=True
    ),
    "patches by unfolding": lambda: Front(
        lambda x: F.unfold(x, 4, stride=2).mT.contiguous(), nn.Linear(48, 6), tokens=True
    ),
    "patches with a norm": lambda: Front(
        lambda x: F.layer_norm(rearrange(x, "b c (h p) (w q) -> b (h w) (p q c)", p=4, q=4), (48,)),
        nn.Linear(48, 6, bias=False), tokens=True,
    ),
    "channels last": lambda: Front(lambda x: x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2), conv()),
    "of another type": lambda: Front(lambda x: x.float().double(), conv()),
    "dropout": lambda: Front(nn.Dropout2d(0.5), conv()),
}  # fmt: skip


def front(name: str) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(1)
    model = FRONTS[name]().to(DOUBLE).eval()
    x = torch.rand(2, 3, SIDE, SIDE, dtype=DOUBLE)
    model(x.clone())
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.weight.data.normal_()
            norm.bias.data.normal_()
    return model, x


@pytest.mark.parametrize("name", FRONTS)
def test_pixels_hold_what_the_first_layer_holds(name: str) -> None:
    model, x = front(name)
    for item in sightline.explain(model, x, target=2, method="lrp", layers=["input", "first"]):
        pixels, layer = (item.flow[place] for place in ("input", "first"))
        assert pixels.shape == (SIDE, SIDE)
        size = float(layer.values.abs().sum())
        assert abs(pixels.notes["carried"] - layer.notes["carried"]) <= 1e-5 * size
        assert float(pixels.values.sum()) == pytest.approx(pixels.notes["carried"], abs=1e-5 * size)
        assert not any("No rule" in words for words in item.flow.remarks)


@pytest.mark.parametrize("ends", ["own", "0 and 1"])
@pytest.mark.parametrize("value", [0.0, 0.4, 1.0])
def test_a_picture_of_one_colour_holds_it_too(value: float, ends: str) -> None:
    model, x = front("normalised inside")
    options = {} if ends == "own" else {"low": 0, "high": 1}
    x = torch.full_like(x, value)
    flow = sightline.explain(model, x, target=2, method="lrp", layers=["input", "first"], options=options)[0].flow
    size = float(flow["first"].values.abs().sum())
    assert abs(flow["input"].notes["carried"] - flow["first"].notes["carried"]) <= 1e-5 * size


def map_at_the_input(model: nn.Module, x: Tensor, **options: object) -> Tensor:
    return (
        sightline.explain(model, x, target=2, method="lrp", layers="input", options=options)[0].flow["input"].values
    )


def test_a_model_that_normalises_explains_the_raw_picture_as_one_that_does_not_the_normalised() -> None:
    inside, x = front("normalised inside")
    outside = Front(nn.Identity(), inside.first)
    outside.second, outside.fc = inside.second, inside.fc
    ends = [(torch.full_like(x, end) - inside.before.mean) / inside.before.std for end in (0.0, 1.0)]
    low, high = torch.minimum(*ends)[0, :, 0, 0], torch.maximum(*ends)[0, :, 0, 0]
    raw = map_at_the_input(inside, x, low=0, high=1)
    normalised = map_at_the_input(outside, inside.before(x), low=low, high=high.tolist())
    torch.testing.assert_close(raw, normalised, rtol=1e-5, atol=1e-7)


def test_patches_are_read_alike_by_a_convolution_and_by_a_linear_layer() -> None:
    by_conv, x = front("patches by a convolution")
    by_linear, _ = front("patches by a linear layer")
    weight = rearrange(by_conv.first.weight.data, "o c p q -> o (p q c)")
    by_linear.first.weight.data, by_linear.first.bias.data = weight, by_conv.first.bias.data
    by_linear.second, by_linear.fc = by_conv.second, by_conv.fc
    torch.testing.assert_close(map_at_the_input(by_conv, x), map_at_the_input(by_linear, x), rtol=1e-4, atol=1e-7)


def test_without_gamma_and_biases_the_map_is_gradient_x_input() -> None:
    model, x = front("nothing")
    for module in model.modules():
        if getattr(module, "bias", None) is not None:
            module.bias.data.zero_()
    leaf = x.clone().requires_grad_()
    expected = (torch.autograd.grad(model(leaf)[:, 2].sum(), leaf)[0] * x).sum(1)[0]
    result = map_at_the_input(model, x, gamma=0, first=0)
    torch.testing.assert_close(result, expected.float(), rtol=1e-4, atol=1e-6)


def test_the_first_layer_has_a_gamma_of_its_own_or_that_of_all() -> None:
    model, x = front("nothing")
    by_name, by_number, other = (map_at_the_input(model, x, gamma=0.5, first=f) for f in ("gamma", 0.5, "3"))
    torch.testing.assert_close(by_name, by_number)
    assert not torch.allclose(by_name, other, rtol=1e-2)


@pytest.mark.parametrize("first", ["flat", "squared"])
def test_the_rules_by_weights_lose_nothing(first: str) -> None:
    model, x = front("normalised inside")
    flow = sightline.explain(model, x, target=2, method="lrp", layers=["input", "first"], options={"first": first})
    pixels, layer = (flow[0].flow[place] for place in ("input", "first"))
    assert pixels.notes["carried"] == pytest.approx(layer.notes["carried"], abs=1e-5)


@pytest.mark.parametrize("first", ["z+", -1, None, "nan", [1]])
def test_a_rule_that_is_none_is_refused(first: object) -> None:
    model, x = front("nothing")
    with pytest.raises(MethodError, match="option first is one of bounded"):
        map_at_the_input(model, x, first=first)


def test_a_map_at_the_input_changes_no_other_map() -> None:
    model, x = front("normalised inside")
    alone = sightline.explain(model, x, target=2, method="lrp", layers=["first", "second"])
    with_input = sightline.explain(model, x, target=2, method="lrp", layers=["second", "input", "first"])
    for a, b in zip(alone, with_input, strict=True):
        assert b.flow.layers == ("input", "first", "second")
        assert all(torch.equal(a.flow[layer].values, b.flow[layer].values) for layer in a.flow.layers)
