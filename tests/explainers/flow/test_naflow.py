"""NAFlow against its equations, in float64, with the dense pseudo-inverse as the oracle: T1 to T24 of its list."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

import sightline
from sightline.errors import MethodError, SightlineError
from sightline.explainers.flow.affine import Affine, Diagonal
from sightline.explainers.flow.naflow.abandoning import KEEPS
from sightline.explainers.flow.naflow.inverse import INVERSES, Setting, inverse
from sightline.explainers.flow.naflow.maps import diagonal, solved
from sightline.explainers.flow.naflow.message import Message
from sightline.explainers.flow.naflow.solver import least_squares
from sightline.explainers.flow.naflow.tikhonov import damped, mean_eigenvalue
from tests.explainers.flow.naflow_parts import chain, convolution, dense, layer_parts, linear, noise, reading_of
from tests.tiny import build, picture

STEPS = {
    "3x3": (convolution(noise(6, 4, 3, 3), padding=1), (4, 7, 6)),
    "3x3, more outputs": (convolution(noise(9, 2, 3, 3), padding=1), (2, 6, 6)),
    "strided": (convolution(noise(5, 3, 3, 3), stride=2, padding=1), (3, 8, 7)),
    "strided with a remainder": (convolution(noise(5, 3, 3, 3), stride=2), (3, 8, 8)),
    "dilated": (convolution(noise(4, 3, 3, 3), padding=2, dilation=2), (3, 7, 7)),
    "grouped": (convolution(noise(6, 2, 3, 3), padding=1, groups=2), (4, 6, 6)),
    "depthwise": (
        convolution(
            torch.eye(3, dtype=torch.float64)[1].outer(torch.eye(3, dtype=torch.float64)[1]) * 4
            + noise(4, 1, 3, 3) / 2,
            padding=1,
            groups=4,
        ),
        (4, 6, 6),
    ),
    "1x1": (convolution(noise(7, 4, 1, 1)), (4, 5, 5)),
    "1x1, fewer outputs": (convolution(noise(3, 6, 1, 1)), (6, 4, 4)),
    "1x1, strided": (convolution(noise(6, 4, 1, 1), stride=2), (4, 5, 5)),
    "1x1, grouped": (convolution(noise(6, 2, 1, 1), groups=2), (4, 4, 4)),
    "patches": (convolution(noise(5, 3, 2, 2), stride=2), (3, 6, 6)),
    "linear": (linear(noise(5, 8)), (5,)),
}


def setting(**own: object) -> Setting:
    return Setting(None, None, **{"damping": 0.1, "iterations": 400, "tolerance": 1e-13, **own})  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", STEPS)
def test_t1_the_transpose_is_one(kind: str) -> None:
    step, shape = STEPS[kind]
    v = noise(2, *shape)
    z = step.apply(v, step.W)
    u = noise(*z.shape, seed=1)
    assert abs(float((z * u).sum() - (v * step.transpose(u, step.W, v)).sum())) < 1e-11


@pytest.mark.parametrize("kind", STEPS)
@pytest.mark.parametrize("damping", [0.0, 0.1])
def test_t2_every_solve_is_the_dense_one(kind: str, damping: float) -> None:
    step, shape = STEPS[kind]
    x = noise(2, *shape)
    M = dense(step, x)
    demand = noise(*step.apply(x, step.W).shape, seed=2)
    level = damping * mean_eigenvalue(step, step.W)
    gram = M.mT @ M + level * torch.eye(M.shape[1], dtype=M.dtype)
    right = demand.flatten(1) @ (torch.linalg.pinv(M) if damping == 0 else torch.linalg.solve(gram, M.mT)).mT
    ours = solved(setting(damping=damping, iterations=3000), step, step.W, x, demand)
    assert float((ours.flatten(1) - right).norm() / right.norm()) < 1e-8


def test_the_mean_eigenvalue_is_that_of_the_dense_map_but_for_borders() -> None:
    for kind in ("1x1", "1x1, grouped", "patches", "linear"):
        step, shape = STEPS[kind]
        M = dense(step, noise(1, *shape))
        assert mean_eigenvalue(step, step.W) == pytest.approx(float((M * M).sum()) / M.shape[1]), kind
    step, _ = STEPS["strided"]
    M = dense(step, noise(1, 3, 64, 64)[:, :, :24, :24])
    assert mean_eigenvalue(step, step.W) == pytest.approx(float((M * M).sum()) / M.shape[1], rel=0.1)


@pytest.mark.parametrize("kind", STEPS)
def test_t3_no_demand_is_no_change_and_no_work(kind: str) -> None:
    step, shape = STEPS[kind]
    x = noise(2, *shape)
    at = setting()
    found = solved(at, step, step.W, x, torch.zeros_like(step.apply(x, step.W)))
    assert not found.any()
    assert all(iterations == 0 for iterations, _ in at.solves)


@pytest.mark.parametrize("kind", ["1x1", "3x3, more outputs", "linear"])
def test_t4_the_zero_anchored_inverse_gives_back_what_went_in_at_full_column_rank(kind: str) -> None:
    step, shape = STEPS[kind]
    x = noise(2, *shape)
    ours = solved(setting(damping=0.0, iterations=500), step, step.W, x, step.apply(x, step.W))
    assert float((ours - x).norm() / x.norm()) < 1e-8


def test_t5_a_batch_norm_is_undone() -> None:
    step = Diagonal(0, 1, noise(5).abs() + 0.1, noise(5, seed=1))
    x, other = noise(2, 5, 3, 3), noise(2, 5, 3, 3, seed=3)
    demand = step.apply(other, step.W) - step.apply(x, step.W)
    back = diagonal(setting(), step, [Message(torch.ones_like(x), demand, 1.0)])[0]
    assert back is not None
    assert back.delta is not None
    assert float((x + back.delta - other).abs().max()) < 1e-12


def test_a_batch_norm_s_dead_channel_stays_as_it_was() -> None:
    step = Diagonal(0, 1, torch.tensor([1.0, 1e-9]), torch.zeros(2))
    back = diagonal(setting(), step, [Message(torch.ones(1, 2, 2, 2), torch.ones(1, 2, 2, 2), 1.0)])[0]
    assert back is not None
    assert back.delta is not None
    assert not back.delta[:, 1].any()
    assert back.delta[:, 0].all()


def offsets_above(
    model: nn.Module, x: Tensor, layers: list[str]
) -> tuple[float, dict[str, float], dict[str, Tensor]]:
    """The score, sum of G A at each layer, and the part of the score that offsets above a layer carry."""
    reading = reading_of(model, x, 0, layers)
    found = layer_parts(model, x, 0, layers)
    carried = {name: float((layer.G * layer.A).sum()) for name, layer in found.items()}
    grads: dict[int, Tensor] = {}
    from sightline.explainers.flow.vjp import gradient
    from sightline.explainers.flow.walk import plus, walk

    with torch.no_grad():
        walk(reading.tape, reading.steps, reading.starts[0], lambda s, g: gradient(reading.tape, s, g),
             grads.__setitem__, add=plus, last=False)  # fmt: skip
    beta = {}
    for name, node in zip(found, reading.nodes, strict=True):
        after = [s for s in reading.steps if isinstance(s, Affine) and s.output > node and s.bias is not None]
        beta[name] = sum(
            float((grads[s.output] * s.on_outputs(s.bias, grads[s.output])).sum())  # type: ignore[arg-type]
            for s in after
            if s.output in grads and s.input >= node
        )
    return float(reading.readout.scores[0, 0]), carried, beta  # type: ignore[return-value]


@pytest.mark.parametrize("batch_norm", [False, True])
def test_t6_the_score_is_what_a_layer_carries_and_the_offsets_above_it(batch_norm: bool) -> None:
    model = chain(batch_norm=batch_norm)
    layers = [name for name, m in model.named_modules() if isinstance(m, nn.ReLU | nn.MaxPool2d)]
    _, carried, beta = offsets_above(model, noise(1, 3, 12, 12), layers)
    score = float(model(noise(1, 3, 12, 12))[0, 0])
    for name in layers:
        assert carried[name] + float(beta[name]) == pytest.approx(score, abs=1e-10)


def test_t7_without_offsets_every_layer_carries_the_whole_score() -> None:
    model, x = chain(bias=False), noise(1, 3, 12, 12)
    score = float(model(x)[0, 0].detach())
    for layer in layer_parts(model, x).values():
        assert float((layer.G * layer.A).sum()) == pytest.approx(score, abs=1e-10)


def test_t8_a_smooth_network_does_not_carry_its_score() -> None:
    model, x = chain(bias=False), noise(1, 3, 12, 12)
    for name, module in list(model.named_children()):
        if isinstance(module, nn.ReLU):
            setattr(model, name, nn.GELU())
    first = next(iter(layer_parts(model, x).values()))
    assert abs(float((first.G * first.A).sum() - model(x)[0, 0])) > 1e-3


@pytest.mark.parametrize("kind", STEPS)
def test_t9_what_an_inverse_hands_on_is_what_it_got_less_its_drift(kind: str) -> None:
    step, shape = STEPS[kind]
    x = noise(1, *shape)
    z = step.apply(x, step.W)
    G, demand = noise(*z.shape, seed=4), noise(*z.shape, seed=5)
    delta = solved(setting(iterations=3), step, step.W, x, demand)
    B_in, B_out, G_in = x + delta, z + demand, step.transpose(G, step.W, x)
    drift = (G * (B_out - step.apply(B_in, step.W))).sum()
    assert abs(float((G_in * B_in).sum() - (G * B_out).sum() + drift)) < 1e-10


def test_t9_the_noted_drift_is_what_the_layer_s_features_carry_beside_its_activations() -> None:
    model, x = build("plain_inplace"), picture(1)
    found = sightline.explain(model, x, target=0, method="naflow", options={"signed": True})[0].flow
    plain = sightline.explain(model, x, target=0, method="gradxact")[0].flow
    assert any(abs(map_.notes["drift"]) > 1e-6 for map_ in found.maps)
    for layer in found:
        gap = float(found[layer].values.sum() - plain[layer].values.sum())
        assert found[layer].notes["drift"] == pytest.approx(gap, abs=1e-5)


def test_t10_the_closed_form_at_full_column_rank() -> None:
    step, shape = STEPS["3x3, more outputs"]
    x = noise(1, *shape)
    z = step.apply(x, step.W)
    kept = (noise(*z.shape, seed=6) > 0).double()
    delta = solved(setting(damping=0.0, iterations=2000), step, step.W, x, kept * z - z)
    right = x.flatten() - torch.linalg.pinv(dense(step, x)) @ ((1 - kept) * z).flatten()
    assert float((x.flatten() + delta.flatten() - right).norm() / right.norm()) < 1e-8


def test_t11_a_linear_network_abandons_nobody() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(3, 6, 3, 1, 1), nn.Conv2d(6, 6, 3, 2, 1), nn.AvgPool2d(2), nn.Flatten(),
                              nn.Linear(54, 3))  # fmt: skip
    layers = ["0", "1", "2"]
    for layer in layer_parts(model, noise(1, 3, 12, 12), 0, layers).values():
        assert torch.equal(layer.A, layer.B)
    found = sightline.explain(model.float(), noise(1, 3, 12, 12).float(), method="naflow", target=0, layers=layers)
    assert "Nothing was abandoned: this is gradient x activation." in found[0].flow.remarks
    assert all(map_.notes["abandoned"] == 0 for map_ in found[0].flow.maps)


def test_t12_before_average_pooling_and_a_linear_head_it_is_the_class_activation_map() -> None:
    model, x = chain(), noise(1, 3, 12, 12)
    last = layer_parts(model, x, 2)["6"]
    weights = model[-1].weight[2].detach().double()
    cam = (weights[None, :, None, None] * last.A).sum(1)
    assert float((last.A[0, 0].numel() * (last.G * last.A).sum(1) - cam).abs().max()) < 1e-10


@pytest.mark.parametrize("name", ["plain_inplace", "residual", "dense", "tuple_out"])
@pytest.mark.parametrize(("signed", "other"), [(False, "layercam"), (True, "gradxact")])
def test_t13_the_mode_forward_is_layercam_and_signed_gradient_x_activation(
    name: str, signed: bool, other: str
) -> None:
    model, x = build(name), picture()
    named = [path for path, module in model.named_modules() if isinstance(module, nn.ReLU)] or None
    own = {"mode": "forward", "signed": signed}
    output = 1 if name == "tuple_out" else None
    ours = sightline.explain(model, x, target=0, method="naflow", layers=named, options=own, output=output)
    right = sightline.explain(model, x, target=0, method=other, layers=named, output=output)
    for a, b in zip(ours, right, strict=True):
        for layer in a.flow:
            assert torch.allclose(a.flow[layer].values, b.flow[layer].values, rtol=1e-5, atol=1e-7)


def test_t14_positive_per_neuron_is_not_the_positive_part_of_the_sum() -> None:
    model, x = chain(), noise(1, 3, 12, 12)
    last = layer_parts(model, x, 2)["6"]
    cam = (last.G * last.A).sum(1)
    assert float((last.map - cam.relu()).abs().max()) > 0.1 * float(cam.abs().max())


def test_t15_strong_damping_is_the_mode_forward_and_none_the_zero_anchored_solve() -> None:
    model, x = chain(), noise(1, 3, 8, 8)
    for layer in layer_parts(model, x, damping=1e10).values():
        right = (layer.A * layer.G).relu().sum(1)
        assert float((layer.map - right).abs().max()) <= 1e-6 * float(right.abs().max())
    step, shape = STEPS["3x3, more outputs"]
    v = noise(1, *shape)
    z = step.apply(v, step.W)
    demand = noise(*z.shape, seed=8)
    at = setting(damping=1e-12, iterations=2000)
    anchored = v + solved(at, step, step.W, v, demand)
    assert float((anchored - solved(at, step, step.W, v, z + demand)).norm() / anchored.norm()) < 1e-6


def test_t15_lsq_walks_like_anchored_where_nothing_is_damped_and_columns_are_independent() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(3, 6, 1), nn.ReLU(), nn.Conv2d(6, 12, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
                              nn.Flatten(), nn.Linear(12, 3))  # fmt: skip
    one, other = (
        layer_parts(model, noise(1, 3, 6, 6), layers=["1", "3"], damping=0.0, anchor=a) for a in ("anchored", "lsq")
    )
    assert float((one["1"].A - one["1"].B).abs().max()) > 1e-3
    assert float((one["1"].B - other["1"].B).abs().max()) < 1e-8


def test_t16_a_batch_is_its_samples_whatever_their_order() -> None:
    model, x = build("residual"), picture(3).double()
    together, turned = layer_parts(model, x), layer_parts(model, x.flip(0))
    for name, layer in together.items():
        alone = torch.cat([layer_parts(model, x[i : i + 1])[name].B for i in range(3)])
        assert float((layer.B - alone).abs().max()) < 1e-11
        assert float((layer.B.flip(0) - turned[name].B).abs().max()) < 1e-11


def test_t17_twice_the_same_bit_for_bit() -> None:
    model = build("plain_inplace")
    model[5] = nn.MaxPool2d(3, 2, 1)
    one, other = (sightline.explain(model, picture(), target=0, method="naflow") for _ in "ab")
    for a, b in zip(one, other, strict=True):
        assert all(torch.equal(a.flow[s].values, b.flow[s].values) for s in a.flow)


def test_t19_the_inverse_is_alive() -> None:
    step, shape = STEPS["3x3"]
    assert float(step.transpose(noise(1, 6, 7, 6), step.W, noise(1, *shape)).abs().max()) > 1e-6
    found = layer_parts(chain(), noise(1, 3, 12, 12))
    assert all(float((layer.B - layer.A).abs().max()) > 1e-6 for layer in list(found.values())[:-1])


def test_t20_an_order_of_channels_is_no_matter() -> None:
    model, x = chain(), noise(1, 3, 12, 12)
    other = copy.deepcopy(model)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        other[3].weight.copy_(model[3].weight[order])
        other[3].bias.copy_(model[3].bias[order])
        other[5].weight.copy_(model[5].weight[:, order])
    for name, layer in layer_parts(model, x).items():
        assert float((layer.map - layer_parts(other, x)[name].map).abs().max()) < 1e-8 * float(
            layer.map.abs().max() + 1
        )


def test_t21_a_mirrored_picture_gives_a_mirrored_map() -> None:
    """Without pools, whose ties are broken by order."""
    model, x = chain(), noise(1, 3, 12, 12)
    model[2] = nn.Identity()
    with torch.no_grad():
        for module in model:
            if isinstance(module, nn.Conv2d):
                module.weight.add_(module.weight.flip(3).clone())
    one, other = layer_parts(model, x), layer_parts(model, x.flip(3))
    assert all(float((one[name].map - other[name].map.flip(2)).abs().max()) < 1e-8 for name in one)


def test_t22_cosine_weights_sum_to_the_score_with_the_norm_frozen_and_to_nothing_without() -> None:
    e, r = noise(1, 6), noise(6, seed=1)
    unit = r / r.norm()
    e.requires_grad_()
    score = (e @ unit) / e.norm()
    gradient = torch.autograd.grad(score.sum(), e)[0]
    assert abs(float((gradient * e).sum())) < 1e-12
    assert float(((unit / e.norm()) * e).sum()) == pytest.approx(float(score), abs=1e-12)


class TwoCells(nn.Module):
    """Two pictures side by side, seen apart, each with a head of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = nn.Sequential(nn.Conv2d(3, 6, 3, 1, 1), nn.ReLU(), nn.Conv2d(6, 6, 3, 1, 1), nn.ReLU())
        self.joined = nn.Identity()
        self.head = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        half = x.shape[3] // 2
        both = self.joined(torch.cat([self.seen(x[..., :half]), self.seen(x[..., half:])], 3))
        left, right = both[..., :half].mean((2, 3)), both[..., half:].mean((2, 3))
        return torch.cat([self.head(left)[:, :1], self.head(right)[:, :1]], 1)


