"""Which numbers of a forward pass can reach the decision: read off the record, whatever the numbers are.

A walk back with messages that are positive where a number is read, and zero where it is not. Where a gradient can be
zero by chance - a dead head, a saturated unit - the support is not. Its size follows averages alone: each of n tokens
whose mean is read has an n-th of what a token has that is read by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.explainers.flow.affine import Affine, Diagonal, Linear, Step
from sightline.explainers.flow.facts import MOVING
from sightline.explainers.flow.tape import Call, Node, Ref, Tape
from sightline.explainers.flow.vjp import gradient
from sightline.explainers.flow.walk import plus, walk

Support = Float[Tensor, "..."]
"""Of the shape of a node: positive where a number reaches the decision, else 0."""


def reaching(
    tape: Tape, steps: Sequence[Step], start: Mapping[Node, Tensor], nodes: Collection[Node]
) -> dict[Node, Support]:
    """Support of the decision at some nodes; nodes that it does not reach are absent.

    Args:
        tape: the forward pass.
        steps: its steps.
        start: what the decision reads of the model's output: positive where it does.
        nodes: where the support is asked for.
    """
    support: dict[Node, Support] = {}

    def arrive(node: Node, message: Support) -> None:
        if node in nodes:
            support[node] = message

    def rule(step: Step, messages: Sequence[Support | None]) -> Sequence[Support | None]:
        return below(tape, step, messages)

    walk(tape, steps, start, rule, arrive, add=plus, last=False, destinations=nodes)
    return support


def below(tape: Tape, step: Step, messages: Sequence[Support | None]) -> Sequence[Support | None]:
    """Support at a step's inputs from that at its outputs."""
    values = [tape.value(node) for node in ((step.input,) if isinstance(step, Affine) else step.inputs)]
    message = next(m for m in messages if m is not None)
    if isinstance(step, Affine):
        return [_affine(step, message, values[0])]
    if step.name in MOVING:
        return gradient(tape, step, messages)
    if step.name in ("bmm", "mm") and len(values) == 2:
        left, right = values
        return [message.mean(-1, keepdim=True).expand(left.shape), message.mean(-2, keepdim=True).expand(right.shape)]
    if step.name == "bmm" and isinstance(step.args[0], Ref):
        return [message.mean(-1, keepdim=True).expand(values[0].shape)]
    axes = _mixed_axes(step, values[0].ndim)
    if axes:
        message = message.mean(axes, keepdim=True).expand(values[0].shape)
    if all(_fits(message, value) for value in values):
        return [message.sum_to_size(value.shape) for value in values]
    return _by_gradient(tape, step, messages, values)


def _affine(step: Affine, message: Support, x: Tensor) -> Support:
    if isinstance(step, Linear):
        return message.mean(-1, keepdim=True).expand(x.shape)
    if isinstance(step, Diagonal):
        return message
    return step.transpose(message, torch.full_like(step.weight, 1 / step.weight[0].numel()), x)


def _mixed_axes(call: Call, ndim: int) -> tuple[int, ...]:
    """Axes along which a soft-max or a norm reads all numbers for each."""
    if call.name in ("_softmax", "_safe_softmax", "_log_softmax"):
        return (call.args[1],)
    if call.name == "native_layer_norm":
        return tuple(range(ndim - len(call.args[1]), ndim))
    return tuple(range(1, ndim)) if call.name == "native_group_norm" else ()


def _fits(message: Support, value: Tensor) -> bool:
    """Whether a result of this shape can be that of a step that works number by number."""
    pairs = zip(reversed(message.shape), reversed(value.shape), strict=False)
    return value.ndim <= message.ndim and all(own in (1, size) for size, own in pairs)


def _by_gradient(
    tape: Tape, step: Call, messages: Sequence[Support | None], values: Sequence[Tensor]
) -> list[Support | None]:
    """Reductions, and what is not known: where the gradient is not zero, or all of it where there is no gradient."""
    if step.name in ("mean", "sum", "amax", "amin", "var", "std", "linalg_vector_norm", "logsumexp"):
        message = next(m for m in messages if m is not None)
        value = values[0]
        axes = step.args[1] if len(step.args) > 1 and step.args[1] else list(range(value.ndim))
        kept = list(value.shape)
        for axis in axes if isinstance(axes, list | tuple) else [axes]:
            kept[axis] = 1
        share = 1.0 if step.name == "sum" else message.numel() / value.numel()
        return [message.reshape(kept).expand(value.shape) * share]
    try:
        return [None if G is None else G.abs() for G in gradient(tape, step, messages)]
    except (RuntimeError, NotImplementedError):
        return [torch.ones_like(value) for value in values]
