"""Each trap that a first attempt at NAFlow fell into, one test each."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import sightline
from sightline.errors import MethodError
from sightline.explainers.flow.naflow.calls import addition, max_pool
from sightline.explainers.flow.naflow.cascade import DropStats
from sightline.explainers.flow.naflow.inverse import Setting
from sightline.explainers.flow.naflow.maps import solved
from sightline.explainers.flow.naflow.message import Message
from sightline.explainers.flow.naflow.notes import FlowNotes
from sightline.explainers.flow.naflow.solver import least_squares
from sightline.explainers.flow.samples import Samples
from tests.explainers.flow.naflow_parts import chain, convolution, layer_parts, noise, reading_of
from tests.tiny import build, picture


def small(*parts: nn.Module, channels: int = 6) -> nn.Module:
    """Parts with a stem before and a head behind them."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        stem, head = nn.Conv2d(3, channels, 3, 1, 1), nn.Linear(channels, 3)
    return nn.Sequential(stem, *parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head).double().eval()


def test_1_before_an_in_place_relu_negative_neurons_are_seen_and_abandoned() -> None:
    model = small(nn.ReLU(inplace=True), nn.Conv2d(6, 6, 3, 1, 1), nn.ReLU(inplace=True))
    found = layer_parts(model, noise(1, 3, 8, 8), layers=["0", "2"])
    for layer in found.values():
        assert (layer.A < 0).any()
    assert not found["2"].B[found["2"].A < 0].any()


def test_2_a_jacobian_of_zeros_would_be_noticed() -> None:
    """Nothing demanded below a convolution would leave B at A: the silent fault of a dead Jacobian."""
    found = layer_parts(small(nn.ReLU(), nn.Conv2d(6, 6, 3, 1, 1), nn.ReLU()), noise(1, 3, 8, 8), layers=["1"])["1"]
    assert float((found.B - found.A).norm() / found.A.norm()) > 1e-2


def test_3_iterating_past_convergence_does_not_diverge() -> None:
    """In float32, and with a tolerance that is never reached."""
    M, demand = noise(40, 40).float(), noise(2, 40, seed=1).float()
    exact = M.double()
    gram = exact.mT @ exact + 1e-2 * torch.eye(40, dtype=torch.float64)
    right = demand.double() @ torch.linalg.solve(gram, exact.mT).mT
    for iterations in (120, 400, 2000):
        found = least_squares(lambda v: v @ M.mT, lambda r: r @ M, demand, damping=1e-2, iterations=iterations,
                              tolerance=0.0)  # fmt: skip
        assert float((found.delta - right).norm() / right.norm()) < 1e-4


def test_4_damping_keeps_an_ill_conditioned_layer_from_blowing_up() -> None:
    step = convolution(torch.full((4, 1, 3, 3), 1 / 9, dtype=torch.float64), padding=1, groups=4)
    x, demand = noise(1, 4, 8, 8), noise(1, 4, 8, 8, seed=1)
    size = {
        damping: float(solved(Setting(None, None, damping=damping, iterations=500, tolerance=1e-12), step, step.W, x,  # type: ignore[arg-type]
                              demand).norm() / demand.norm())
        for damping in (0.0, 0.1)
    }  # fmt: skip
    assert size[0.0] > 2 * size[0.1]


def test_5_the_share_that_is_abandoned_is_told_for_each_stage() -> None:
    flow = sightline.explain(build("plain_inplace"), picture(), target=0, method="naflow")[0].flow
    assert any(0.05 < map_.notes["abandoned"] < 0.95 for map_ in flow.maps)
    assert all(0 <= map_.notes["kept"] <= 1 for map_ in flow.maps)
    assert not any("Nothing was abandoned" in remark for remark in flow.remarks)


def test_6_a_full_relu6_is_kept() -> None:
    model = small(nn.ReLU6())
    x = 40 * noise(1, 3, 8, 8)
    layer = layer_parts(model, x, layers=["0"])["0"]
    full = layer.A >= 6
    assert full.any()
    assert not layer.G[full].any()
    assert torch.equal(layer.B[full], layer.A[full])
    assert not layer.B[layer.A <= 0].any()