def test_t23_nothing_is_shown_outside_the_cell_that_a_head_sees() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = TwoCells().eval()
    for target, outside in ((0, slice(8, 16)), (1, slice(0, 8))):
        values = sightline.explain(model, picture(1, height=8, width=16), target=target, method="naflow",
                                   layers="joined")[0].flow[0].values  # fmt: skip
        assert values.any()
        assert not values[:, outside].any()


def test_t24_a_training_model_is_read_in_eval_mode_and_a_quantized_one_is_refused() -> None:
    model = build("residual")
    right = sightline.explain(model, picture(), target=0, method="naflow")
    trained = sightline.explain(model.train(), picture(), target=0, method="naflow")
    assert model.training
    assert torch.equal(right[0].flow[0].values, trained[0].flow[0].values)
    quantized = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), _Quantized()
    ).eval()
    with pytest.raises(SightlineError, match="quantized"):
        sightline.explain(quantized, picture(), target=0, method="naflow")


class _Quantized(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.quantize_per_tensor(x, 0.1, 0, torch.qint8).dequantize()


@pytest.mark.parametrize("rule", KEEPS)
def test_rules_keep_what_they_say(rule: str) -> None:
    B, G = noise(2, 3, 4, 4), noise(2, 3, 4, 4, seed=1) * (noise(2, 3, 4, 4, seed=2) > 0)
    level = {"zero": 0.0, "threshold": 0.2, "contribution": 0.1, "mass": 0.05}[rule]
    kept = KEEPS[rule](B, G, level)
    for b, g, k in zip(B, G, kept, strict=True):
        e = (b * g).relu()
        right = {
            "zero": g != 0,
            "threshold": g.abs() > 0.2 * g.abs().max(),
            "contribution": b * g > 0.1 * (b * g).max(),
        }
        if rule != "mass":
            assert torch.equal(k.bool(), right[rule])
            continue
        inside, outside = e[k.bool()], e[~k.bool()]
        assert inside.min() >= outside.max()
        assert float(inside.sum() / e.sum()) >= 0.95
        assert float((inside.sum() - inside.min()) / e.sum()) < 0.95


@pytest.mark.parametrize("mode", ["anchored", "forward", "lsq"])
def test_a_map_says_whether_it_is_signed(mode: str) -> None:
    for signed in (False, True):
        own = {"mode": mode, "signed": signed}
        flow = sightline.explain(build("residual"), picture(), target=0, method="naflow", options=own)[0].flow
        assert all(map_.signed is signed for map_ in flow.maps)
        assert any((map_.values < 0).any() for map_ in flow.maps) is signed


@pytest.mark.parametrize("rule", KEEPS)
def test_forward_keeps_by_every_rule_and_for_several_decisions_at_once(rule: str) -> None:
    model = build("residual")
    own = {"mode": "forward", "rule": rule}
    together = sightline.explain(model, picture(), target=[0, 2], method="naflow", options=own)
    alone = sightline.explain(model, picture(), target=2, method="naflow", options=own)
    found = layer_parts(copy.deepcopy(model), picture(), 2)
    level = {"zero": 0.0, "threshold": 1e-2, "contribution": 0.0, "mass": 0.05}[rule]
    for b in range(2):
        for name, layer in found.items():
            assert torch.allclose(together[2 * b + 1].flow[name].values, alone[b].flow[name].values, atol=1e-6)
            kept = KEEPS[rule](layer.A, layer.G, level)
            right = (kept * layer.A * layer.G).relu().sum(1)[b].float()
            assert torch.allclose(alone[b].flow[name].values, right, rtol=1e-3, atol=1e-3 * float(right.max()))


def test_options_that_cannot_be_are_refused() -> None:
    for own, said in (
        ({"mode": "backward"}, "naflow has no mode 'backward'"),
        ({"rule": "none"}, "there is no rule 'none'"),
        ({"damping": -1}, "damping of at least 0"),
        ({"iterations": 0}, "at least 1 iteration"),
    ):
        with pytest.raises(MethodError, match=said):
            sightline.explain(build("residual"), picture(), method="naflow", options=own)


def test_users_add_inverses() -> None:
    class Odd(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.ops.aten.sinh(x)

    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), Odd(), nn.Conv2d(4, 4, 3), nn.ReLU(),
                          nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)).eval()  # fmt: skip
    found = sightline.explain(model, picture(), method="naflow", target=0, layers=["1"])
    assert any("No inverse is known of sinh" in remark for remark in found[0].flow.remarks)

    @inverse("sinh")
    def undo(at, step, given):  # type: ignore[no-untyped-def]
        x = at.value(step.inputs[0])
        G = at.gradients(step, given)[0]
        return [Message(G, torch.asinh(x.sinh() + given[0].delta) - x, 1.0)]

    try:
        own = sightline.explain(model, picture(), method="naflow", target=0, layers=["1"])
    finally:
        del INVERSES["sinh"]
    assert not any("No inverse" in remark for remark in own[0].flow.remarks)
    assert not torch.equal(own[0].flow[0].values, found[0].flow[0].values)


