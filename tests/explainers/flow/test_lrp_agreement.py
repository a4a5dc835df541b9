"""The rules of the LRP flow are exactly what they are called: ratios near zero, z+, and AttnLRP's conservation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.explainers.flow.affine import Affine, Step, affine_of, fused
from sightline.explainers.flow.facts import Facts
from sightline.explainers.flow.lrp.gamma import gamma_rule
from sightline.explainers.flow.lrp.rules import Recipe, Rules
from sightline.explainers.flow.tape import Call
from sightline.explainers.flow.walk import plus, walk
from tests.explainers.flow.test_tape import taped
from tests.tiny import lively, vit

DOUBLE = torch.float64
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu by tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "mish": F.mish,
    "tanh": torch.tanh,
    "elu": lambda x: F.elu(x, 0.7),
    "celu": lambda x: F.celu(x, 1.5),
    "selu": F.selu,
    "hardswish": F.hardswish,
    "prelu": lambda x: F.prelu(x, x.new_tensor([0.2])),
}


class Applied(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_ratio_of_an_activation_is_exact_to_rounding_however_small_its_input(name: str) -> None:
    magnitude = torch.logspace(-30, 1, 4001, dtype=DOUBLE).float()
    x = torch.cat([-magnitude, magnitude])[None]
    tape, _ = taped(Applied(ACTIVATIONS[name]), x)
    (call,) = [call for call in tape.calls if call.outputs[0] is not None]
    (found,) = Rules(tape, Facts([call], 1), Recipe())(call, [torch.ones_like(x)])
    exact = x.double()
    # In float64 the ratio is right to 1e-9 down to 1e-7, and there it is at its limit to 1e-7.
    exact = torch.where(exact.abs() < 1e-7, exact.sign() * 1e-7, exact)
    right = ACTIVATIONS[name](exact) / exact
    assert float(((found.double() - right).abs() / right.abs().clamp_min(0.5)).max()) < 4e-7


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_at_zero_the_ratio_is_finite(name: str) -> None:
    x = torch.zeros(1, 3)
    tape, _ = taped(Applied(ACTIVATIONS[name]), x)
    (call,) = [call for call in tape.calls if call.outputs[0] is not None]
    (found,) = Rules(tape, Facts([call], 1), Recipe())(call, [torch.ones_like(x)])
    assert found.isfinite().all()


@pytest.mark.parametrize("follows", ["relu", "nothing"])
def test_an_infinite_gamma_is_z_plus_behind_a_relu_and_by_the_sign_of_z_elsewhere(follows: str) -> None:
    """Contribution by contribution: z+ counts the positive ones, ours those of the sign of z."""
    torch.manual_seed(0)
    layer = nn.Linear(6, 5, bias=False).to(DOUBLE)
    x = torch.randn(1, 6, dtype=DOUBLE)
    tape, z = taped(layer, x)
    step = affine_of(tape.calls[-1])
    assert step is not None
    R = torch.rand(1, 5, dtype=DOUBLE) * (z > 0 if follows == "relu" else 1)
    ours = gamma_rule(step, x, z, torch.where(z == 0, 0, R / z), math.inf) * x
    contributions = x[0] * layer.weight.detach()
    positive = contributions.clamp_min(0)
    by_sign = torch.where(z[0, :, None] > 0, positive, contributions.clamp_max(0))
    z_plus, same_sign = ((R[0, :, None] * c / c.sum(1, keepdim=True)).sum(0) for c in (positive, by_sign))
    torch.testing.assert_close(ours[0], same_sign)
    assert torch.allclose(ours[0], z_plus) == (follows == "relu")


def _flows(attention: str) -> list[tuple[Step, float, float]]:
    """Each step of a transformer without biases with the relevance at its outputs and at its inputs."""
    model = lively(lambda: vit("token"), 0, 0.3).to(DOUBLE)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
    x = torch.randn(1, 3, 16, 16, dtype=DOUBLE, generator=torch.Generator().manual_seed(1))
    tape, y = taped(model, x)
    steps, _ = fused(tape)
    rules = Rules(tape, Facts(steps, 1), Recipe(attention=attention))
    flows: list[tuple[Step, float, float]] = []

    def rule(step: Step, messages: Sequence[Tensor | None]) -> Sequence[Tensor | None]:
        below = rules(step, messages)
        outputs, inputs = ((step.output,), (step.input,)) if isinstance(step, Affine) else (step.outputs, step.inputs)
        sums = [
            sum(float((tape.value(n) * m).sum()) for n, m in zip(nodes, parts, strict=True) if m is not None)
            for nodes, parts in ((outputs, messages), (inputs, below))
        ]
        flows.append((step, *sums))
        return below

    end = tape.node(y)
    start = torch.zeros_like(y)
    start[:, 2] = 1
    walk(tape, steps, {end: start}, rule, lambda node, message: None, add=plus, last=False)
    return flows


@pytest.mark.parametrize("attention", ["value", "both"])
def test_every_step_of_a_block_conserves_relevance_but_softmax(attention: str) -> None:
    """Without biases nothing is lost; AttnLRP's soft-max is a Taylor expansion, whose rest stays behind."""
    losses: dict[str, list[float]] = {}
    for step, above, below in _flows(attention):
        constant = isinstance(step, Call) and step.name in ("add", "cat") and len(step.inputs) == 1
        if not constant:  # embeddings and tokens of the network's own, in front of the first block
            name = step.name if isinstance(step, Call) else type(step).__name__
            losses.setdefault(name, []).append(abs(above - below) / max(abs(above), abs(below), 1e-12))
    assert {"Linear", "bmm", "native_layer_norm", "gelu"} <= set(losses)
    leaking = {name for name, each in losses.items() if max(each) > 1e-7}
    assert leaking == ({"_softmax", "_safe_softmax"} & set(losses) if attention == "both" else set())


