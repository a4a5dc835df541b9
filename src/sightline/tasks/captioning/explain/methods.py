"""From a captioner, regions and a sentence to a weight of each region for each word.

Attention is read as the network computed it; gradients and relevance come from the explainers that every model has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.api.explain import explain
from sightline.common.modes import leave_as_found
from sightline.errors import MethodError, near
from sightline.targets.custom import Custom
from sightline.tasks.captioning.network.attention import split_heads
from sightline.tasks.captioning.network.captioner import Captioner
from sightline.tasks.captioning.network.decoding import Regions
from sightline.tasks.captioning.network.geometry import relative_geometry
from sightline.tasks.captioning.network.layers import WordAttention

ENTRY = "encoder.0@in"
"""Where relevance is read: what goes into the first encoder layer, one row for each region."""


@dataclass(frozen=True, eq=False)
class Question:
    """Regions, and the words whose regions are asked for.

    Args:
        net: the captioner.
        regions: one picture.
        tokens: `[1, t]` the words, without the beginning, with the end.
    """

    net: Captioner
    regions: Regions
    tokens: Int[Tensor, "1 t"]

    @property
    def inputs(self) -> dict[str, Tensor]:
        """What the captioner is called with."""
        begin = self.tokens.new_full((1, 1), self.net.begin)
        own = {"features": self.regions.features, "boxes": self.regions.boxes}
        own["tokens"] = torch.cat([begin, self.tokens[:, :-1]], 1)
        return own if self.regions.mask is None else {**own, "mask": self.regions.mask}

    @property
    def target(self) -> Custom:
        """The log-probability of every word."""
        words = self.net.spec.words
        names = tuple(f"{i + 1} {words[number]}" for i, number in enumerate(self.tokens[0].tolist()))
        tokens = self.tokens

        def scores(output: Tensor) -> Tensor:
            return output.log_softmax(-1).gather(2, tokens[..., None].expand(len(output), -1, -1))[..., 0]

        return Custom(scores, names)


Weights = Float[Tensor, "t n"]
Method = Callable[[Question], Weights]


def attention(question: Question) -> Weights:
    """Attention of each word to the encoded regions, mean over decoder layers and heads."""
    return torch.stack([own.weights.mean(0) for own in crossings(question)[0]]).mean(0)


def rollout(question: Question, *, geometry: bool = True) -> Weights:
    r"""The same, followed back through the encoder: $A \prod_l (A_l + I) / 2$ [abnar2020rollout].

    Args:
        question: what is asked.
        geometry: whether the geometry bias is in the encoder's attention, as it was computed.
    """
    weights = attention(question)
    for own in reversed(encoder_attention(question, geometry=geometry)):
        weights = weights @ (own.mean(0) + torch.eye(own.shape[-1])) / 2
    return weights


def gradient_attention(question: Question) -> Weights:
    r"""Attention times its gradient, positive part: $\mathrm{mean}\, \mathrm{ReLU}(A \odot \partial s / \partial A)$.

    [chefer2021generic]
    """
    layers, scores = crossings(question)
    rows = []
    for score in scores[0]:
        gradients = torch.autograd.grad(score, [own.output for own in layers], retain_graph=True, allow_unused=True)
        parts = [own.weighted(G) for own, G in zip(layers, gradients, strict=True) if G is not None]
        rows.append(torch.stack(parts).mean(0))
    return torch.stack(rows)


def lrp(question: Question) -> Weights:
    """Relevance of each region by the LRP flow through decoder and encoder."""
    return _explained(question, "lrp")


def gradient_input(question: Question) -> Weights:
    """Gradient times what enters the encoder, summed over channels."""
    return _explained(question, "gradxact")


@torch.no_grad()
def left_out(question: Question) -> Weights:
    """How much less likely a word is without a region: its log-probability with all regions less that without it.

    A picture of one region has no other to fall back on: its weight is 1 for every word.
    """
    net, regions = question.net, question.regions
    real = torch.ones(regions.boxes.shape[:2], dtype=torch.bool) if regions.mask is None else regions.mask
    n = real.shape[1]
    if int(real.sum()) == 1:
        return real.float().expand(question.tokens.shape[1], -1)
    inputs = {name: value.expand(n + 1, *value.shape[1:]) for name, value in question.inputs.items()}
    keep = real & ~torch.eye(n, dtype=torch.bool)
    with leave_as_found(net):
        logs = question.target.function(net.eval()(**{**inputs, "mask": torch.cat([real, keep])}))
    weights: Tensor = (logs[:1] - logs[1:]).T * real
    return weights


def rollout_without_geometry(question: Question) -> Weights:
    """Rollout with the geometry bias left out of the encoder's attention."""
    return rollout(question, geometry=False)


METHODS: dict[str, Method] = {
    "attention": attention,
    "rollout": rollout,
    "rollout-no-geometry": rollout_without_geometry,
    "gradient-attention": gradient_attention,
    "gradient-input": gradient_input,
    "lrp": lrp,
    "left-out": left_out,
}
"""How regions of words are found."""


def uniform(question: Question) -> Weights:
    """A control: every region alike."""
    shape = (question.tokens.shape[1], question.regions.features.shape[1])
    return torch.full(shape, 1 / shape[1])


def area(question: Question) -> Weights:
    """A control: the larger box."""
    boxes = question.regions.boxes[0]
    return (boxes[:, 2:] - boxes[:, :2]).prod(1).expand(question.tokens.shape[1], -1)


def chance(question: Question) -> Weights:
    """A control: numbers drawn at random, the same for the same sentence."""
    seed = torch.Generator().manual_seed(int(question.tokens.sum()) + 1)
    return torch.rand(question.tokens.shape[1], question.regions.features.shape[1], generator=seed)


