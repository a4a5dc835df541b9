"""DAAM against its equations, with hooks and autograd as the oracle."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

import sightline
from sightline.errors import LayerError
from sightline.explainers.attention.reading import read_attention
from sightline.explainers.flow.daam import parts_of
from sightline.explainers.method import Request
from sightline.models import adapt
from sightline.targets import parse_target
from tests.tiny import build, picture

TARGET = 2


def by_hand(model: nn.Module, x: Tensor) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Of a timm model in float64: E by head-and-channel, the input of each projection, and its gradient."""
    parts: list[Tensor] = []
    inputs: list[Tensor] = []

    def attend(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        b, n, d = args[0].shape
        q, k, v = module.qkv(args[0]).reshape(b, n, 3, 2, d // 2).permute(2, 0, 3, 1, 4)
        a = torch.softmax(q @ k.mT / math.sqrt(d // 2), -1)
        parts.append((a[:, :, 0, :, None] * v).permute(0, 2, 1, 3).reshape(b, n, d).detach())

    def project(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        args[0].retain_grad()
        inputs.append(args[0])

    handles = []
    for block in model.blocks:
        handles.append(block.attn.register_forward_pre_hook(attend))
        handles.append(block.attn.proj.register_forward_pre_hook(project))
    model(x.clone().requires_grad_())[:, TARGET].sum().backward()
    for handle in handles:
        handle.remove()
    return parts, inputs, [t.grad for t in inputs if t.grad is not None]


@torch.no_grad()
def test_what_the_tokens_give_sums_to_what_the_class_token_gets() -> None:
    model, x = build("vit_token").double(), picture().double()
    with torch.enable_grad():
        _, inputs, _ = by_hand(model, x)
    request = Request(adapt(model), x, parse_target(TARGET))
    reading = read_attention(request)
    assert reading.layout.prefix == 1
    assert len(reading.attentions) == 3
    for attention, wanted in zip(reading.attentions, inputs, strict=True):
        weights, values, _ = parts_of(reading, attention)
        drawn = (weights[:, :, 0, :, None] * values).sum(2).flatten(1)
        assert float((drawn - wanted[:, 0]).abs().max()) < 1e-10


@pytest.mark.parametrize("accumulate", [True, False])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_flow_is_the_running_sum_of_the_blocks_maps(accumulate: bool, sign: int) -> None:
    model, x = build("vit_token").double(), picture().double()
    with torch.no_grad():
        model.head.weight[TARGET] *= sign  # what of one sign there is depends on the weights that were drawn
    parts, _, gradients = by_hand(model, x)
    found = sightline.explain(model, x, target=TARGET, method="daam", options={"accumulate": accumulate})
    total = torch.zeros(2, 16, dtype=torch.float64)
    for i, (E, G) in enumerate(zip(parts, gradients, strict=True)):
        own = (E * G[:, :1]).sum(2)[:, 1:].relu()
        total = total + own
        right = (total if accumulate else own).reshape(2, 4, 4)
        ours = torch.stack([item.flow[i].values for item in found])
        assert torch.allclose(ours.double(), right, rtol=1e-5, atol=1e-9)
    assert found[0].flow.layers == ("blocks.0.norm1", "blocks.1.norm1", "blocks.2.norm1")


def test_one_class_or_its_opposite_has_a_map() -> None:
    drawn = []
    for sign in (1, -1):
        model = build("vit_token")
        with torch.no_grad():
            model.head.weight[TARGET] *= sign
        items = sightline.explain(model, picture(), target=TARGET, method="daam")
        drawn.append([any(bool(map_.values.any()) for map_ in item.flow.maps) for item in items])
    assert all(map(any, zip(*drawn, strict=True)))


@pytest.mark.parametrize("name", ["torch_vit", "post_norm"])
def test_other_transformers_with_a_class_token_work(name: str) -> None:
    found = sightline.explain(build(name), picture(), target=TARGET, method="daam")
    assert all(item.flow[-1].status == "ok" for item in found)


def test_where_the_mean_decides_all_places_read() -> None:
    """Each place's own map by hand, in a loop over the places that read."""
    model, x = build("vit_avg").double(), picture().double()
    weights: list[Tensor] = []
    values: list[Tensor] = []
    outputs: list[Tensor] = []

    def attend(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        b, n, d = args[0].shape
        q, k, v = module.qkv(args[0]).reshape(b, n, 3, 2, d // 2).permute(2, 0, 3, 1, 4)
        weights.append(torch.softmax(q @ k.mT / math.sqrt(d // 2), -1))
        values.append(v)

    def project(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        args[0].retain_grad()
        outputs.append(args[0])

    for block in model.blocks:
        block.attn.register_forward_pre_hook(attend)
        block.attn.proj.register_forward_pre_hook(project)
    model(x.clone().requires_grad_())[:, TARGET].sum().backward()
    ours = sightline.explain(
        build("vit_avg").double(), x, target=TARGET, method="daam", options={"accumulate": False}
    )
    for i, (a, v, out) in enumerate(zip(weights, values, outputs, strict=True)):
        G = out.grad.reshape(2, 16, 2, 8).transpose(1, 2)
        right = torch.zeros(2, 16, dtype=torch.float64)
        for reader in range(16):
            for place in range(16):
                drawn = a[:, :, reader, place, None] * v[:, :, place]
                right[:, place] += (G[:, :, reader] * drawn).sum((1, 2)).detach()
        found = torch.stack([item.flow[i].values for item in ours]).double()
        assert torch.allclose(found, right.relu().reshape(2, 4, 4), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("name", ["windows", "residual"])
def test_models_without_attention_over_the_whole_grid_are_refused(name: str) -> None:
    with pytest.raises(LayerError, match="no attention over all places"):
        sightline.explain(build(name), picture(), target=TARGET, method="daam")


def test_blocks_are_chosen_by_name() -> None:
    model = build("vit_token")
    every = sightline.explain(model, picture(), target=TARGET, method="daam")[0].flow
    last = sightline.explain(model, picture(), target=TARGET, method="daam", layers="last")[0].flow
    one = sightline.explain(model, picture(), target=TARGET, method="daam", layers="blocks.1")[0].flow
    assert torch.equal(last[0].values, every[-1].values)
    assert torch.equal(one[0].values, every["blocks.1.norm1"].values)
    with pytest.raises(LayerError, match="daam has no map at"):
        sightline.explain(model, picture(), target=TARGET, method="daam", layers="patch_embed")