def test_7_windows_that_share_a_winner_get_their_mean_whatever_the_order() -> None:
    x = torch.zeros(1, 1, 5, 5, dtype=torch.float64)
    x[0, 0, 2, 2] = 1.0
    model = nn.Sequential(nn.MaxPool2d(3, 1), nn.Flatten(), nn.Linear(9, 1)).double()
    with torch.no_grad():
        tape = reading_of(nn.Sequential(nn.Conv2d(1, 1, 1), *model), x, layers=["0"])
    call = next(step for step in tape.steps if getattr(step, "name", "") == "max_pool2d_with_indices")
    at = Setting(tape.tape, tape.facts)
    value = tape.tape.value(call.inputs[0])  # type: ignore[union-attr]
    value.copy_(x)
    demand = torch.arange(9, dtype=torch.float64).view(1, 1, 3, 3)
    back = max_pool(at, call, [Message(torch.ones_like(demand), demand, 1.0), None])[0]  # type: ignore[arg-type]
    assert back is not None
    assert back.delta is not None
    assert float(back.delta[0, 0, 2, 2]) == pytest.approx(4.0)
    assert int((back.delta != 0).sum()) == 1


def test_7_a_dilated_pool_is_no_obstacle() -> None:
    found = layer_parts(small(nn.ReLU(), nn.MaxPool2d(2, 2, dilation=2)), noise(1, 3, 9, 9), layers=["1"])["1"]
    assert found.map.any()


def in_depth(model: nn.Module) -> nn.Module:
    """The same network over volumes of one slice."""

    def deeper(part: nn.Module) -> nn.Module:
        if isinstance(part, nn.Conv2d):
            own = nn.Conv3d(part.in_channels, part.out_channels, (1, *part.kernel_size), padding=(0, *part.padding))
            own.weight, own.bias = nn.Parameter(part.weight.unsqueeze(2)), part.bias
            return own
        if isinstance(part, nn.MaxPool2d):
            return nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))
        return nn.AdaptiveAvgPool3d(1) if isinstance(part, nn.AdaptiveAvgPool2d) else part

    return nn.Sequential(*map(deeper, model)).double().eval()


def test_7_pools_of_volumes_abandon_what_those_of_pictures_do() -> None:
    x = noise(2, 3, 9, 9)
    flat = small(nn.MaxPool2d(3, 2, 1), nn.Conv2d(6, 6, 3, padding=1), nn.ReLU())
    ours = layer_parts(in_depth(flat), x.unsqueeze(2), layers=["0", "1", "2"])
    theirs = layer_parts(flat, x, layers=["0", "1", "2"])
    assert (theirs["0"].B != theirs["0"].A).float().mean() > 0.5  # most places win no window
    for name, layer in theirs.items():
        assert torch.allclose(ours[name].B[:, :, 0], layer.B, atol=1e-12)
        assert torch.allclose(ours[name].G[:, :, 0], layer.G, atol=1e-12)


def test_7_windows_of_volumes_that_share_a_winner_get_their_mean() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.head = nn.Conv3d(1, 1, 1), nn.Linear(27, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(nn.functional.max_pool3d(self.stem(x), 3, 1).flatten(1))

    tape = reading_of(Shared(), torch.rand(1, 1, 5, 5, 5), layers=["stem"])
    call = next(step for step in tape.steps if getattr(step, "name", "") == "max_pool3d_with_indices")
    x = torch.rand(1, 1, 5, 5, 5, dtype=torch.float64)
    tape.tape.value(call.inputs[0]).copy_(x)  # type: ignore[union-attr]
    demand = noise(1, 1, 3, 3, 3)
    back = max_pool(Setting(tape.tape, tape.facts), call, [Message(demand, demand, 1.0), None])[0]  # type: ignore[arg-type]
    sums, counts = torch.zeros_like(x), torch.zeros_like(x)
    for place in torch.cartesian_prod(*[torch.arange(3)] * 3).tolist():
        z, y, w = place
        window = x[0, 0, z : z + 3, y : y + 3, w : w + 3]
        best = [
            start + int(at) for start, at in zip(place, torch.unravel_index(window.argmax(), (3, 3, 3)), strict=True)
        ]
        sums[(0, 0, *best)] += demand[0, 0, z, y, w]
        counts[(0, 0, *best)] += 1
    assert back is not None
    assert back.delta is not None
    assert torch.allclose(back.delta, sums / counts.clamp(min=1))
    assert torch.allclose(back.G, sums)


def test_8_dead_filters_and_norms_made_one_with_their_layer_do_no_harm() -> None:
    norm = nn.BatchNorm2d(6)
    model = small(norm, nn.ReLU(), nn.Conv2d(6, 6, 1), nn.ReLU())
    with torch.no_grad():
        model[0].weight[:2] = 0
        model[3].weight[:] = 0
    flow = sightline.explain(model.float(), picture(1), target=0, method="naflow", layers=["2", "4"])[0].flow
    assert all(map_.values.isfinite().all() for map_ in flow.maps)


def test_9_a_sum_s_demand_is_shared_by_size_and_never_doubled() -> None:
    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1)
            self.head = nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head((self.a(x) + self.b(x)).relu().mean((2, 3)))

    reading = reading_of(Sum(), noise(1, 3, 4, 4), layers=["a"])
    call = next(step for step in reading.steps if getattr(step, "name", "") == "add")
    a, b = (reading.tape.value(node) for node in call.inputs)  # type: ignore[union-attr]
    demand = noise(*a.shape, seed=3)
    one, other = addition(Setting(reading.tape, reading.facts), call, [Message(torch.ones_like(a), demand, 1.0)])  # type: ignore[arg-type]
    assert one is not None
    assert other is not None
    assert one.delta is not None
    assert other.delta is not None
    assert torch.allclose(one.delta + other.delta, demand)
    assert torch.allclose(one.delta.abs() * b.abs(), other.delta.abs() * a.abs())


