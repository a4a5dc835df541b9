"""The DIA unit equals its equation, computed a second time."""

import math

import pytest
import torch
from torch import nn

from sightline.errors import GateError
from sightline.gates import DIA
from sightline.gates.modules.stateless import Constant, Eased, SpatialGroups, SqueezeExcite, alike


def sigma(value):
    return 1 / (1 + math.exp(-value))


def by_hand(unit, pooled, h, c):
    """One step for one sample, in Python numbers, from the equations of the paper."""
    (w1x, b1x), (w2x, b2x) = ((layer.weight.tolist(), layer.bias.tolist()) for layer in unit.read[0][::2])
    (w1h, b1h), (w2h, b2h) = ((layer.weight.tolist(), layer.bias.tolist()) for layer in unit.recall[0][::2])

    def dense(weight, bias, vector):
        return [sum(w * v for w, v in zip(row, vector, strict=True)) + b for row, b in zip(weight, bias, strict=True)]

    def relu(vector):
        return [max(0.0, value) for value in vector]

    left = dense(w2x, b2x, relu(dense(w1x, b1x, pooled)))
    right = dense(w2h, b2h, relu(dense(w1h, b1h, h)))
    total = [a + b for a, b in zip(left, right, strict=True)]
    n = len(pooled)
    i, f, g, o = (total[k * n : (k + 1) * n] for k in range(4))
    c = [sigma(f[k]) * c[k] + sigma(i[k]) * math.tanh(g[k]) for k in range(n)]
    h = [sigma(o[k]) * sigma(c[k]) for k in range(n)]
    return h, c


def test_three_steps_equal_the_equation_by_hand():
    torch.manual_seed(0)
    unit = DIA(2, reduction=2).double()
    for parameter in unit.parameters():
        nn.init.normal_(parameter, 0.2, 1.0)
    h, c, state = [0.0, 0.0], [0.0, 0.0], None
    for _ in range(3):
        x = torch.randn(1, 2, 3, 4, dtype=torch.float64)
        h, c = by_hand(unit, x.mean((2, 3))[0].tolist(), h, c)
        out, state = unit(x, state)
        torch.testing.assert_close(out, x * torch.tensor(h, dtype=torch.float64).view(1, 2, 1, 1), rtol=0, atol=1e-14)
        torch.testing.assert_close(state[0][1], torch.tensor([c], dtype=torch.float64), rtol=0, atol=1e-14)


def test_without_bottleneck_and_with_tanh_it_is_torchs_lstm():
    torch.manual_seed(0)
    n, far = 5, 50.0
    unit, cell = DIA(n, reduction=1, squash="tanh").double(), nn.LSTMCell(n, n).double()
    with torch.no_grad():
        pairs = ((unit.read[0], cell.weight_ih, cell.bias_ih), (unit.recall[0], cell.weight_hh, cell.bias_hh))
        for (first, _, second), weight, bias in pairs:
            first.weight.copy_(torch.eye(n))
            first.bias.fill_(far)  # so that the ReLU between passes everything
            second.weight.copy_(weight)
            second.bias.copy_(bias - weight @ torch.full((n,), far, dtype=torch.float64))
    state, theirs = None, (torch.zeros(4, n).double(), torch.zeros(4, n).double())
    for _ in range(4):
        x = torch.randn(4, n, 3, 3, dtype=torch.float64)
        _, state = unit(x, state)
        theirs = cell(x.mean((2, 3)), theirs)
        torch.testing.assert_close(state[0][0], theirs[0], rtol=0, atol=1e-11)
        torch.testing.assert_close(state[0][1], theirs[1], rtol=0, atol=1e-11)


def test_the_gate_begins_near_a_quarter():
    torch.manual_seed(0)
    factor, _ = DIA(256).factor(torch.randn(16, 256, 4, 4), None)
    assert 0.24 < factor.mean() < 0.29
    assert factor.std() < 0.1


def test_with_one_block_the_forget_gate_and_the_recall_weights_learn_nothing():
    unit = DIA(8)
    out, _ = unit(torch.randn(3, 8, 4, 4), None)
    out.square().sum().backward()
    read, recall = unit.read[0], unit.recall[0]
    assert not read[2].weight.grad[8:16].any()
    assert not recall[2].bias.grad[8:16].any()
    assert not recall[0].weight.grad.any()
    assert recall[2].bias.grad[:8].any()


