"""Normalised and geometry-aware self-attention: each property of the paper's equations, in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from sightline.errors import ModelError
from sightline.tasks.captioning.network.attention import PLAIN, AttentionKind, RegionAttention
from sightline.tasks.captioning.network.bias import KINDS, GeometryBias
from sightline.tasks.captioning.network.geometry import FLOOR, grid_boxes, relative_geometry, unit_boxes
from sightline.tasks.captioning.network.normalise import QueryNorm, instance_normalised

B, N, C, H = 3, 7, 8, 2
NSA = AttentionKind("instance", ())
GSA = AttentionKind("none", ("query",))
NG = AttentionKind("instance", KINDS)


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def boxes(b: int = B, n: int = N, seed: int = 1) -> Tensor:
    chance = torch.Generator().manual_seed(seed)
    corner = torch.rand(b, n, 2, dtype=torch.float64, generator=chance)
    return torch.cat([corner, corner + 0.05 + torch.rand(b, n, 2, dtype=torch.float64, generator=chance)], -1)


def attention(kind: AttentionKind, seed: int = 2) -> RegionAttention:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return RegionAttention(C, H, kind).double().eval()


def naive(net: RegionAttention, x: Tensor, where: Tensor) -> Tensor:
    """One sample at a time, one head at a time, one pair at a time."""
    out = torch.zeros_like(x)
    d = C // H
    for b in range(len(x)):
        q, k, v = (x[b] @ part.weight.T + part.bias for part in (net.query, net.key, net.value))
        if net.kind.normaliser == "instance":
            q = (q - q.mean(0)) / torch.sqrt(q.var(0, unbiased=False) + net.kind.epsilon)
        for h in range(H):
            own = slice(h * d, (h + 1) * d)
            E = q[:, own] @ k[:, own].T / math.sqrt(d)
            for i in range(x.shape[1]):
                for j in range(x.shape[1]):
                    E[i, j] += naive_bias(net.bias, x[b], where[b], i, j, h)
            out[b, :, own] = torch.softmax(E, 1) @ v[:, own]
    return out @ net.out.weight.T + net.out.bias


def naive_bias(bias: GeometryBias | None, x: Tensor, where: Tensor, i: int, j: int, h: int) -> Tensor | float:
    if bias is None:
        return 0.0
    centre, side = (where[:, :2] + where[:, 2:]) / 2, where[:, 2:] - where[:, :2]
    f = [torch.log(torch.clamp((centre[i, a] - centre[j, a]).abs() / side[i, a], min=FLOOR)) for a in (0, 1)]
    f += [torch.log(side[i, a] / side[j, a]) for a in (0, 1)]
    f += [torch.sign(centre[j, a] - centre[i, a]) for a in (0, 1)] if bias.signed else []
    G = torch.relu(bias.embed.weight @ torch.stack(f) + bias.embed.bias)
    own = slice(h * bias.inside, (h + 1) * bias.inside)
    total = torch.zeros((), dtype=x.dtype)
    if bias.content is not None:
        total = total + torch.relu(bias.content.weight[h] @ G)
    if bias.query is not None:
        total = total + (x[i] @ bias.query.weight.T + bias.query.bias)[own] @ G
    if bias.key is not None:
        total = total + (x[j] @ bias.key.weight.T + bias.key.bias)[own] @ G
    return total


@pytest.mark.parametrize(
    "kind", [PLAIN, NSA, GSA, AttentionKind("none", ("content",)), AttentionKind("none", ("key",), signed=True), NG]
)
def test_attention_is_its_equation_pair_by_pair(kind: AttentionKind) -> None:
    net, x, where = attention(kind), numbers(B, N, C), boxes()
    out = net(x, relative_geometry(where, signed=kind.signed))
    assert torch.allclose(out, naive(net, x, where), atol=1e-12)


def test_normalised_queries_have_mean_0_and_variance_1_and_are_torchs_instance_norm() -> None:
    x = numbers(B, N, C) * 3 + 5
    normal = instance_normalised(x)
    assert normal.mean(1).abs().max() < 1e-14
    assert (normal.var(1, unbiased=False) - 1).abs().max() < 1e-4
    assert torch.allclose(normal, F.instance_norm(x.transpose(1, 2)).transpose(1, 2), atol=1e-13)


def test_the_statistics_of_a_padded_set_are_those_of_the_set_alone() -> None:
    net, x, where = attention(NG), numbers(B, N, C), boxes()
    alone = net(x[:1, :4], relative_geometry(where[:1, :4]))
    mask = torch.ones(B, N, dtype=torch.bool)
    mask[0, 4:] = False
    x[0, 4:], where[0, 4:] = 100.0, 0.0
    assert torch.allclose(net(x, relative_geometry(where), mask)[:1, :4], alone, atol=1e-13)
    assert not torch.allclose(instance_normalised(x)[:1, :4], instance_normalised(x[:1, :4]), atol=0.1)


def test_padding_of_any_content_leaves_finite_numbers() -> None:
    net, x, where = attention(NG), numbers(B, N, C), boxes()
    mask = torch.ones(B, N, dtype=torch.bool)
    mask[1, 1:] = False
    where[1, 1:] = 0
    assert net(x, relative_geometry(where), mask).isfinite().all()


def test_standardised_queries_make_nsa_plain_attention_and_none_is_bitwise_so() -> None:
    x = numbers(B, N, C)
    standard = (x - x.mean(1, keepdim=True)) / x.std(1, unbiased=False, keepdim=True)
    assert torch.allclose(instance_normalised(standard, epsilon=0), standard, atol=1e-14)
    assert torch.equal(QueryNorm("none", C)(x, None), x)


def test_shift_and_positive_scale_of_a_query_channel_change_nothing() -> None:
    net, x = attention(AttentionKind("instance", (), epsilon=0.0)), numbers(B, N, C)
    before = net(x)
    with torch.no_grad():
        net.query.bias += 7
        net.query.weight *= torch.linspace(0.5, 4, C, dtype=torch.float64)[:, None]
        net.key.bias += 3
    assert torch.allclose(net(x), before, atol=1e-12)
    net(x).square().sum().backward()
    assert net.query.bias.grad.abs().max() < 1e-11


def test_one_region_gives_its_value_and_two_give_plus_and_minus_one() -> None:
    net, x = attention(NSA), numbers(1, 1, C)
    assert torch.allclose(net(x), net.out(net.value(x)), atol=1e-14)
    assert (instance_normalised(x) == 0).all()
    assert torch.allclose(instance_normalised(numbers(1, 2, C), epsilon=0).abs(), torch.ones(1, 2, C).double())


def test_order_of_regions_and_other_samples_do_not_matter() -> None:
    net, x, where = attention(NG), numbers(B, N, C), boxes()
    out, order = net(x, relative_geometry(where)), torch.tensor([3, 0, 6, 1, 5, 2, 4])
    assert torch.allclose(net(x[:, order], relative_geometry(where[:, order])), out[:, order], atol=1e-13)
    one = net(x[1:2], relative_geometry(where[1:2]))
    assert torch.allclose(one, out[1:2], atol=1e-13)


def test_a_causal_use_is_refused() -> None:
    with pytest.raises(ModelError, match="cannot be causal"):
        attention(NSA)(numbers(1, 3, C), causal=True)


def test_a_bias_without_boxes_is_refused() -> None:
    with pytest.raises(ModelError, match="no boxes came"):
        attention(GSA)(numbers(1, 3, C))


def test_geometry_does_not_change_when_boxes_are_moved_scaled_stretched_or_mirrored() -> None:
    where = boxes()
    f = relative_geometry(where)
    stretch = torch.tensor([3.0, 0.2, 3.0, 0.2], dtype=torch.float64)
    mirrored = torch.stack([-where[..., 2], where[..., 1], -where[..., 0], where[..., 3]], -1)
    for moved in (where + 5, where * 40, where * stretch, mirrored):
        assert torch.allclose(relative_geometry(moved), f, atol=1e-11)
    assert torch.allclose(f[..., 2:], -f[..., 2:].transpose(1, 2), atol=1e-13)
    assert not torch.allclose(f[..., :2], f[..., :2].transpose(1, 2), atol=0.1)
    diagonal = torch.tensor([math.log(FLOOR), math.log(FLOOR), 0, 0], dtype=torch.float64)
    assert torch.allclose(f.diagonal(dim1=1, dim2=2).mT, diagonal.expand(B, N, 4))


def test_the_mirror_theorem_without_signs_a_mirrored_scene_is_the_same_scene() -> None:
    where, x = boxes(), numbers(B, N, C)
    mirrored = torch.stack([-where[..., 2], where[..., 1], -where[..., 0], where[..., 3]], -1)
    for signed in (False, True):
        net = attention(AttentionKind("instance", KINDS, signed=signed))
        one, two = (net(x, relative_geometry(w, signed=signed)) for w in (where, mirrored))
        assert torch.allclose(one, two, atol=1e-10) is not signed


@pytest.mark.parametrize("kind", KINDS)
def test_a_bias_of_zero_weights_is_plain_attention(kind: str) -> None:
    net, x, geometry = attention(AttentionKind("none", (kind,))), numbers(B, N, C), relative_geometry(boxes())
    plain = attention(PLAIN)
    plain.load_state_dict({name: v for name, v in net.state_dict().items() if not name.startswith("bias")})
    assert not torch.allclose(net(x, geometry), plain(x), atol=1e-4)
    for part in (net.bias.embed, getattr(net.bias, kind)):
        kept = {name: value.clone() for name, value in part.state_dict().items()}
        for value in part.parameters():
            value.data.zero_()
        assert torch.equal(net.bias(x, geometry), torch.zeros(B, H, N, N).double())
        assert torch.allclose(net(x, geometry), plain(x), atol=1e-14)
        part.load_state_dict(kept)


def test_the_content_bias_is_not_negative_and_a_constant_row_is_invisible() -> None:
    net, x, geometry = attention(AttentionKind("none", ("content",))), numbers(B, N, C), relative_geometry(boxes())
    assert (net.bias(x, geometry) >= 0).all()
    E = numbers(N, N)
    assert torch.allclose((E + numbers(N, 1, seed=4)).softmax(1), E.softmax(1), atol=1e-15)


def test_what_a_query_adds_to_all_keys_alike_and_the_bias_of_keys_are_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    net, x, geometry = attention(GSA), numbers(B, N, C), relative_geometry(boxes())
    before = net(x, geometry)
    before.square().sum().backward()
    assert net.key.bias.grad.abs().max() < 1e-13
    plain, row = GeometryBias.forward, numbers(B, H, N, 1, seed=5)  # phi2's part that is the same for all j
    monkeypatch.setattr(GeometryBias, "forward", lambda self, x, geometry: plain(self, x, geometry) + row)
    assert torch.allclose(net(x, geometry), before, atol=1e-13)


def test_an_unscaled_attention_is_an_option() -> None:
    net, x = attention(AttentionKind("instance", (), scaled=False)), numbers(B, N, C)
    q = instance_normalised(net.query(x)).unflatten(-1, (H, -1)).transpose(1, 2)
    k, v = (part(x).unflatten(-1, (H, -1)).transpose(1, 2) for part in (net.key, net.value))
    out = net.out(((q @ k.mT).softmax(-1) @ v).transpose(1, 2).flatten(2))
    assert torch.allclose(net(x), out, atol=1e-13)


@pytest.mark.parametrize("kind", ["layer", "batch", "instance-affine"])
def test_other_normalisers_do_what_their_names_say(kind: str) -> None:
    norm, x = QueryNorm(kind, C).double(), numbers(B, N, C) * 2 + 1
    mask = torch.ones(B, N, dtype=torch.bool)
    mask[0, 3:] = False
    out = norm(x, mask)
    if kind == "layer":
        assert torch.allclose(out, F.layer_norm(x, (C,)), atol=1e-12)
    elif kind == "batch":
        assert out[mask].mean(0).abs().max() < 1e-13
    else:
        norm.weight.data *= 2
        assert torch.allclose(norm(x, mask), 2 * instance_normalised(x, mask), atol=1e-13)


def test_cells_of_a_grid_are_boxes_and_pixels_become_shares() -> None:
    cells = grid_boxes(2, 3)
    assert cells.shape == (6, 4)
    assert torch.allclose(cells[4], torch.tensor([1 / 3, 0.5, 2 / 3, 1.0]))
    assert unit_boxes(torch.tensor([[10.0, 20, 30, 40]]), torch.tensor([40.0, 80])).tolist() == [
        [0.25, 0.25, 0.75, 0.5]
    ]


def test_the_response_is_the_bias_of_a_pair() -> None:
    net = attention(AttentionKind("none", KINDS, signed=True)).bias
    query, offset = numbers(C), torch.tensor([[1.0, 0.5, 3.0, 1.5]], dtype=torch.float64)
    own = torch.tensor([-0.5, -0.5, 0.5, 0.5], dtype=torch.float64)
    pair = net.of_boxes(query.expand(1, 2, -1), torch.stack([own, offset[0]])[None])
    assert torch.allclose(net.response(offset, query), pair[:, :, 0, 1], atol=1e-14)


def test_an_unknown_bias_and_a_width_that_heads_do_not_divide_are_refused() -> None:
    with pytest.raises(ModelError, match="no geometry bias 'querry'; near names: 'query'"):
        GeometryBias(C, H, kinds=("querry",))
    with pytest.raises(ModelError, match="cannot be split into 3 heads"):
        RegionAttention(C, 3)


@pytest.mark.parametrize("few", [1, 2, 3])
@pytest.mark.parametrize("signed", [False, True])
def test_training_by_few_samples_gives_the_same_bias_and_gradients(
    few: int, signed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sightline.tasks.captioning.network.bias._few", lambda tensor: few)
    chance = torch.Generator().manual_seed(0)
    bias = GeometryBias(16, 2, signed=signed).double()
    x = torch.randn(3, 5, 16, generator=chance).double().requires_grad_()
    corner, sides = torch.rand(2, 3, 5, 2, generator=chance).double()
    pairs = relative_geometry(torch.cat([corner, corner + 0.1 + sides], -1), signed=signed).requires_grad_()
    outcomes = []
    for training in (True, False):
        phi = bias.train(training)(x, pairs)
        weights = torch.arange(phi.numel()).double().reshape(phi.shape).sin()
        outcomes.append([phi, *torch.autograd.grad((phi * weights).sum(), [x, pairs, *bias.parameters()])])
    for one, other in zip(*outcomes, strict=True):
        assert torch.allclose(one, other, atol=1e-12)
