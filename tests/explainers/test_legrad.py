"""LeGrad against its equation: blocks run by hand, the end of the network applied to each one's tokens."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import sightline
from sightline.errors import LayerError
from tests.batteries.test_attention_readers import (
    GRID,
    KINDS,
    MIXES,
    ONE,
    READS,
    Dropping,
    Net,
    built,
    pictures,
)

TARGET = 1


def embedded(net: Net, x: Tensor) -> Tensor:
    tokens = net.patch(x).flatten(2).mT + net.places
    return torch.cat([*(getattr(net, name).expand(len(x), -1, -1) for name in net.before), tokens], 1)


def by_hand(net: Net, x: Tensor) -> list[Tensor]:
    """Each attention's own map: the score of its block's tokens, the gradient at its weights, place by place."""
    maps = []
    for depth in range(1, len(net.trunk) + 1):
        for mixer in (*(part.tokens for part in net.trunk), net.pool, *net.late):
            mixer.weights.clear()
        tokens = embedded(net, x)
        for part in net.trunk[:depth]:
            tokens = part(tokens)
        if net.read == "late":
            one = net.probe.expand(len(x), -1, -1)
            for mixer in net.late:
                one = one + mixer(torch.cat([one, tokens], 1), one)
            scores = net.fc(one[:, 0])
        else:
            scores = net.fc(READS[net.read](net, net.last(tokens)))
        read = net.pool if net.read == "probe" else net.trunk[depth - 1].tokens
        maps.append(own(scores, read.weights[-1], net.prefix))
    if net.read == "late":  # as they stand, on the last block's tokens
        maps += [own(scores, mixer.weights[-1], 1) for mixer in net.late]
    return maps


def own(scores: Tensor, weights: Tensor, prefix: int) -> Tensor:
    G = torch.autograd.grad(scores[:, TARGET].sum(), weights, retain_graph=True)[0]
    b, heads, q, n = G.shape
    total = torch.zeros(b, n, dtype=G.dtype)
    for head in range(heads):
        for row in range(q):
            total += G[:, head, row].clamp_min(0)
    return (total / (heads * q))[:, prefix:].reshape(b, GRID, GRID)


@pytest.mark.parametrize("accumulate", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_legrad_equals_its_equation_block_by_block(kind: str, accumulate: bool) -> None:
    net, x = built(KINDS[kind]), pictures()
    ours = sightline.explain(net, x, target=TARGET, method="legrad", options={"accumulate": accumulate})
    right = by_hand(net, x)
    assert len(ours[0].flow) == len(right)
    for i in range(len(right)):
        wanted = torch.stack(right[: i + 1]).mean(0) if accumulate else right[i]
        found = torch.stack([item.flow[i].values for item in ours]).double()
        assert float(wanted.max()) > 0
        assert torch.allclose(found, wanted, rtol=1e-4, atol=1e-6 * float(wanted.max()))


@pytest.mark.parametrize("mix", MIXES)
def test_attention_of_every_kind_is_differentiated(mix: str) -> None:
    net, plain = (
        built(lambda m=m: Net("first", ONE, mix=m)) for m in (mix, "biased" if mix == "masked" else "plain")
    )
    if mix == "biased":
        plain = net
    found, wanted = (sightline.explain(n, pictures(), target=TARGET, method="legrad")[0].flow for n in (net, plain))
    assert torch.allclose(found[-1].values, wanted[-1].values, rtol=1e-4, atol=1e-9)


class PostNorm(nn.Module):
    """Norms behind the sums, a class token, and no norm at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 16, 4, 4)
        self.word = nn.Parameter(torch.randn(1, 1, 16))
        self.blocks = nn.ModuleList(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True) for _ in range(3))
        self.fc = nn.Linear(16, 5)

    def upto(self, x: Tensor, depth: int) -> Tensor:
        tokens = torch.cat([self.word.expand(len(x), -1, -1), self.patch(x).flatten(2).mT], 1)
        for block in self.blocks[:depth]:
            tokens = block(tokens)
        return tokens

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.upto(x, 3)[:, 0])


def test_blocks_with_their_norms_behind_are_read_behind_their_norms() -> None:
    """By central differences of the block's own score in each weight of the class token's row."""
    net, x = built(PostNorm), pictures(1)
    ours = sightline.explain(net, x, target=TARGET, method="legrad", options={"accumulate": False}, layers="all")[
        0
    ].flow
    for depth in (1, 2, 3):
        attention = net.blocks[depth - 1].self_attn
        kept: dict[str, Tensor] = {}

        def replace(module: nn.Module, args: tuple[Tensor, ...], output: tuple[Tensor, Tensor], kept=kept) -> object:
            q, k, v = (args[0] @ module.in_proj_weight.T + module.in_proj_bias).unflatten(-1, (3, 2, 8)).unbind(2)
            q, k, v = (t.transpose(1, 2) for t in (q, k, v))
            kept["A"] = A = (q @ k.mT / 8**0.5).softmax(-1)
            return module.out_proj((A @ v).transpose(1, 2).flatten(2)), None

        handle = attention.register_forward_hook(replace)
        score = net.fc(net.upto(x, depth)[:, 0])[0, TARGET]
        handle.remove()
        G = torch.autograd.grad(score, kept["A"])[0]
        wanted = G.clamp_min(0).mean((0, 1, 2))[1:].reshape(4, 4)
        assert torch.allclose(ours[depth - 1].values.double(), wanted, rtol=1e-4, atol=1e-9)


def test_the_decision_is_that_of_the_whole_network_at_every_block() -> None:
    """The class is the last block's, though an earlier block alone would say another."""
    net, x = built(KINDS["class token"]), pictures()
    first = sightline.explain(net, x, method="legrad")
    for i, item in enumerate(first):
        named = sightline.explain(net, x[i : i + 1], target=item.decision.index, method="legrad")[0]
        assert torch.equal(item.flow[0].values, named.flow[0].values)


def test_checkpointed_models_give_the_maps_of_the_plain_ones() -> None:
    maps = [
        sightline.explain(
            built(lambda r=r: Net("first", ONE, reentrant=r)), pictures(), target=TARGET, method="legrad"
        )
        for r in (None, True, False)
    ]
    assert all(torch.equal(m[0].flow[-1].values, maps[0][0].flow[-1].values) for m in maps)


@pytest.mark.parametrize("make", [lambda: Dropping("first")], ids=["dropping"])
def test_blocks_of_other_tokens_are_refused(make: Callable[[], nn.Module]) -> None:
    with pytest.raises(LayerError, match="tokens leave the attention"):
        sightline.explain(built(make), pictures(), target=TARGET, method="legrad")
