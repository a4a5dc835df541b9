"""Who decides, and what is attention: tiny transformers of every kind, none of whose names say what they are.

Each network keeps its attention matrices as it runs, so the oracle needs neither hooks nor names: it multiplies what
the network kept, and reads the rows whose gradient is not exactly zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

import sightline
from sightline.errors import LayerError

WIDTH, HEADS, SIDE, PATCH, CLASSES = 16, 2, 16, 4, 5
GRID = SIDE // PATCH
PLACES = GRID * GRID
Mix = Callable[["Mixer", Tensor, Tensor, Tensor], Tensor]
"""From queries, keys and values `[b, h, n, d]` to `[b, h, n, d]`; the mixer keeps the weights."""


def kept(mixer: Mixer, scores: Tensor) -> Tensor:
    weights = scores.softmax(-1)
    mixer.weights.append(weights)
    return weights


def plain(mixer: Mixer, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return kept(mixer, q @ k.mT / math.sqrt(q.shape[-1])) @ v


def fused(mixer: Mixer, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    kept(mixer, q @ k.mT / math.sqrt(q.shape[-1]))
    return F.scaled_dot_product_attention(q, k, v)


def biased(mixer: Mixer, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    bias = torch.linspace(-1, 1, k.shape[2]).expand(q.shape[2], -1)
    return kept(mixer, q @ k.mT / math.sqrt(q.shape[-1]) + bias) @ v


def masked(mixer: Mixer, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    bias = torch.linspace(-1, 1, k.shape[2]).expand(q.shape[2], -1)
    kept(mixer, q @ k.mT / math.sqrt(q.shape[-1]) + bias)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)


def by_einsum(mixer: Mixer, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    weights = kept(mixer, torch.einsum("bhid,bhjd->bhij", q, k) / math.sqrt(q.shape[-1]))
    return torch.einsum("bhij,bhjd->bhid", weights, v)


def values_first(mixer: Mixer, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    weights = kept(mixer, q @ k.mT / math.sqrt(q.shape[-1]))
    return torch.einsum("bhjd,bhij->bhid", v, weights)


def turned(mixer: Mixer, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (v.mT @ kept(mixer, q @ k.mT / math.sqrt(q.shape[-1])).mT).mT


def batched_by_heads(mixer: Mixer, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    b = len(q)
    q, k, v = (x.flatten(0, 1) for x in (q, k, v))
    weights = torch.bmm(q, k.mT).div(math.sqrt(q.shape[-1])).softmax(2).unflatten(0, (b, -1))
    mixer.weights.append(weights)
    return torch.bmm(F.dropout(weights.flatten(0, 1), 0.5, training=mixer.training), v).unflatten(0, (b, -1))


def written_out(mixer: Mixer, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    e = (scores - scores.amax(-1, keepdim=True)).exp()
    weights = e / e.sum(-1, keepdim=True)
    mixer.weights.append(weights)
    return weights @ v


MIXES: dict[str, Mix] = {
    mix.__name__: mix
    for mix in (plain, fused, biased, masked, by_einsum, values_first, turned, batched_by_heads, written_out)
}


class Mixer(nn.Module):
    """Attention under a name that does not say so."""

    def __init__(self, mix: str = "plain") -> None:
        super().__init__()
        self.three, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mix = mix
        self.weights: list[Tensor] = []

    def forward(self, x: Tensor, queries: Tensor | None = None) -> Tensor:
        q, k, v = (rearrange(t, "b n (h d) -> b h n d", h=HEADS) for t in self.three(x).chunk(3, -1))
        if queries is not None:
            q = rearrange(self.three(queries)[..., :WIDTH], "b n (h d) -> b h n d", h=HEADS)
        return self.out(rearrange(MIXES[self.mix](self, q, k, v), "b h n d -> b n (h d)"))


class Part(nn.Module):
    def __init__(self, mix: str) -> None:
        super().__init__()
        self.n1, self.n2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.tokens = Mixer(mix)
        self.channels = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.tokens(self.n1(x))
        return x + self.channels(self.n2(x))


class Net(nn.Module):
    """A transformer with tokens of its own before the places, and one of several ways to decide.

    `before` is by name the number of tokens before the places; `read` from tokens `[b, n, c]` to `[b, c]`.
    """

    def __init__(
        self, read: str, before: dict[str, int] | None = None, *, mix: str = "plain", depth: int = 2,
        reentrant: bool | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.patch = nn.Conv2d(3, WIDTH, PATCH, PATCH)
        self.before = dict(before or {})
        for name, count in self.before.items():
            self.register_parameter(name, nn.Parameter(torch.randn(1, count, WIDTH)))
        self.places = nn.Parameter(torch.randn(1, PLACES, WIDTH) / 4)
        self.trunk = nn.ModuleList([Part(mix) for _ in range(depth)])
        self.last = nn.LayerNorm(WIDTH)
        self.probe = nn.Parameter(torch.randn(1, 1, WIDTH))
        self.pool = Mixer()
        self.late = nn.ModuleList([Mixer() for _ in range(2)]) if read == "late" else nn.ModuleList()
        self.fc = nn.Linear(2 * WIDTH if read == "both" else WIDTH, CLASSES)
        self.read, self.reentrant = read, reentrant

    @property
    def prefix(self) -> int:
        return sum(self.before.values())

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patch(x).flatten(2).mT + self.places
        own = [getattr(self, name).expand(len(x), -1, -1) for name in self.before]
        tokens = torch.cat([*own, tokens], 1)
        for part in self.trunk:
            tokens = (
                part(tokens) if self.reentrant is None else checkpoint(part, tokens, use_reentrant=self.reentrant)
            )
        if self.read == "late":
            one = self.probe.expand(len(x), -1, -1)
            for mixer in self.late:
                one = one + mixer(torch.cat([one, tokens], 1), one)
            return self.fc(one[:, 0])
        return self.fc(READS[self.read](self, self.last(tokens)))


READS: dict[str, Callable[[Net, Tensor], Tensor]] = {
    "first": lambda net, x: x[:, 0],
    "second": lambda net, x: x[:, 1],
    "two": lambda net, x: (x[:, 0] + x[:, 1]) / 2,
    "places": lambda net, x: x[:, net.prefix :].mean(1),
    "all": lambda net, x: x.mean(1),
    "max": lambda net, x: x[:, net.prefix :].amax(1),
    "sum": lambda net, x: x[:, net.prefix :].sum(1),
    "conv": lambda net, x: F.adaptive_avg_pool2d(x[:, net.prefix :].mT.unflatten(2, (GRID, GRID)), 1).flatten(1),
    "both": lambda net, x: torch.cat([x[:, 0], x[:, net.prefix :].mean(1)], -1),
    "probe": lambda net, x: net.pool(x, net.probe.expand(len(x), -1, -1))[:, 0],
    "late": lambda net, x: x[:, 0],
}
"""How the tokens become one vector."""

ONE = {"first": 1}
KINDS: dict[str, Callable[[], Net]] = {
    "class token": lambda: Net("first", ONE),
    "mean of the places": lambda: Net("places"),
    "mean of the places beside a class token": lambda: Net("places", ONE),
    "mean beside a class token and registers": lambda: Net("places", {"own": 1, "storage_tokens": 3}),
    "class token beside registers": lambda: Net("first", {"class_embedding": 1, "extra": 3}),
    "two tokens averaged": lambda: Net("two", {"cls": 1, "teacher": 1}),
    "the second token": lambda: Net("second", {"cls": 1, "teacher": 1}),
    "mean of all tokens": lambda: Net("all", ONE),
    "maximum over the places": lambda: Net("max", ONE),
    "sum over the places": lambda: Net("sum", ONE),
    "pooling of a picture": lambda: Net("conv", ONE),
    "class token and mean": lambda: Net("both", ONE),
    "learned probe": lambda: Net("probe"),
    "class attention late": lambda: Net("late"),
}


def built(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make().double().eval()


def pictures(batch: int = 2) -> Tensor:
    return torch.randn(batch, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def by_hand(net: Net, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Weights of each attention and their gradient, from what the network kept."""
    mixers = [m for m in net.modules() if isinstance(m, Mixer)]
    for mixer in mixers:
        mixer.weights.clear()
    score = net(x)[:, 1].sum()
    order = [part.tokens for part in net.trunk] + [*net.late, net.pool]
    weights = [w for mixer in order for w in mixer.weights]
    gradients = torch.autograd.grad(score, weights, allow_unused=True, materialize_grads=True)
    for mixer in mixers:
        mixer.weights.clear()
    return [w.detach() for w in weights], list(gradients)


