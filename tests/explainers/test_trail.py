"""Rollout through models of several streams of tokens, against products of matrices written out by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import sightline
from sightline.explainers.attention import rollout as rolled
from sightline.explainers.attention.trail import Trail, drawing
from sightline.targets import token
from tests.tiny import SIDE, vit

WORDS = torch.tensor([[1, 5, 7, 9, 2]])


class Heads(nn.Module):
    """Attention of `x` to `memory` that keeps its weights."""

    def __init__(self, width: int = 16, heads: int = 2) -> None:
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(width, width) for _ in range(4))
        self.heads, self.A = heads, torch.empty(0)

    def forward(self, x: Tensor, memory: Tensor, *, causal: bool = False) -> Tensor:
        q, k, v = (p(t).unflatten(-1, (self.heads, -1)).transpose(1, 2)
                   for p, t in ((self.q, x), (self.k, memory), (self.v, memory)))  # fmt: skip
        logits = q @ k.mT * 2
        if causal:
            logits = logits.masked_fill(torch.ones_like(logits).triu(1).bool(), -torch.inf)
        self.A = logits.softmax(-1)
        return self.o((self.A @ v).transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class Writer(nn.Module):
    """An image-to-text model: words read the image by cross-attention, or image tokens stand before them."""

    def __init__(self, *, cross: bool, count: int = 2) -> None:
        super().__init__()
        self.cross, self.embed = cross, nn.Conv2d(3, 16, 8, 8)
        self.seeing, self.reading, self.crossing = (nn.ModuleList(Heads() for _ in range(count)) for _ in range(3))
        self.mlps = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(16), nn.Linear(16, 24), nn.GELU(), nn.Linear(24, 16)) for _ in range(count)
        )
        self.words, self.head = nn.Embedding(20, 16), nn.Linear(16, 20)

    def forward(self, pixel_values: Tensor, input_ids: Tensor) -> dict[str, Tensor]:
        x = self.embed(pixel_values).flatten(2).mT
        for see, mlp in zip(self.seeing, self.mlps, strict=True):
            x = x + see(F.layer_norm(x, (16,)), F.layer_norm(x, (16,)))
            x = x + mlp(x)
        y = self.words(input_ids)
        if not self.cross:
            y = torch.cat([y[:, :1], x, y[:, 1:]], 1)  # begin, image, words
        for read, cross, mlp in zip(self.reading, self.crossing, self.mlps, strict=True):
            y = y + read(y, y, causal=True)
            y = F.layer_norm(y + cross(y, x), (16,)) if self.cross else y
            y = y + mlp(y)
        return {"logits": self.head(y)}


def writer(*, cross: bool) -> Writer:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return Writer(cross=cross).eval()


def picture() -> Tensor:
    return torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def by_hand(model: Any, k: int, method: str) -> Tensor:
    """Matrices multiplied through both streams, [chefer2021generic] for two kinds of tokens."""
    score = model(picture(), WORDS)["logits"][0, k].log_softmax(0).max()
    scale = 0.5 if method == "rollout" else 1.0

    def weights(heads: Heads) -> Tensor:
        if method == "rollout":
            return heads.A[0].mean(0)
        (G,) = torch.autograd.grad(score, heads.A, retain_graph=True, materialize_grads=True, allow_unused=True)
        return (G * heads.A)[0].relu().mean(0)

    seen = torch.eye(16)
    for see in model.seeing:
        seen = scale * (seen + weights(see) @ seen)
    R = torch.zeros(5, 16) if model.cross else torch.cat([torch.zeros(1, 16), seen, torch.zeros(4, 16)])
    for read, cross in zip(model.reading, model.crossing, strict=True):
        R = scale * (R + weights(read) @ R)
        if model.cross:
            R = scale * (R + weights(cross) @ seen)
    return R[k].detach().reshape(4, 4)


@pytest.mark.parametrize("method", ["rollout", "gradrollout"])
@pytest.mark.parametrize(("cross", "positions"), [(True, (0, 3)), (False, (17, 20))])
def test_attention_of_a_word_is_rolled_out_to_the_image(cross: bool, positions: tuple[int, ...], method: str) -> None:
    model = writer(cross=cross)
    for k in positions:
        inputs = {"pixel_values": picture(), "input_ids": WORDS}
        item = sightline.explain(model, inputs, target=token(k), method=method, progress=False).one()
        assert torch.allclose(item.flow.main.values, by_hand(model, k, method), atol=1e-6)
        assert item.flow.main.layer == ("crossing.1" if cross else "reading.1")


def test_a_wrapper_and_a_second_picture_change_nothing() -> None:
    class Wrapped(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, **batch: Tensor) -> Tensor:
            return self.inner(batch["pixel_values"] * 1.0, batch["input_ids"])["logits"]  # type: ignore[no-any-return]

    model = writer(cross=True)
    both = torch.cat([picture().flip(3), picture()])
    inputs = {"pixel_values": both, "input_ids": WORDS.expand(2, -1)}
    items = sightline.explain(Wrapped(model), inputs, target=token(3), method="rollout", progress=False)
    assert torch.allclose(items[1].flow.main.values, by_hand(model, 3, "rollout"), atol=1e-6)
    assert not torch.allclose(items[0].flow.main.values, items[1].flow.main.values)


def test_the_first_layers_are_read_through_those_that_lead_to_the_word() -> None:
    model = writer(cross=True)
    inputs = {"pixel_values": picture(), "input_ids": WORDS}
    item = sightline.explain(model, inputs, target=token(3), method="rollout", progress=False).one()
    assert [own.layer for own in item.flow.maps] == ["seeing.0", "seeing.1", "crossing.0", "reading.1", "crossing.1"]
    by_hand(model, 3, "rollout")
    A = [heads.A[0].mean(0).detach() for heads in (*model.seeing, *model.crossing)]  # type: ignore[union-attr]
    halves = [(own + torch.eye(16)) / 2 for own in A[:2]]
    assert torch.allclose(item.flow.maps[0].values, (A[3] @ halves[0])[3].reshape(4, 4) / 2, atol=1e-6)
    assert torch.allclose(item.flow.maps[2].values, (A[2] @ halves[1] @ halves[0])[3].reshape(4, 4) / 2, atol=1e-6)


@pytest.mark.parametrize("method", ["rollout", "gradrollout"])
def test_in_a_plain_transformer_the_trail_is_the_product_of_matrices(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, images = vit("token").eval(), torch.rand(2, 3, SIDE, SIDE)
    chain = sightline.explain(model, images, method=method, progress=False)
    monkeypatch.setattr(rolled.Trail, "is_chain", property(lambda self: False))
    trail = sightline.explain(model, images, method=method, progress=False)
    assert rolled.Trail is Trail
    for one, other in zip(chain, trail, strict=True):
        for a, b in zip(one.flow.maps, other.flow.maps, strict=True):
            shares = [own.values / own.values.sum() for own in (a, b)]
            assert torch.allclose(*shares, atol=1e-6)


def test_a_token_that_every_word_attends_to_is_named() -> None:
    weights = torch.full((3, 8), 0.02)
    weights[:, 2] = 0.86
    assert drawing(weights) == [2]
    causal = torch.full((9, 9), 0.1).tril()
    causal[:, 0] = 0.95
    assert drawing(causal) == [0]
    causal[8, 0] = 0.1  # the last word does not
    assert drawing(causal) == []