def test_gradients_of_a_two_block_stage_are_right():
    torch.manual_seed(0)
    unit = DIA(4, reduction=2).double()

    def two(x):
        first, state = unit(x, None)
        return unit(first + x, state)[0]

    x = torch.randn(2, 4, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(two, (x,))


def test_memory_stays_in_float32_under_autocast():
    unit = DIA(8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out, state = unit(torch.randn(2, 8, 4, 4).bfloat16(), None)
        out, state = unit(out, state)
    assert out.dtype == torch.bfloat16
    assert state[0][1].dtype == torch.float32


def test_cells_stand_on_one_another():
    torch.manual_seed(0)
    unit = DIA(8, cells=3).eval()
    x = torch.randn(2, 8, 4, 4)
    _, state = unit(x, None)
    assert len(state) == 3
    seen = x.mean((2, 3))
    for read, recall, (h, c) in zip(unit.read, unit.recall, state, strict=True):
        i, _, g, o = (read(seen) + recall(torch.zeros(2, 8))).chunk(4, 1)
        torch.testing.assert_close(c, torch.sigmoid(i) * torch.tanh(g))
        seen = torch.sigmoid(o) * torch.sigmoid(c)
        torch.testing.assert_close(h, seen)


def test_se_equals_its_equation():
    torch.manual_seed(0)
    gate = SqueezeExcite(8, reduction=4)
    x = torch.randn(2, 8, 3, 3)
    w1, w2 = gate.reduce.weight[:, :, 0, 0], gate.expand.weight[:, :, 0, 0]
    inner = torch.relu(x.mean((2, 3)) @ w1.T + gate.reduce.bias)
    wanted = x * torch.sigmoid(inner @ w2.T + gate.expand.bias)[:, :, None, None]
    torch.testing.assert_close(gate(x), wanted)


def test_sge_equals_its_equation_group_by_group():
    torch.manual_seed(0)
    gate = SpatialGroups(8, groups=2)
    nn.init.normal_(gate.weight)
    nn.init.normal_(gate.bias)
    x = torch.randn(2, 8, 3, 5)
    wanted = torch.empty_like(x)
    for sample in range(2):
        for group in range(2):
            part = x[sample, 4 * group : 4 * group + 4]
            mean = part.mean((1, 2))
            like = torch.stack([(part[:, r, c] * mean).sum() for r in range(3) for c in range(5)])
            like = (like - like.mean()) / (like.std() + 1e-5)
            place = torch.sigmoid(like * gate.weight[0, group] + gate.bias[0, group]).view(3, 5)
            wanted[sample, 4 * group : 4 * group + 4] = part * place
    torch.testing.assert_close(gate(x), wanted)
    torch.testing.assert_close(x * gate.factor(x), wanted)


def test_sge_begins_at_a_constant_and_takes_a_map_of_one_place():
    gate = SpatialGroups(256)
    torch.testing.assert_close(gate(torch.ones(1, 256, 4, 4)), torch.full((1, 256, 4, 4), sigma(1)))
    one = torch.randn(2, 256, 1, 1, requires_grad=True)
    gate(one).sum().backward()
    assert torch.isfinite(one.grad).all()
    assert torch.equal(alike(one, 64), torch.zeros(2, 64, 1, 1))


@pytest.mark.parametrize(
    ("channels", "groups"), [(2048, 64), (256, 64), (128, 32), (16, 4), (24, 6), (3, 1), (10, 2)]
)
def test_sge_parts_narrow_blocks_into_groups_of_four(channels, groups):
    assert SpatialGroups(channels).groups == groups


def test_a_constant_gate_has_nothing_to_learn():
    gate = Constant(8, value=0.5)
    assert not list(gate.state_dict())
    x = torch.randn(2, 8, 3, 3)
    assert torch.equal(gate(x), x * 0.5)


@pytest.mark.parametrize(
    "inner", [lambda: SqueezeExcite(8, reduction=2), lambda: nn.Sequential(nn.Conv2d(8, 8, 1), nn.Sigmoid())]
)
def test_an_eased_gate_is_nothing_at_first_and_the_gate_when_open(inner):
    gate = Eased(inner())
    x = torch.randn(2, 8, 3, 3)
    assert torch.equal(gate(x), x)
    gate(x).sum().backward()
    assert gate.opening.grad.abs() > 0
    with torch.no_grad():
        gate.opening.fill_(1.0)
    torch.testing.assert_close(gate(x), gate.inner(x))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: DIA(8, reduction=9), "reduction 9 of dia is larger than the 8 channels"),
        (lambda: DIA(8, reduction=0), "reduction of dia is a whole number of at least 1, not 0"),
        (lambda: DIA(8, reduction=True), "whole number"),
        (lambda: DIA(8, squash="sigmoidal"), "squash cannot be 'sigmoidal'; near names: 'sigmoid'"),
        (lambda: SqueezeExcite(8, reduction=16), "reduction 16 of se is larger than the 8 channels"),
        (lambda: SpatialGroups(10, groups=4), "sge cannot split 10 channels into 4 groups"),
    ],
)
def test_wrong_arguments_are_refused(make, says):
    with pytest.raises(GateError, match=says):
        make()
