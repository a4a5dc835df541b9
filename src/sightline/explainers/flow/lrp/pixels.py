"""Where a picture is still a picture: the nodes between the input and the first layer that weighs its pixels.

A model may move, repeat, cut, scale, shift, clip or average its pixels before a convolution, a linear layer or a
patch embedding reads them: it makes three channels of one, pads, normalises, cuts patches. What each number of such a
node can be follows from what the pixels can be, and relevance goes back through it whole: no constant that was added
or multiplied takes any.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten

from sightline.explainers.flow.affine import Diagonal, Step
from sightline.explainers.flow.facts import MOVING
from sightline.explainers.flow.lrp.bounded import divided, exact
from sightline.explainers.flow.tape import Call, Node, Ref, Tape
from sightline.explainers.flow.vjp import local_gradient
from sightline.explainers.flow.walk import inputs_of, outputs_of

NUMBERWISE = frozenset(
    {
        "add", "clamp", "clamp_max", "clamp_min", "div", "exp", "hardtanh", "log", "log10", "log1p", "log2", "mul",
        "neg", "rsub", "sigmoid", "sqrt", "sub", "tanh",
    }
)  # fmt: skip
"""Functions of one number, of a constant and one number, that never turn back: they keep or reverse an order."""

AVERAGING = frozenset(
    {
        "_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "add", "avg_pool1d", "avg_pool2d", "avg_pool3d", "mean",
        "sub", "sum", "upsample_bilinear2d", "upsample_linear1d", "upsample_nearest1d", "upsample_nearest2d",
        "upsample_nearest3d", "upsample_trilinear3d",
    }
)  # fmt: skip
"""Sums of what they read, with weights that are not negative; but for the second term of a difference."""


SELECTING = frozenset({"adaptive_max_pool2d", "amax", "max_pool2d_with_indices", "max_pool3d_with_indices"})
"""Operations that pick the largest of what they read."""


@dataclass(frozen=True, eq=False)
class Range:
    """The smallest and the largest value that each number of a node can have.

    Args:
        low, high: of the node's shape.
    """

    low: Tensor
    high: Tensor


@dataclass(frozen=True, eq=False)
class Pixels:
    """Nodes of which every number is a pixel, or made of pixels without a layer's weights.

    Args:
        tape: the forward pass.
        ranges: range of each such node.
    """

    tape: Tape
    ranges: dict[Node, Range]

    @classmethod
    def of(cls, tape: Tape, steps: Sequence[Step], low: Tensor, high: Tensor) -> Pixels:
        """These nodes, from the input on.

        Args:
            tape: the forward pass.
            steps: its calls in forward order.
            low: smallest value that each number of the input can have; it broadcasts to the input's shape.
            high: largest value.
        """
        x = tape.value(0)
        pixels = cls(tape, {0: Range(low.expand_as(x), high.expand_as(x))})
        for step in steps:
            if _stays(step, pixels.ranges):
                pixels._enter(step)
        return pixels

    def holds(self, step: Step) -> bool:
        """Whether what a step made are pixels still."""
        return any(node in self.ranges for node in outputs_of(step))

    def _enter(self, step: Step) -> None:
        ends = (self._values(step, "low"), self._values(step, "high"))
        if isinstance(step, Call) and step.name == "sub" and not _numberwise(step, self.ranges):
            (a, b), (c, d) = ends
            ends = [a, d], [c, b]
        one, other = (_results(self.tape, step, values) for values in ends)
        for node, u, v in zip(outputs_of(step), one, other, strict=True):
            if node is not None:
                # A factor below zero turns a range around.
                self.ranges[node] = Range(torch.minimum(u, v), torch.maximum(u, v))

    def _values(self, step: Step, end: str) -> list[Tensor]:
        """What a step reads at one end of the range; a divisor is held constant."""
        held = step.inputs[1:] if isinstance(step, Call) and step.name == "div" else ()
        return [
            self.tape.value(node) if node in held else cast(Tensor, getattr(self.ranges[node], end))
            for node in inputs_of(step)
        ]

    def back(self, step: Step, relevances: Sequence[Tensor | None]) -> list[Tensor | None]:
        """Relevance at what a step between pixels read, from that at what it made; nothing is lost."""
        if not isinstance(step, Call):
            return list(relevances)
        values = [exact(self.tape.value(node)) for node in step.inputs]
        if _numberwise(step, self.ranges):
            first = cast(Tensor, relevances[0]).sum_to_size(values[0].shape)
            return [first, *[None] * (len(values) - 1)]
        if step.name in MOVING | SELECTING:
            return local_gradient(step, values, relevances)
        return self._shared(step, values, cast(Tensor, relevances[0]))

    def _shared(self, step: Call, values: Sequence[Tensor], R: Tensor) -> list[Tensor | None]:
        """A sum: each term by its distance from where it makes the sum smallest, or by weight where all are there."""
        ranges = [self.ranges[node] for node in step.inputs]
        distances = [(x - r.low).clamp_min(0) for x, r in zip(values, ranges, strict=True)]
        if step.name == "sub":
            distances[1] = (ranges[1].high - values[1]).clamp_min(0)
            step = replace(step, op=torch.ops.aten.add.Tensor)
        shares, rest = _by_size(step, distances, R)
        if not bool(rest.any()):
            return list(shares)
        more, _ = _by_size(step, [torch.ones_like(x) for x in values], rest)
        return [a + b for a, b in zip(shares, more, strict=True)]


def _by_size(step: Call, terms: Sequence[Tensor], R: Tensor) -> tuple[list[Tensor], Tensor]:
    """Relevance of a sum shared by the size of its terms, and what could not be shared."""
    share, rest = divided(R, cast(Tensor, step.run(terms)))
    weights = local_gradient(step, terms, [share])
    return [torch.zeros_like(x) if w is None else w * x for w, x in zip(weights, terms, strict=True)], rest


def pixel_nodes(steps: Sequence[Step]) -> set[Node]:
    """The nodes that `Pixels` has ranges of, told without running anything."""
    nodes: set[Node] = {0}
    for step in steps:
        if _stays(step, nodes):
            nodes.update(node for node in outputs_of(step) if node is not None)
    return nodes


def _stays(step: Step, ranges: Container[Node]) -> bool:
    """Whether what a step makes of pixels are pixels still."""
    if not isinstance(step, Call):
        return isinstance(step, Diagonal) and step.input in ranges
    if isinstance(step.kwargs.get("dtype"), torch.dtype) and step.kwargs["dtype"].is_complex:
        return False  # complex numbers have no range
    if _numberwise(step, ranges):
        return True
    names = MOVING | AVERAGING | SELECTING
    return (
        step.name in names
        and bool(step.inputs)
        and not step.kwargs.keys() & {"alpha"}
        and all(node in ranges for node in step.inputs)
    )


def _numberwise(call: Call, ranges: Container[Node]) -> bool:
    """Whether each number of the result depends on one pixel alone, all else being constant."""
    if call.name not in NUMBERWISE or call.kwargs.get("rounding_mode") or not call.inputs:
        return False
    if call.name == "div":
        return isinstance(call.args[0], Ref) and call.inputs[0] in ranges
    return len(call.inputs) == 1 and call.inputs[0] in ranges


def _results(tape: Tape, step: Step, values: Sequence[Tensor]) -> list[Tensor]:
    """What a step makes of other values, one tensor for each of its outputs."""
    if not isinstance(step, Call):
        return [step.plus_bias(step.apply(values[0], step.W), step.bias)]
    # A range may be an expanded tensor, which no `view` takes.
    return tree_flatten(step.run([value.contiguous() for value in values]))[0]
