"""Attention rolled out through models of several streams of tokens: image encoders, text decoders, image tokens.

The shares of a decision are walked back along the record, from the output to the tokens of the image. At an attention
they go to the tokens that it reads; where an attention's result joins the tokens that it was computed for, they are
split; everything else hands them on, token by token. In a plain transformer this is rollout's product of matrices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.errors import LayerError
from sightline.explainers.attention.pattern import makers_of
from sightline.explainers.attention.reading import AttentionReading, Mean, step_gradient
from sightline.explainers.attention.stream import bottlenecks
from sightline.explainers.attention.support import below
from sightline.explainers.flow.affine import Affine, Step
from sightline.explainers.flow.facts import MOVING
from sightline.explainers.flow.tape import Call, Node, Ref, Tape
from sightline.explainers.flow.walk import inputs_of, outputs_of, plus, walk

SCATTERING = frozenset(
    {"index_copy", "index_put", "masked_fill", "masked_scatter", "scatter", "slice_scatter", "where"}
)
"""Operations that put numbers into places of another tensor: what was there before loses its share."""


@dataclass(eq=False)
class Trail:
    """Where the shares of a decision come from, up to each attention.

    Args:
        reading: the forward pass.
        mean: each attention's weights as the method counts them.
        scale: share of an attention's result, and of the tokens that it joins, in their sum.
    """

    reading: AttentionReading
    mean: Mean
    scale: float

    def maps(self) -> list[Float[Tensor, "k b *places"]]:
        """What the decision draws from each place, up to each attention.

        Raises:
            LayerError: the tokens of the image do not come together anywhere.
        """
        return [
            torch.stack([self._walked(k, self._cut(i)) for k in range(len(self.reading.starts))])
            for i in range(len(self.reading.attentions))
        ]

    @property
    def is_chain(self) -> bool:
        """Whether each attention reads what the one before it gave, over the same tokens: then matrices multiply."""
        reading, rows = self.reading, self.reading.attentions[0].weights.shape[-1]
        for i, attention in enumerate(reading.attentions[1:], start=1):
            n = attention.weights.shape[-1]
            if not (self._reads[i] >> (i - 1) & 1 and reading.joins(rows, n)):
                return False
            rows = n
        return True

    def remarks(self) -> tuple[str, ...]:
        """Tokens that all tokens of the last attention attend to alike: they say little of a single word."""
        last = self.reading.attentions[-1]
        sinks = drawing(last.weights.mean((0, 1)))
        if not sinks:
            return ()
        what = "tokens of its own" if last.square else f"{last.weights.shape[-1]} tokens"
        return (
            f"Attention sinks in {last.name!r}, which every word attends to alike: number "
            f"{', '.join(map(str, sinks))} of the {what}. They say little of a single word.",
        )

    def _walked(self, k: int, cut: frozenset[int]) -> Float[Tensor, "b *places"]:
        reading, tokens = self.reading, self.tokens
        shares: dict[Node, Tensor] = {}

        def arrive(node: Node, message: Tensor) -> None:
            if node == tokens:
                shares[node] = message

        def rule(step: Step, messages: Sequence[Tensor | None]) -> Sequence[Tensor | None]:
            return self._below(step, messages, k, cut)

        ends = {node: (G != 0).float() for node, G in reading.starts[k].items()}
        total = sum(float(own.sum()) for own in ends.values()) / len(reading.deciding)
        start = {node: own / total for node, own in ends.items()}
        walk(reading.tape, reading.steps, start, rule, arrive, add=plus, last=False, destinations={tokens})
        value = reading.tape.value(tokens)
        return reading.to_grid(shares.get(tokens, torch.zeros_like(value, dtype=torch.float)).sum(-1))

    def _below(
        self, step: Step, messages: Sequence[Tensor | None], k: int, cut: frozenset[int]
    ) -> Sequence[Tensor | None]:
        """Shares at a step's inputs."""
        tape, number = self.reading.tape, self._numbers.get(id(step))
        message = next(m for m in messages if m is not None)
        if number is not None:
            return [None] * 2 if number in cut else self._attended(number, message, k)
        if id(step) in self._joints:
            values = [tape.value(node) for node in inputs_of(step)]
            scales = self._scales(step, cut)
            return [message.sum_to_size(v.shape) * scale for v, scale in zip(values, scales, strict=True)]
        if isinstance(step, Call) and step.name in MOVING | SCATTERING:
            return _moved(tape, step, messages)
        parts = below(tape, step, messages)
        total = sum(float(part.sum()) for part in parts if part is not None)
        factor = sum(float(m.sum()) for m in messages if m is not None) / total if total else 0.0
        return [None if part is None else part * factor for part in parts]

    def _attended(self, number: int, message: Tensor, k: int) -> list[Tensor | None]:
        """Shares of the tokens that an attention reads, at their values."""
        attention = self.reading.attentions[number]
        product, A = attention.product, self.mean(number)
        A = A[min(k, len(A) - 1)]
        b, q, n = A.shape
        own = product.rows(message).sum(-1).reshape(b, -1, q).sum(1)
        values = self.reading.tape.value(product.values)
        like = product.rows(values)
        spread = torch.einsum("bq,bqn->bn", own.to(A), A) / (like.numel() / (b * n))
        whole = spread[:, None, :, None].expand(b, len(like) // b, n, like.shape[-1]).reshape(like.shape)
        shares = whole.mT if product.turned else whole
        step = self.reading.steps[product.index]
        return [shares if node == product.values else None for node in inputs_of(step)]

    @cached_property
    def tokens(self) -> Node:
        """The tokens of the image in front of the first attention.

        Raises:
            LayerError: there is no such tensor.
        """
        reading, first = self.reading, self.reading.attentions[0]
        ends = {node for start in reading.starts for node in start}
        makers, n = makers_of(reading.steps), first.weights.shape[-1]
        for node in reversed(bottlenecks(reading.steps, 0, ends)):
            value = reading.tape.value(node)
            if makers.get(node, -1) < first.product.source and value.ndim == 3 and value.shape[1] == n:
                return node
        raise LayerError(
            f"the {n} tokens that {first.name!r} reads do not come from one tensor of tokens, so that attention "
            "cannot be followed back to the image; any CAM method or lrp works"
        )

    @cached_property
    def _numbers(self) -> dict[int, int]:
        """By step, the number of the attention that it is."""
        return {id(self.reading.steps[a.product.index]): i for i, a in enumerate(self.reading.attentions)}

    @cached_property
    def _joints(self) -> dict[int, tuple[frozenset[int], ...]]:
        """Sums of an attention's result and other tokens: by step, which attentions each of its inputs is made of."""
        results: dict[Node, frozenset[int]] = {}
        joints: dict[int, tuple[frozenset[int], ...]] = {}
        none: frozenset[int] = frozenset()
        for step in self.reading.steps:
            number = self._numbers.get(id(step))
            own = tuple(results.get(node, none) for node in inputs_of(step))
            of = none.union(*own)
            if number is not None:
                of = frozenset({number})
            elif of and _adds_tokens(self.reading, step):
                joints[id(step)], of = own, none
            elif not (isinstance(step, Affine) or len(own) == 1 or (step.name in {*MOVING, "mul"})):
                of = none
            results.update((node, of) for node in outputs_of(step) if node is not None and of)
        return joints

    def _scales(self, step: Step, cut: frozenset[int]) -> list[float]:
        """What each input of a joint gets: all, where the attention beside it is not counted."""
        own = self._joints[id(step)]
        without = [bool(of) and of <= cut for of in own]
        return [0.0 if gone else 1.0 if any(without) else self.scale for gone in without]

    @cached_property
    def _reads(self) -> list[int]:
        """By attention, as bits, whose results it reads without another attention between; last the decision's."""
        results: dict[Node, int] = {}
        reads = [0] * (len(self.reading.attentions) + 1)
        for step in self.reading.steps:
            number = self._numbers.get(id(step))
            bits = 0
            if number is not None:
                reads[number] = results.get(self.reading.attentions[number].product.values, 0)
                bits = 1 << number
            else:
                for node in inputs_of(step):
                    bits |= results.get(node, 0)
            results.update((node, bits) for node in outputs_of(step) if node is not None and bits)
        for start in self.reading.starts:
            for node in start:
                reads[-1] |= results.get(node, 0)
        return reads

    def _cut(self, i: int) -> frozenset[int]:
        """Later attentions without which the decision still draws from this one: they are not counted in its map."""
        cut: frozenset[int] = frozenset()
        for later in range(i + 1, len(self.reading.attentions)):
            if self._reaches(i, cut | {later}):
                cut |= {later}
        return cut

    def _reaches(self, i: int, cut: frozenset[int]) -> bool:
        """Whether an attention's result reaches the decision without some others."""
        reached = 1 << i
        for later in range(i + 1, len(self._reads) - 1):
            if later not in cut and self._reads[later] & reached:
                reached |= 1 << later
        return bool(self._reads[-1] & reached)


def drawing(weights: Float[Tensor, "q n"], *, limit: float = 3.0) -> list[int]:
    """Attention sinks: tokens from which each of several rows takes more than `limit` times an even share.

    Rows that cannot see a token, as in a causal decoder, do not count, neither does a row about itself, nor one that
    sees few tokens, among which no share can stand out.

    Example:
        >>> drawing(torch.tensor([[0.97, 0.01, 0.01, 0.01], [0.91, 0.05, 0.02, 0.02]]))
        [0]
    """
    q, n = weights.shape
    visible = weights > 0
    if q == n:
        visible = visible & ~torch.eye(n, dtype=torch.bool, device=weights.device)
    count = (weights > 0).sum(1, keepdim=True)
    visible = visible & (count > limit)
    least = (weights * count).masked_fill(~visible, torch.inf).amin(0)
    several = visible.sum(0) > 1
    return ((least > limit) & several & least.isfinite()).nonzero()[:, 0].tolist()


def _moved(tape: Tape, step: Call, messages: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Shares where a step took its numbers from; what it took from nowhere is lost."""
    pairs = zip(messages, step.outputs, strict=True)
    typed = [None if m is None or node is None else m.to(tape.value(node).dtype) for m, node in pairs]
    return [None if part is None else part.float() for part in step_gradient(tape, step, typed)]


def _adds_tokens(reading: AttentionReading, step: Step) -> bool:
    """Whether a step adds tokens to tokens, and no bias of channels."""
    if not isinstance(step, Call) or step.name != "add":
        return False
    terms = [arg for arg in step.args[:2] if isinstance(arg, Ref | Tensor)]
    ndims = [reading.tape.value(arg.node).ndim if isinstance(arg, Ref) else arg.ndim for arg in terms]
    return len(ndims) == 2 and ndims[0] == ndims[1]
