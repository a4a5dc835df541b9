"""The LRP flow against oracles written from the equations: dense Jacobians, and detached surrogates."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import sightline
from sightline.errors import MethodError, UnfollowedError
from sightline.explainers.flow.affine import affine_of
from sightline.explainers.flow.facts import Facts
from sightline.explainers.flow.lrp.gamma import gamma_rule
from sightline.explainers.flow.lrp.rules import Recipe, Rules
from tests.explainers.flow.test_tape import FAMILIES, family, taped

DOUBLE = torch.float64


def explicit_gamma(J: Tensor, b: Tensor, x: Tensor, R: Tensor, gamma: float, slack: float = 0.0) -> Tensor:
    """The generalised gamma rule, contribution by contribution, from the dense Jacobian `[outputs, inputs]`."""
    found = torch.zeros_like(x)
    for j in range(len(J)):
        parts = J[j] * x
        z = parts.sum() + b[j]
        kept = (lambda v: v.clamp_min(0)) if z >= 0 else (lambda v: v.clamp_max(0))
        if math.isinf(gamma):
            shares, below = kept(parts), kept(parts).sum() + kept(b[j])
        else:
            shares, below = parts + gamma * kept(parts), z + gamma * (kept(parts).sum() + kept(b[j]))
        if below != 0:
            found += shares / (below + math.copysign(slack, below)) * R[j]
    return found


LAYERS = {
    "convolution": lambda: nn.Conv2d(3, 4, 3, padding=1),
    "without bias": lambda: nn.Conv2d(3, 4, 3, bias=False),
    "strided and dilated": lambda: nn.Conv2d(3, 4, 3, stride=2, padding=2, dilation=2),
    "grouped": lambda: nn.Conv2d(4, 6, 3, groups=2),
    "depthwise": lambda: nn.Conv2d(3, 3, 3, groups=3),
    "one by one": lambda: nn.Conv2d(3, 5, 1),
    "transposed": lambda: nn.ConvTranspose2d(3, 4, 2, 2),
    "linear": lambda: nn.Sequential(nn.Flatten(), nn.Linear(48, 7)),
    "batch norm": lambda: nn.BatchNorm2d(3),
}


@pytest.mark.parametrize("gamma", [0.0, 0.25, 3.0, math.inf])
@pytest.mark.parametrize("layer", LAYERS)
def test_the_gamma_rule_is_the_explicit_one(layer: str, gamma: float) -> None:
    torch.manual_seed(3)
    module = LAYERS[layer]().to(DOUBLE).eval()
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.weight.data.normal_()
            norm.bias.data.normal_()
    x = torch.randn(1, 4 if layer == "grouped" else 3, 4, 4, dtype=DOUBLE)
    tape, z = taped(module, x)
    step = affine_of(tape.calls[-1])
    assert step is not None
    R = torch.randn_like(z)
    G = gamma_rule(step, tape.value(step.input), z, R / z, gamma)
    J = torch.autograd.functional.jacobian(module, x).reshape(z.numel(), x.numel())
    bias = (module(torch.zeros_like(x))).flatten().detach()
    expected = explicit_gamma(J, bias, x.flatten(), R.flatten(), gamma)
    torch.testing.assert_close(G.flatten() * x.flatten(), expected, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("sign", ["any", "positive", "rectified"])
@pytest.mark.parametrize("gamma", [0.0, 0.25, math.inf])
def test_epsilon_is_added_to_the_denominators_magnitude(gamma: float, sign: str) -> None:
    torch.manual_seed(2)
    module = nn.Conv2d(3, 4, 3).to(DOUBLE)
    x = torch.randn(1, 3, 5, 5, dtype=DOUBLE) if sign == "any" else torch.rand(1, 3, 5, 5, dtype=DOUBLE)
    tape, z = taped(module, x)
    step = affine_of(tape.calls[-1])
    assert step is not None
    R = torch.randn_like(z) * ((z > 0) if sign == "rectified" else 1)
    slack = 0.1 * float(z.square().mean().sqrt())
    known = {"positive": sign != "any", "rectified": sign == "rectified"}
    G = gamma_rule(step, x, z, R / z, gamma, epsilon=0.1, **known)
    J = torch.autograd.functional.jacobian(module, x).reshape(z.numel(), x.numel())
    bias = module(torch.zeros_like(x)).flatten().detach()
    expected = explicit_gamma(J, bias, x.flatten(), R.flatten(), gamma, slack)
    torch.testing.assert_close(G.flatten() * x.flatten(), expected, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("gamma", [0.25, math.inf])
def test_the_short_form_is_the_long_one_where_nothing_is_negative(gamma: float) -> None:
    torch.manual_seed(0)
    module = nn.Conv2d(3, 4, 3).to(DOUBLE)
    x = torch.rand(2, 3, 6, 6, dtype=DOUBLE)
    tape, z = taped(module, x)
    step = affine_of(tape.calls[-1])
    assert step is not None
    G = torch.randn_like(z) * (z > 0)
    long, short = (gamma_rule(step, x, z, G, gamma, positive=known, rectified=known) for known in (False, True))
    torch.testing.assert_close(short, long, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("positive", [False, True])
def test_a_dead_filter_takes_and_gives_nothing(positive: bool) -> None:
    module = nn.Conv2d(2, 3, 1)
    for parameter in module.parameters():
        parameter.data[1] = 0
    x = torch.rand(1, 2, 3, 3)
    tape, z = taped(module, x)
    step = affine_of(tape.calls[-1])
    assert step is not None
    found = gamma_rule(step, x, z, torch.full_like(z, 1e4), 0.25, positive=positive)
    assert found.isfinite().all()


def test_the_epsilon_rule_divides_by_a_little_more() -> None:
    torch.manual_seed(0)
    module = nn.Conv2d(2, 3, 1).to(DOUBLE)
    x = torch.randn(1, 2, 3, 3, dtype=DOUBLE)
    tape, z = taped(module, x)
    step = affine_of(tape.calls[-1])
    assert step is not None
    R, slack = torch.randn_like(z), 0.1 * z.square().mean().sqrt()
    found = gamma_rule(step, x, z, R / z, 0.0, epsilon=0.1) * x
    W = module.weight[:, :, 0, 0]
    expected = torch.einsum("oi,bihw,bohw->bihw", W, x, R / (z + z.sign() * slack))
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


class Quotient(nn.Module):
    """The input, or a signal that does not depend on it, by something that does."""

    def __init__(self, *, constant: bool) -> None:
        super().__init__()
        self.constant = constant
        self.register_buffer("signal", torch.tensor([[3.0, -1.0, 0.5]], dtype=DOUBLE))

    def forward(self, x: Tensor) -> Tensor:
        return (self.signal if self.constant else x) / x.square().add(1.0)


@pytest.mark.parametrize("constant", [False, True])
def test_of_a_quotient_the_divisor_is_held_constant(constant: bool) -> None:
    x = torch.randn(1, 3, dtype=DOUBLE)
    tape, _ = taped(Quotient(constant=constant), x)
    (call,) = [call for call in tape.calls if call.name == "div"]
    G = torch.randn(1, 3, dtype=DOUBLE)
    messages = Rules(tape, Facts([call], 1), Recipe())(call, [G])
    # what is above gets G / divisor; what is below nothing, also where nothing that is followed is above
    assert [message is None for message in messages] == ([True] if constant else [False, True])
    if not constant:
        torch.testing.assert_close(messages[0], G / (x.square() + 1))


def surrogate(z: Tensor, zz: Tensor) -> Tensor:
    """The value of `z` with the gradient of `zz`, scaled so that relevance is shared out."""
    return zz * (z / zz).detach()


class GammaNet(nn.Module):
    """A small network of every kind of step, and its surrogate whose gradient is the rules', by autograd alone."""

    def __init__(self, *, ruled: bool, gamma: float = 0.25) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.ruled, self.gamma = ruled, gamma
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.squeeze = nn.Conv2d(6, 6, 1)
        self.branch = nn.Conv2d(6, 6, 3, padding=1, groups=3)
        self.layer_norm = nn.LayerNorm(6)
        self.q, self.k, self.v = (nn.Linear(6, 6) for _ in range(3))
        self.fc = nn.Linear(6, 5)
        self.norm.weight.data.normal_()
        self.norm.bias.data.normal_()
        self.norm.running_mean.normal_()
        self.layer_norm.weight.data.normal_()
        self.eval()

    def affine(self, layer: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """The layer; as a surrogate, by four products of the signed parts of input and weights."""
        z = layer(x)
        if not self.ruled:
            return z
        zero = layer(torch.zeros_like(x))
        raised = []
        for sign in (1, -1):
            total = zero + self.gamma * (sign * zero).relu() * sign
            for part in ((x, x > 0), (x, x <= 0)):
                total = total + self._part(layer, part[0] * part[1], sign)
            raised.append(total)
        return surrogate(z, torch.where(z >= 0, *raised))

    def _part(self, layer: Callable[[Tensor], Tensor], x: Tensor, sign: int) -> Tensor:
        """`sum x w + gamma (x w)^sign` for inputs of one sign, weight by weight through the dense Jacobian."""
        J = torch.autograd.functional.jacobian(lambda v: layer(v).flatten(1), x[:1].detach())[0].flatten(1)
        flat = x.flatten(1)
        positive = bool((x >= 0).all())
        chosen = (sign * J * (1 if positive else -1)).relu() * sign * (1 if positive else -1)
        return ((J + self.gamma * chosen) @ flat.T).T.reshape(layer(x).shape)

    def forward(self, x: Tensor) -> Tensor:
        hold: Callable[[Tensor], Tensor] = torch.Tensor.detach if self.ruled else (lambda t: t)
        a = F.relu(self.affine(lambda v: self.norm(self.stem(v)), x))
        gate = torch.sigmoid(self.squeeze(a.mean((2, 3), keepdim=True)))
        b = a * hold(gate)
        pre = self.affine(self.branch, b)
        b = pre * hold(F.gelu(pre) / pre) if self.ruled else F.gelu(pre)
        c = F.max_pool2d(b + a, 2)
        self.cut = c
        n = c.flatten(2).transpose(1, 2)
        if self.ruled:
            mean, deviation = n.mean(-1, keepdim=True), (n.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
            t = (n - mean) / deviation.detach() * self.layer_norm.weight + self.layer_norm.bias
        else:
            t = self.layer_norm(n)
        attention = hold((self.q(t) @ self.k(t).transpose(1, 2)).softmax(-1))
        t = n + attention @ self.affine(self.v, t)
        return self.fc(t.mean(1))


def test_all_rules_together_are_autograd_of_the_detached_surrogate() -> None:
    x = torch.randn(1, 3, 4, 4, dtype=DOUBLE)
    plain, ruled = (GammaNet(ruled=r).to(DOUBLE) for r in (False, True))
    leaf = x.clone().requires_grad_()
    out = ruled(leaf)
    torch.testing.assert_close(out, plain(x), rtol=1e-9, atol=1e-10)
    G = torch.autograd.grad(out[0, 2], ruled.cut)[0]
    expected = (G * ruled.cut).sum(1)

    class Layers(nn.Module):
        """The same network with a module where the maps are read."""

        def __init__(self) -> None:
            super().__init__()
            self.net, self.here = plain, nn.Identity()
            pool, self._pool = F.max_pool2d, None
            self.pool = pool

        def forward(self, x: Tensor) -> Tensor:
            before = F.max_pool2d
            try:
                F.max_pool2d = lambda *a: self.here(before(*a))
                return self.net(x)
            finally:
                F.max_pool2d = before

    found = sightline.explain(Layers().eval(), x, target=2, method="lrp", layers=["here"]).one()
    torch.testing.assert_close(found.flow["here"].values, expected[0].float(), rtol=1e-5, atol=1e-6)


def _bias_free(name: str) -> tuple[nn.Module, Tensor]:
    model, x = family(name)
    for module in model.modules():
        for own in ("bias", "running_mean"):
            if isinstance(getattr(module, own, None), Tensor):
                getattr(module, own).data.zero_()
    return model, x


@pytest.mark.parametrize("name", ["alexnet", "vgg11_bn", "resnet18", "googlenet", "squeezenet", "shufflenet"])
def test_without_biases_every_stage_carries_the_whole_score(name: str) -> None:
    model, x = _bias_free(name)
    for item in sightline.explain(model, x, target=3, method="lrp"):
        for layer, map_ in item.flow.items():
            assert map_.notes["drift"] == pytest.approx(0, abs=1e-4), layer
            assert float(map_.values.double().sum()) == pytest.approx(map_.notes["carried"], rel=1e-4)


def test_biases_take_relevance_and_the_drift_says_so() -> None:
    model, x = family("vgg11_bn")
    found = sightline.explain(model, x[:1], target=3, method="lrp", layers=["features.2"]).one()
    assert abs(found.flow[0].notes["drift"]) > 1e-3


def test_without_gamma_a_piecewise_linear_network_gives_gradient_x_activation() -> None:
    model, x = family("resnet18")
    ours = sightline.explain(model, x, target=1, method="lrp", options={"gamma": 0})
    theirs = sightline.explain(model, x, target=1, method="gradxact")
    for a, b in zip(ours, theirs, strict=True):
        for layer in a.flow.layers:
            torch.testing.assert_close(a.flow[layer].values, b.flow[layer].values, rtol=1e-4, atol=1e-5)


def test_an_infinite_gamma_is_the_limit_of_large_ones() -> None:
    model, x = family("squeezenet")
    large, infinite = (
        sightline.explain(model, x[:1], target=1, method="lrp", options={"gamma": g}).one().flow[0].values
        for g in (1e7, "inf")
    )
    torch.testing.assert_close(infinite, large, rtol=1e-4, atol=1e-6 * float(large.abs().max()))


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_has_a_finite_map_at_every_stage(name: str) -> None:
    model, x = family(name, torch.float32)
    found = sightline.explain(model, x, target=3, method="lrp")
    assert len(found) == 2
    for item in found:
        assert set(item.flow.statuses.values()) <= {"ok", "flat"}
        assert item.flow.remarks[0].startswith("Relevance by the gamma rule")
        assert not any("No rule" in said for said in item.flow.remarks)


def test_tokens_before_the_grid_are_counted() -> None:
    model, x = family("vit")
    map_ = sightline.explain(model, x[:1], target=3, method="lrp").one().flow["blocks.0.norm1"]
    assert 0 < map_.notes["prefix"] < 1


def test_half_of_the_relevance_goes_to_attention_if_asked() -> None:
    model, x = family("vit")
    value, both = (
        sightline.explain(model, x[:1], target=3, method="lrp", options={"attention": a}).one().flow[0].values
        for a in ("value", "both")
    )
    assert not torch.allclose(value, both, rtol=1e-2)


def test_an_operation_without_a_rule_is_named() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = nn.Conv2d(3, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return torch.sin(self.block(x)).mean((2, 3))

    found = sightline.explain(Odd(), torch.randn(1, 3, 8, 8), target=1, method="lrp", layers=["block"]).one()
    assert any("No rule is known for sin" in said for said in found.flow.remarks)


def test_a_convolution_inside_a_fused_pair_is_read_behind_its_norm() -> None:
    model, x = family("resnet18")
    inside, behind = (
        sightline.explain(model, x[:1], target=1, method="lrp", layers=[layer]).one()
        for layer in ("layer1.0.conv1", "layer1.0.bn1")
    )
    torch.testing.assert_close(inside.flow[0].values, behind.flow[0].values)
    assert any("layer1.0.conv1" in said for said in inside.flow.remarks)


@pytest.mark.parametrize("options", [{"gamma": "much"}, {"gamma": -1}, {"attention": "keys"}, {"head": float("nan")}])
def test_an_option_that_makes_no_sense_is_refused(options: dict[str, object]) -> None:
    model, x = family("squeezenet")
    with pytest.raises(MethodError, match="option"):
        sightline.explain(model, x, target=1, method="lrp", options=options)


def test_relevance_answers_where_no_method_was_asked_for_and_says_why() -> None:
    model, x = family("squeezenet")
    found = sightline.explain(model, x[:1], target=1).one()
    assert found.method == "lrp"
    assert "LRP flow" in found.provenance["why"]
    assert "why" not in sightline.explain(model, x[:1], target=1, method="gradcam").one().provenance


def test_another_method_answers_where_the_default_cannot_follow() -> None:
    class ReadsAStaleView(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = nn.Conv2d(3, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            y = self.block(x)
            y = y * 1
            view = y.flatten(1)
            y.relu_()
            return y.mean((2, 3)) + view.mean(1, keepdim=True)

    x = torch.randn(1, 3, 8, 8)
    found = sightline.explain(ReadsAStaleView(), x, target=1, layers=["block"]).one()
    assert found.method == "hirescam"
    assert "HiResCAM" in found.provenance["why"]
    with pytest.raises(UnfollowedError, match="overwritten in place"):
        sightline.explain(ReadsAStaleView(), x, target=1, layers=["block"], method="lrp")