def centre(question: Question) -> Weights:
    """A control: the box whose centre is nearest to that of the picture."""
    boxes = question.regions.boxes[0]
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    distance: Tensor = (middle - 0.5).norm(dim=1)
    return -distance.expand(question.tokens.shape[1], -1)


def shuffled(question: Question) -> Weights:
    """A control: the attention of the sentence, each word with that of another word, drawn at random."""
    count = question.tokens.shape[1]
    seed = torch.Generator().manual_seed(int(question.tokens.sum()) + 2)
    step = int(torch.randint(1, max(2, count), (1,), generator=seed))
    return attention(question).roll(step, 0)


CONTROLS: dict[str, Method] = {
    "uniform": uniform,
    "area": area,
    "centre": centre,
    "random": chance,
    "shuffled": shuffled,
}
"""What a method must be better than; only `shuffled` asks the network, and not about the word."""


def weights_of(question: Question, method: str) -> Weights:
    """Weight of each region for each word; relevance may be negative.

    Raises:
        MethodError: the method is unknown.
    """
    known = {**METHODS, **CONTROLS}
    if method not in known:
        raise MethodError(f"no method {method!r} finds the regions of words; {near(method, known)}")
    return known[method](question).detach().float()


def sink_regions(question: Question, *, limit: float = 3.0) -> list[int]:
    """Regions that all words attend to alike: attention sinks, which say nothing of a word.

    A region is a sink where its smallest attention over all words is more than `limit` times an even share.
    """
    return common_regions(attention(question), limit=limit)


def common_regions(weights: Weights, *, limit: float = 3.0) -> list[int]:
    """Regions whose smallest share over all words is more than `limit` times an even one.

    Args:
        weights: shares of each region for each word.
        limit: how many times.
    """
    least = weights.min(0).values * weights.shape[1]
    return (least > limit).nonzero()[:, 0].tolist()


@torch.no_grad()
def encoder_entries(net: Captioner, regions: Regions) -> list[Float[Tensor, "b n c"]]:
    """What goes into each encoder layer."""
    inside: list[Tensor] = []
    layers: list[Any] = list(net.encoder)
    hooks = [
        layer.attention.register_forward_pre_hook(lambda module, args: inside.append(args[0])) for layer in layers
    ]
    try:
        with leave_as_found(net):
            net.eval().encode(regions.features, regions.boxes, regions.mask)
    finally:
        for hook in hooks:
            hook.remove()
    return inside


@torch.no_grad()
def encoder_attention(question: Question, *, geometry: bool = True) -> list[Float[Tensor, "h n n"]]:
    """Attention of each encoder layer, with or without the geometry bias in it."""
    net, regions = question.net, question.regions
    kind = net.spec.attention
    pairs = relative_geometry(regions.boxes, signed=kind.signed) if kind.geometry else None
    layers: list[Any] = list(net.encoder)
    weights = []
    for layer, x in zip(layers, encoder_entries(net, regions), strict=True):
        own = layer.attention
        q, k = (split_heads(part, own.heads) for part in (own.norm(own.query(x), regions.mask), own.key(x)))
        logits = q @ k.mT * (q.shape[-1] ** -0.5 if kind.scaled else 1.0)
        if own.bias is not None and geometry:
            logits = logits + own.bias(x, pairs)
        if regions.mask is not None:
            logits = logits.masked_fill(~regions.mask[:, None, None, :], -torch.inf)
        weights.append(logits.softmax(-1)[0])
    return weights


@dataclass(frozen=True, eq=False)
class Crossing:
    """Attention of words to regions in one decoder layer, for one picture.

    Args:
        module: the layer's attention.
        weights: what each word takes from each region.
        values: what there is to take.
        output: what the module gave, attached to the graph.
    """

    module: WordAttention
    weights: Float[Tensor, "h t n"]
    values: Float[Tensor, "h n d"]
    output: Float[Tensor, "1 t c"]

    def weighted(self, G: Float[Tensor, "1 t c"]) -> Float[Tensor, " n"]:
        """Weights times their gradient, positive part, mean over heads, sum over words; G is that of the output."""
        inner = split_heads(G @ self.module.out.weight, self.module.heads)[0]
        return (self.weights * (inner @ self.values.mT)).relu().mean(0).sum(0)


def crossings(question: Question) -> tuple[list[Crossing], Float[Tensor, "1 t"]]:
    """Attention of words to regions in each decoder layer, and the scores of the words, from one forward."""
    net, layers = question.net, list[Crossing]()

    def keep(module: Any, args: tuple[Any, ...], output: Tensor) -> None:
        x, memory, mask = args
        parts = (module.query(x), module.key(memory), module.value(memory))
        q, k, v = (split_heads(part, module.heads) for part in parts)
        logits = q @ k.mT * q.shape[-1] ** -0.5
        if mask is not None:
            logits = logits.masked_fill(~mask[:, None], -torch.inf)
        layers.append(Crossing(module, logits.softmax(-1)[0].detach(), v[0].detach(), output))

    own: list[Any] = list(net.decoder)
    hooks = [layer.regions.register_forward_hook(keep) for layer in own]
    try:
        with leave_as_found(net), torch.enable_grad():
            inputs = question.inputs
            inputs["features"] = inputs["features"].detach().clone().requires_grad_()
            return layers, question.target.function(net.eval()(**inputs))
    finally:
        for hook in hooks:
            hook.remove()


def _explained(question: Question, method: str) -> Weights:
    items = explain(
        question.net,
        question.inputs,
        explained="features",
        target=question.target,
        method=method,
        layers=[ENTRY],
        progress=False,
    )
    return torch.stack([item.flow.maps[0].values for item in items])
