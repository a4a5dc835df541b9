"""A forward pass with every attention of it in the open: weights, tokens, and who of them decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sightline.capture.engine import Plan
from sightline.capture.forward import run_forward
from sightline.common.modes import leave_as_found
from sightline.common.nested import mapped, parts_of
from sightline.errors import LayerError
from sightline.explainers.attention.opening import OpenAttention
from sightline.explainers.attention.pattern import Product, makers_of, products, reads_all_tokens
from sightline.explainers.attention.sinks import share, sinks_of, unnormed
from sightline.explainers.attention.spans import ModuleSpans, numbered
from sightline.explainers.attention.stream import tokens_behind
from sightline.explainers.attention.support import reaching
from sightline.explainers.flow.affine import Step, fused
from sightline.explainers.flow.facts import Facts
from sightline.explainers.flow.read import decision_starts
from sightline.explainers.flow.tape import Node, Tape, recording
from sightline.explainers.flow.vjp import gradient
from sightline.explainers.flow.walk import leading_to, plainly, plus, walk
from sightline.explainers.method import Request
from sightline.models import Layout
from sightline.targets import Readout

Mean = Callable[[int], Float[Tensor, "k b q n"]]
"""From an attention's number to its weights as the method counts them, heads together."""


@dataclass(frozen=True, eq=False)
class Attention:
    """One attention of a model.

    Args:
        name: dotted path of its module; `:N` behind it where it ran more than once.
        product: where it stands on the tape.
        weights: `[b, heads, q, n]` in float32: what each of q tokens takes from n.
    """

    name: str
    product: Product
    weights: Float[Tensor, "b heads q n"]

    @property
    def square(self) -> bool:
        """Whether the tokens read one another."""
        return self.weights.shape[-1] == self.weights.shape[-2]