def rolled_out(net: Net, x: Tensor, *, weighted: bool) -> Tensor:
    """The last map, row by row: weights multiplied through, read at the rows whose gradient is not exactly zero."""
    weights, gradients = by_hand(net, x)
    maps = []
    for b in range(len(x)):
        R = torch.eye(net.prefix + PLACES, dtype=x.dtype)
        for A, G in zip(weights, gradients, strict=True):
            step = (A[b] * G[b]).relu().mean(0) if weighted else A[b].mean(0)
            scale = 1.0 if weighted else 0.5
            if A.shape[2] == A.shape[3]:
                R = (step + torch.eye(len(step))) * scale @ R
            elif net.read == "probe":
                R = step @ R
            else:
                R = torch.cat([torch.zeros(1, R.shape[1]), R]) if len(R) == PLACES else R
                R = torch.cat([(step + torch.eye(1, len(R))) * scale @ R, R[1:]])
        decides = gradients[-1][b].abs().sum((0, 2)) > 0
        if net.read == "max":
            decides = torch.arange(len(R)) >= net.prefix
        rows = R[: len(decides)][decides]
        row = (rows[0] + rows[1:].mean(0)) / 2 if net.read == "both" else rows.mean(0)
        maps.append(row[net.prefix :].reshape(GRID, GRID))
    return torch.stack(maps)