def test_inverses_of_weights_are_kept_until_the_weights_change() -> None:
    model, x = build("depthwise"), picture()
    first = sightline.explain(model, x, method="naflow", target=0)
    again = sightline.explain(model, x, method="naflow", target=0)
    assert torch.equal(first[0].flow[0].values, again[0].flow[0].values)
    with torch.no_grad():
        model[2].project.weight.data.mul_(-0.7)
    changed = sightline.explain(model, x, method="naflow", target=0)
    fresh = sightline.explain(copy.deepcopy(model), x, method="naflow", target=0)
    assert not torch.equal(first[0].flow[0].values, changed[0].flow[0].values)
    assert torch.equal(changed[0].flow[0].values, fresh[0].flow[0].values)


def test_the_solver_is_the_dense_one_for_each_sample_by_itself() -> None:
    M = noise(6, 4)
    demand = torch.cat([noise(1, 6), torch.zeros(1, 6, dtype=torch.float64), 1e3 * noise(1, 6, seed=1)])
    found = least_squares(lambda v: v @ M.mT, lambda r: r @ M, demand, damping=0.3, iterations=20, tolerance=1e-12)
    right = demand @ torch.linalg.solve(M.mT @ M + 0.3 * torch.eye(4, dtype=M.dtype), M.mT).mT
    assert torch.allclose(found.delta, right, atol=1e-9)
    assert found.residual[1] == 0


def test_a_pseudo_inverse_is_laid_out_like_the_weights() -> None:
    step, _shape = STEPS["patches"]
    found = damped(step, step.W, 0.1)
    assert found.inverse is not None
    assert found.inverse.shape == step.W.shape