@dataclass(frozen=True, eq=False)
class AttentionReading:
    """A forward pass, its attentions in forward order, and its decisions.

    Args:
        tape: the recorded operations and their values.
        steps: its calls, affine maps fused.
        facts: what is known of its nodes.
        readout: the scores, detached.
        starts: gradient of the score at each output node, for each of the k decisions.
        attentions: every attention that reaches the decision.
        layouts: how tokens lie in the input, by their number.
        deciding: `[b, q]`, share of each token of the last attention in what reaches the decision; 0 of those that
            do not.
        plan: the decision, its classes fixed.
        raw: what the model returned.
        model: name of the model's class.
    """

    tape: Tape
    steps: list[Step]
    facts: Facts
    readout: Readout
    starts: tuple[dict[Node, Tensor], ...]
    attentions: tuple[Attention, ...]
    layouts: Mapping[int, Layout]
    deciding: Float[Tensor, "b q"]
    plan: Plan
    raw: Any
    model: str

    @property
    def pooling(self) -> Attention | None:
        """The attention in which tokens of its own pool all others; None where there is none."""
        last = self.attentions[-1]
        squares = [attention.weights.shape[-1] for attention in self.attentions if attention.square]
        return last if not last.square and (not squares or squares[-1] == last.weights.shape[-1]) else None

    def score(self, values: Mapping[Node, Tensor]) -> Float[Tensor, "b k"]:
        """The decision's scores if nodes of the output had other values."""

        def changed(output: Tensor) -> Tensor:
            node = self.tape.node(output) if output.is_floating_point() else None
            return output if node is None else values.get(node, output)

        return self.plan.read(mapped(self.raw, changed, parts_of), len(self.readout.scores)).scores

    def gradients(self, k: int) -> list[Float[Tensor, "b heads q n"]]:
        """Gradient of one decision with respect to the weights of each attention."""
        arrived: dict[Node, Tensor] = {}
        nodes = {attention.product.weights for attention in self.attentions}

        def arrive(node: Node, G: Tensor) -> None:
            if node in nodes:
                arrived[node] = G

        walk(self.tape, self.steps, self.starts[k], partial(step_gradient, self.tape), arrive, add=plus, last=False,
             destinations=nodes)  # fmt: skip
        return [self.gradient_of(attention, arrived.get(attention.product.weights)) for attention in self.attentions]

    @property
    def layout(self) -> Layout:
        """How the tokens of the first attention lie in the input."""
        return self.layouts[self.attentions[0].weights.shape[-1]]

    def to_grid(self, along: Float[Tensor, "... n"]) -> Float[Tensor, "... *places"]:
        """A number for each token, at the places."""
        flat = along.reshape(-1, along.shape[-1])
        layout = self.layouts.get(flat.shape[1], self.layout)
        # Tokens that joined on the way, and whose layout is not known apart, stand in front.
        flat = flat[:, flat.shape[1] - layout.dims[1][0] :]
        grid = layout.to_grid(flat[..., None].expand(-1, -1, layout.channels(())))[:, 0]
        return grid.reshape(*along.shape[:-1], *layout.size)

    def joins(self, rows: int, n: int) -> bool:
        """Whether `n` tokens are those `rows`, or some that joined and those behind: the same places, more before."""
        before, after = self.layouts.get(rows), self.layouts.get(n)
        if rows == n or before is None or after is None:
            return rows == n
        return after.size == before.size and after.prefix - before.prefix == n - rows > 0

    def registers(self, attention: Attention) -> Bool[Tensor, " n"]:
        """Which tokens that an attention reads are neither places nor decide anything."""
        n, device = attention.weights.shape[-1], attention.weights.device
        layout = self.layouts.get(n, self.layout)
        places = torch.zeros(n, dtype=torch.bool, device=device)
        start = n - layout.dims[1][0] + layout.prefix
        places[start : n - layout.suffix] = True
        decides = torch.zeros_like(places)
        front = self.deciding.shape[1]
        if n == front or not attention.square:
            decides[:front] = (self.deciding > 0).any(0)
        return ~places & ~decides

    @cached_property
    def sinks(self) -> tuple[Bool[Tensor, "b *places"], ...]:
        """By attention, places whose tokens behind the block are sinks; none where there is no block of tokens."""
        squares = [attention for attention in self.attentions if attention.square]
        ends = {node for start in self.starts for node in start}
        behind = tokens_behind(self.tape, self.steps, [a.product for a in squares], ends) if squares else []
        nodes = dict(zip(squares, behind, strict=True))
        each: list[Bool[Tensor, "b *places"]] = []
        for attention in self.attentions:
            node = nodes.get(attention)
            tokens = None if node is None else self.tape.value(unnormed(self.tape, self.steps, node))
            n = attention.weights.shape[-1]
            if tokens is not None and tokens.ndim == 3 and tokens.shape[:2] == (len(attention.weights), n):
                each.append(sinks_of(self.to_grid(tokens.float().norm(dim=-1))))
            else:
                each.append(each[-1] if each else torch.zeros(len(attention.weights), *self.layout.size).bool())
        return tuple(sinks.to(attention.weights.device) for sinks in each)

    def on_tokens(self, places: Bool[Tensor, "b *places"], attention: Attention) -> Bool[Tensor, "b n"]:
        """A mask over places as one over the tokens that an attention reads."""
        n = attention.weights.shape[-1]
        number = self.to_grid(torch.arange(n, device=places.device, dtype=torch.float)[None])[0].long()
        mask = torch.zeros(len(places), n, dtype=torch.bool, device=places.device)
        mask[:, number.flatten()] = places.flatten(1)
        return mask

    def notes(self, i: int) -> dict[str, Float[Tensor, " b"]]:
        """How many registers and sinks an attention reads, and which share of it they get from tokens that decide."""
        attention = self.attentions[i]
        registers = self.registers(attention)[None].expand(len(attention.weights), -1)
        masks = {"registers": registers, "sinks": self.on_tokens(self.sinks[i], attention)}
        rows = self.rows(attention)[:, None, :, None]
        notes: dict[str, Float[Tensor, " b"]] = {}
        for name, mask in masks.items():
            notes[name] = mask.sum(1).float()
            notes[f"{name}_attention"] = share(attention.weights * rows, mask[:, None, None, :])
        return notes

    def same_places(self) -> None:
        """Refuse a model whose attentions read other places as it goes on.

        Raises:
            LayerError: tokens were dropped, merged or pooled on the way.
        """
        for before, after in zip(self.attentions, self.attentions[1:], strict=False):
            rows, n = before.weights.shape[-1], after.weights.shape[-1]
            if n != rows and not self.joins(rows, n):
                raise LayerError(self.broken(after, rows))

    def broken(self, attention: Attention, rows: int) -> str:
        """Why attention cannot be followed from one attention to the next, in a sentence."""
        before = self.attentions[self.attentions.index(attention) - 1]
        return (
            f"{rows} tokens leave the attention {before.name!r} and {attention.weights.shape[-1]} enter "
            f"{attention.name!r}: tokens are dropped, merged or pooled on the way, and attention is not multiplied "
            "through that; any CAM method or lrp works"
        )

    def rows(self, attention: Attention) -> Bool[Tensor, "b q"]:
        """Which rows of an attention are those of the tokens that decide: all, while these have not joined."""
        b, _, q, _ = attention.weights.shape
        joined = q == self.deciding.shape[1]
        return self.deciding > 0 if joined else torch.ones(b, q, dtype=torch.bool, device=attention.weights.device)

    @staticmethod
    def gradient_of(attention: Attention, G: Tensor | None) -> Float[Tensor, "b heads q n"]:
        """A gradient at an attention's weights in their shape; zero where none came."""
        weights = attention.weights
        return torch.zeros_like(weights) if G is None else attention.product.rows(G).reshape(weights.shape).float()


def step_gradient(tape: Tape, step: Step, messages: Sequence[Tensor | None]) -> Sequence[Tensor | None]:
    """The plain gradient of a step, as a rule of a walk."""
    return gradient(tape, step, messages)