def test_of_a_product_weights_and_values_get_half_each() -> None:
    halves = [
        (above, below) for step, above, below in _flows("both") if isinstance(step, Call) and step.name == "bmm"
    ]
    assert len(halves) == 6
    for above, below in halves:
        assert below == pytest.approx(above, rel=1e-9)


def test_what_softmax_keeps_back_is_its_taylor_rest() -> None:
    """`sum x s (G - s.G) - sum s G`, by hand from the same numbers."""
    x = torch.randn(2, 3, 5, dtype=DOUBLE, generator=torch.Generator().manual_seed(2))
    tape, s = taped(Applied(lambda t: t.softmax(-1)), x)
    G = torch.randn_like(s)
    (call,) = tape.calls
    (found,) = Rules(tape, Facts([call], 2), Recipe(attention="both"))(call, [G])
    for b in range(2):
        for row in range(3):
            p, g = s[b, row], G[b, row]
            by_hand = torch.stack([p[i] * (g[i] - sum(p[j] * g[j] for j in range(5))) for i in range(5)])
            torch.testing.assert_close(found[b, row], by_hand)


class Squared(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x) ** 2


class Norm(nn.Module):
    """The root of the mean square, written out."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.pow(2).mean(1, keepdim=True))


class ResponseNorm(nn.Module):
    """The global response normalisation of ConvNeXt V2."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(0.5, 2, 3).reshape(1, 3, 1, 1))
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        size = x.norm(p=2, dim=(2, 3), keepdim=True)
        return x + torch.addcmul(self.bias, self.weight, x * (size / size.mean(1, keepdim=True)))


class Folded(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.fold(F.unfold(x, 3, padding=1), (4, 4), 3, padding=1)


class Chosen(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.where(x > 0, x, 0.1 * x).maximum(x.flip(3)).amax(3) + x.max(3).values


@pytest.mark.parametrize("make", [Squared, Norm, ResponseNorm, Folded, Chosen])
def test_operations_of_other_families_conserve_relevance(make: Callable[[], nn.Module]) -> None:
    """Without a bias all relevance goes back to what was read, and no operation is unknown."""
    x = torch.randn(1, 3, 4, 4, dtype=DOUBLE, generator=torch.Generator().manual_seed(3))
    tape, y = taped(make().to(DOUBLE), x)
    steps, _ = fused(tape)
    rules = Rules(tape, Facts(steps, 1), Recipe())
    arrived: dict[int, Tensor] = {}
    G = torch.randn(y.shape, dtype=DOUBLE, generator=torch.Generator().manual_seed(4))
    walk(tape, steps, {tape.node(y): G}, rules, arrived.__setitem__, add=plus, last=False)
    assert float((x * arrived[0]).sum()) == pytest.approx(float((y * G).sum()), rel=1e-9)
    assert not rules.unknown