@pytest.mark.parametrize("method", ["rollout", "gradrollout"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_tokens_that_reach_the_output_are_read(kind: str, method: str) -> None:
    net, x = built(KINDS[kind]), pictures()
    ours = sightline.explain(net, x, target=1, method=method)
    right = rolled_out(net, x, weighted=method == "gradrollout")
    found = torch.stack([item.flow[-1].values for item in ours]).double()
    assert torch.allclose(found, right, rtol=1e-4, atol=1e-7 * float(right.abs().max()))


@pytest.mark.parametrize("method", ["rollout", "gradrollout"])
@pytest.mark.parametrize("mix", MIXES)
def test_attention_is_what_the_computation_says_whatever_its_module_is_called(mix: str, method: str) -> None:
    net, x = built(lambda: Net("first", ONE, mix=mix)), pictures()
    ours = sightline.explain(net, x, target=1, method=method)
    assert ours[0].flow.layers == ("trunk.0.tokens", "trunk.1.tokens")
    if mix in ("fused", "masked"):
        net.trunk.apply(lambda m: setattr(m, "mix", "plain" if mix == "fused" else "biased"))
    right = rolled_out(net, x, weighted=method == "gradrollout")
    found = torch.stack([item.flow[-1].values for item in ours]).double()
    assert torch.allclose(found, right, rtol=1e-4, atol=1e-7 * float(right.abs().max()))


@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("method", ["rollout", "gradrollout", "daam"])
def test_checkpointed_models_give_the_maps_of_the_plain_ones(method: str, reentrant: bool) -> None:
    x = pictures()
    ours = sightline.explain(built(lambda: Net("first", ONE, reentrant=reentrant)), x, target=1, method=method)
    plainly = sightline.explain(built(lambda: Net("first", ONE)), x, target=1, method=method)
    assert torch.equal(ours[0].flow[-1].values, plainly[0].flow[-1].values)


@pytest.mark.parametrize("kind", KINDS)
def test_who_decides_does_not_depend_on_the_weights_of_the_head(kind: str) -> None:
    """A head that is zero has no gradient, but reads what it reads."""
    net, x = built(KINDS[kind]), pictures()
    before = sightline.explain(net, x, target=1, method="rollout")[0].flow[-1].values
    nn.init.zeros_(net.fc.weight)
    after = sightline.explain(net, x, target=1, method="rollout")[0].flow[-1].values
    assert torch.equal(before, after)


@pytest.mark.parametrize("method", ["rollout", "gradrollout", "daam"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_gives_the_maps_of_single_images(kind: str, method: str) -> None:
    net, x = built(KINDS[kind]), pictures(3)
    together = sightline.explain(net, x, target=1, method=method)
    for i, item in enumerate(together):
        alone = sightline.explain(net, x[i : i + 1], target=1, method=method)[0]
        assert torch.allclose(item.flow[-1].values, alone.flow[-1].values, rtol=1e-5)


class Dropping(Net):
    """Half of the tokens go on."""

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.trunk[0](self.patch(x).flatten(2).mT + self.places)
        chosen = tokens.square().sum(-1).topk(PLACES // 2, 1).indices
        tokens = tokens.gather(1, chosen[..., None].expand(-1, -1, WIDTH))
        return self.fc(self.trunk[1](tokens).mean(1))


class Pooling(Net):
    """The keys of the attention are fewer than its queries."""

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patch(x).flatten(2).mT + self.places
        fewer = F.avg_pool1d(tokens.mT, 4).mT
        return self.fc((tokens + self.trunk[0].tokens(fewer, tokens)).mean(1))


class Windows(Net):
    """Attention inside quarters of the picture."""

    def forward(self, x: Tensor) -> Tensor:
        tokens = rearrange(self.patch(x), "b c (y i) (x j) -> (b y x) (i j) c", i=2, j=2)
        return self.fc(self.trunk[0](tokens).unflatten(0, (len(x), -1)).mean((1, 2)))


class Channels(Net):
    """The channels read one another, and no place does."""

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patch(x).flatten(2) + self.places.mT
        scores = tokens @ tokens.mT
        return self.fc((tokens + scores.softmax(-1) @ tokens).mean(2))


class NoAttention(nn.Module):
    """A soft-max gate and a soft-max over the classes, but no attention."""

    def __init__(self) -> None:
        super().__init__()
        self.patch, self.fc = nn.Conv2d(3, WIDTH, PATCH, PATCH), nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x)
        return self.fc((x * x.flatten(2).softmax(-1).unflatten(2, (GRID, GRID))).sum((2, 3))).softmax(-1)


@pytest.mark.parametrize("method", ["rollout", "gradrollout"])
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: Pooling("first"), "4 tokens that were pooled of 16"),
        (lambda: Windows("first"), "no attention over all places"),
        (lambda: Channels("first"), "no attention over all places"),
        (NoAttention, "no attention over all places"),
    ],
    ids=["pooling", "windows", "channels", "none"],
)
def test_what_cannot_be_read_is_refused_and_never_empty(
    make: Callable[[], nn.Module], reason: str, method: str
) -> None:
    with pytest.raises(LayerError, match=reason):
        sightline.explain(built(make), pictures(), target=1, method=method)


def test_tokens_that_are_dropped_on_the_way_keep_their_places() -> None:
    net, x = built(lambda: Dropping("first")), pictures()
    items = sightline.explain(net, x, target=1, method="rollout", progress=False)
    with torch.no_grad():
        tokens = net.trunk[0](net.patch(x).flatten(2).mT + net.places)  # type: ignore[union-attr, operator, index]
        chosen = tokens.square().sum(-1).topk(PLACES // 2, 1).indices
    mixers = [m for m in net.modules() if isinstance(m, Mixer) and m.weights]
    A, B = (mixer.weights[-1].detach().mean(1) for mixer in mixers)
    for i, item in enumerate(items):
        first, second = ((own[i] + torch.eye(len(own[i]))) / 2 for own in (A, B))
        expected = (second @ first[chosen[i]]).mean(0)
        assert torch.allclose(item.flow.main.values.flatten().double(), expected, atol=1e-6)
    with pytest.raises(LayerError, match="16 tokens leave the attention"):
        sightline.explain(net, x, target=1, method="legrad")


class Anywhere(nn.Module):
    """A transformer over a signal, picture or volume, whose deciding token stands before or behind the places."""

    def __init__(self, axes: int, *, behind: bool) -> None:
        super().__init__()
        self.patch = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[axes - 1](1, WIDTH, 4, 4)
        self.one = nn.Parameter(torch.randn(1, 1, WIDTH))
        self.trunk = nn.ModuleList([Part("plain") for _ in range(2)])
        self.fc = nn.Linear(WIDTH, CLASSES)
        self.behind = behind

    def forward(self, x: Tensor) -> Tensor:
        parts = [self.one.expand(len(x), -1, -1), self.patch(x).flatten(2).mT]
        tokens = torch.cat(parts[::-1] if self.behind else parts, 1)
        for part in self.trunk:
            tokens = part(tokens)
        return self.fc(tokens[:, -1 if self.behind else 0])


@pytest.mark.parametrize("method", ["rollout", "gradrollout", "daam", "legrad"])
@pytest.mark.parametrize("size", [(32,), (8, 20), (8, 16, 12)], ids=["signal", "picture", "volume"])
def test_where_the_deciding_token_stands_and_how_many_axes_there_are_changes_nothing(
    size: tuple[int, ...], method: str
) -> None:
    x = torch.randn(2, 1, *size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    maps = [
        sightline.explain(built(lambda b=b: Anywhere(len(size), behind=b)), x, target=1, method=method)[0].flow[-1]
        for b in (False, True)
    ]
    assert tuple(maps[0].values.shape) == tuple(n // 4 for n in size)
    assert maps[0].values.any()
    assert torch.allclose(maps[0].values, maps[1].values, rtol=1e-5)