def test_10_a_remainder_of_the_stride_shifts_nothing() -> None:
    step = convolution(noise(4, 2, 3, 3), stride=2)
    for side in (7, 8):
        x = noise(1, 2, side, side)
        z = step.apply(x, step.W)
        demand = torch.zeros_like(z)
        demand[..., 1, 1] = 1
        change = solved(Setting(None, None, damping=0.1, iterations=50), step, step.W, x, demand)  # type: ignore[arg-type]
        assert change.shape == x.shape
        centre = change.abs().sum((0, 1))
        rows = (centre.sum(1) * torch.arange(side)).sum() / centre.sum()
        assert 2.5 < float(rows) < 3.5


def test_11_the_published_mode_drops_no_layer_and_refuses_what_it_cannot_take() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, 1, 1), nn.ReLU(), nn.Conv2d(8, 4, 3, 1, 1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2),
    ).eval()  # fmt: skip
    own = {"mode": "published"}
    layers = ["0", "1", "2", "3"]
    flow = sightline.explain(model, picture(1, height=8, width=8), target=0, method="naflow", options=own,
                             layers=["2", "3"])[0].flow  # fmt: skip
    assert flow.statuses["3"] == "ok"
    plain = sightline.explain(model, picture(1, height=8, width=8), target=0, method="layercam", layers=["3"])[0].flow
    assert torch.allclose(flow["3"].values, plain["3"].values)
    merged = sightline.explain(model, picture(1, height=8, width=8), target=0, method="naflow", options=own,
                               layers=layers)[0].flow  # fmt: skip
    assert any("made one with" in remark and "0, 1" in remark for remark in merged.remarks)
    with pytest.raises(MethodError, match="dense Jacobians"):
        sightline.explain(chain().float(), picture(1, height=64, width=64), target=0, method="naflow", options=own)
    with pytest.raises(MethodError, match="knows chains"):
        sightline.explain(build("residual"), picture(1), target=0, method="naflow", options=own)


def test_12_what_the_inverse_does_not_conserve_is_told() -> None:
    flow = sightline.explain(build("residual"), picture(), target=0, method="naflow")[0].flow
    assert any(abs(map_.notes["drift"]) > 1e-4 for map_ in flow.maps)


def test_growth_is_warned_of_and_undamped_inverses_too() -> None:
    own = {"damping": 0, "iterations": 50}
    found = sightline.explain(build("residual"), picture(1), target=0, method="naflow", options=own)[0].flow
    assert "undamped inverses amplify" in found.remarks[0]
    account = FlowNotes(Samples(2, frozenset({2})), 0.1, lost=torch.ones(2))
    notes = {"early": {"growth": torch.tensor([3.5, 1.0])}, "late": {"growth": torch.tensor([2.9, 1.0])}}
    assert "beyond 3 times the activation at early (3.5):" in account.remarks(0, notes, "said", set())[1]
    assert account.remarks(1, notes, "said", set()) == ("said",)


def test_growth_is_the_size_of_the_features_over_that_of_the_activations() -> None:
    account = FlowNotes(Samples(2, frozenset({2})), 0.1)
    A, delta = torch.ones(2, 3, 2, 2), torch.ones(2, 3, 2, 2) * torch.tensor([1.0, -1.0])[:, None, None, None]
    account.note(5, A, Message(A, delta, 1.0), DropStats(), [])
    assert account.notes[5]["growth"].tolist() == [2.0, 0.0]
    assert account.notes[5]["drift"].tolist() == [12.0, -12.0]