def even(deciding: Float[Tensor, "b q"]) -> bool:
    """Whether the same tokens decide in every sample, and each as much as the others."""
    count = (deciding > 0).sum(1, keepdim=True)
    alike = (deciding > 0) == (deciding[:1] > 0)
    return bool(alike.all() and ((deciding * count - 1).abs() < 1e-4)[deciding > 0].all())


def read_attention(request: Request, *, parts: AbstractContextManager[Any] | None = None) -> AttentionReading:
    """Run the model once with its attention in the open.

    Args:
        request: model, inputs and decision.
        parts: what opens fused attention; None is `OpenAttention`, a null context leaves it to torch's own equation.

    Raises:
        LayerError: no attention over all places reaches the decision (no transformer, or one with windows).
    """
    adapter, plan = request.adapter, Plan(request.target, output=request.output, labels=request.labels)
    adapter.check_inputs(request.inputs)
    plan.target.check(adapter.classes, plan.labels)
    spans = ModuleSpans()
    with leave_as_found(adapter.model):
        inputs = request.inputs.detach().clone()
        with recording(inputs) as tape, parts or OpenAttention(), spans.listening(adapter.model, tape):
            raw = run_forward(adapter, inputs)
    with plainly(inputs.device):
        readout, starts = decision_starts(tape, plan, raw, inputs, adapter)
        tape.leave_inference()
        steps, _ = fused(tape)
        ends = {node: (G != 0).to(G.dtype) for start in starts for node, G in start.items()}
        whole = _whole(tape, steps, ends, len(inputs), request)
        names = numbered([spans.name(tape, steps, product, i) for i, product in enumerate(whole)])
        attentions = tuple(
            Attention(name, product, _weights(tape, product, len(inputs)))
            for name, product in zip(names, whole, strict=True)
        )
        deciding = _deciding(tape, steps, ends, attentions[-1])
    layouts = _layouts(request, attentions)
    frozen = replace(plan, target=plan.target.frozen(plan.part(raw), plan.labels))
    return AttentionReading(
        tape, steps, Facts(steps, len(inputs)), readout, starts, attentions, layouts, deciding, frozen, raw,
        type(adapter.model).__name__,
    )  # fmt: skip


def _whole(tape: Tape, steps: list[Step], ends: Mapping[Node, Tensor], batch: int, request: Request) -> list[Product]:
    """The attentions that reach the decision, if each reads all tokens of its sample."""
    kind = type(request.adapter.model).__name__
    candidates = [product for product in products(tape, steps) if leading_to({product.out}, steps) & set(ends)]
    makers = makers_of(steps)
    windows = []
    for product in candidates:
        weights = product.rows(tape.value(product.weights))
        if weights.shape[0] % batch or not reads_all_tokens(tape, steps, makers, product, batch):
            windows.append(tuple(weights.shape))
    if windows or not candidates:
        kinds = f"windows, pooled tokens or channels, of shapes {sorted(set(windows))}" if windows else "none"
        raise LayerError(
            f"{kind} has no attention over all places ({kinds}); "
            "this method is for plain vision transformers, any CAM method works here"
        )
    return candidates


def _weights(tape: Tape, product: Product, batch: int) -> Float[Tensor, "b heads q n"]:
    weights = product.rows(tape.value(product.weights))
    return weights.reshape(batch, -1, *weights.shape[1:]).float()


def _deciding(
    tape: Tape, steps: list[Step], ends: Mapping[Node, Tensor], attention: Attention
) -> Float[Tensor, "b q"]:
    """Share of each token of an attention in what reaches the decision."""
    product = attention.product
    support = product.rows(reaching(tape, steps, ends, {product.out})[product.out])
    share = support.double().sum(-1).reshape(*attention.weights.shape[:3]).sum(1)
    return (share / share.sum(1, keepdim=True)).float()


def _layouts(request: Request, attentions: Sequence[Attention]) -> dict[int, Layout]:
    """How tokens lie in the input, by their number; the first attention's are known.

    Raises:
        LayerError: what the first attention reads are no places, or keys were pooled.
    """
    structure = request.adapter.structure(request.inputs)
    # More rows than columns: words that read a picture, or places that read fewer, pooled ones.
    fewer = (a for a in attentions if a.weights.shape[-2] > a.weights.shape[-1])
    pooled = next((a for a in fewer if structure.tokens(a.weights.shape[-2]) is not None), None)
    if pooled is not None:
        rows, read = pooled.weights.shape[-2:]
        raise LayerError(
            f"the attention {pooled.name!r} reads {read} tokens that were pooled of {rows}, and rows and columns are "
            "other tokens then; any CAM method or lrp works"
        )
    numbers = [attention.weights.shape[-1] for attention in attentions]
    layouts = {n: structure.tokens(n) for n in dict.fromkeys(numbers)}
    if layouts[numbers[0]] is None:
        size = "x".join(map(str, structure.places))
        raise LayerError(
            f"the {numbers[0]} tokens that {type(request.adapter.model).__name__} attends to are not places of an "
            f"input of {size}; any CAM method works at its earlier layers"
        )
    return {n: layout for n, layout in layouts.items() if layout is not None}
