"""The plain gradient of one step: by its transpose where it is known, by autograd of that one call elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten

from sightline.explainers.flow.affine import Affine, Step
from sightline.explainers.flow.tape import Call, Ref, Tape


def gradient(
    tape: Tape, step: Step, given: Sequence[Tensor | None], wanted: Sequence[bool] | None = None
) -> list[Tensor | None]:
    """Gradients at a step's inputs from those at its outputs; None where nothing flows.

    Args:
        tape: the forward pass.
        step: one of its steps.
        given: gradients at the step's outputs.
        wanted: which inputs' gradients are wanted; None is all.
    """
    if isinstance(step, Affine):
        return [None if given[0] is None else step.transpose(given[0], step.W, tape.value(step.input))]
    values = [tape.value(node) for node in step.inputs]
    moved = TRANSPOSES.get(step.name)
    if moved is not None and all(G is not None and G.dtype == value.dtype for G in given for value in values):
        found = moved(step, values, cast(Sequence[Tensor], given))
        if found is not None:
            return list(found)
    return local_gradient(step, values, given, wanted)


def local_gradient(
    call: Call, values: Sequence[Tensor], given: Sequence[Tensor | None], wanted: Sequence[bool] | None = None
) -> list[Tensor | None]:
    """Vector-Jacobian product of one call at the values that it read."""
    wanted = [True] * len(values) if wanted is None else wanted
    with torch.enable_grad():
        read = [value.detach().requires_grad_(want) for value, want in zip(values, wanted, strict=True)]
        results = tree_flatten(call.run(read))[0]
        pairs = [(r, g) for r, g in zip(results, given, strict=True) if g is not None and r.requires_grad]
        if not pairs:
            return [None] * len(read)
        outputs, directions = zip(*pairs, strict=True)
        leaves = [leaf for leaf in read if leaf.requires_grad]
        found = iter(torch.autograd.grad(outputs, leaves, directions, allow_unused=True))
        return [next(found) if leaf.requires_grad else None for leaf in read]


Transpose = Callable[[Call, Sequence[Tensor], Sequence[Tensor]], Sequence[Tensor] | None]
"""From a call, what it read and the gradients at its outputs to those at its inputs; None where it cannot say."""


def _shaped(call: Call, values: Sequence[Tensor], given: Sequence[Tensor]) -> list[Tensor]:
    """The same numbers in the same order."""
    return [given[0].reshape(values[0].shape)]


def _summed(call: Call, values: Sequence[Tensor], given: Sequence[Tensor]) -> list[Tensor] | None:
    """Copies, or terms of a sum: what was repeated is summed."""
    return None if "alpha" in call.kwargs else [given[0].sum_to_size(value.shape) for value in values]


def _swapped(call: Call, values: Sequence[Tensor], given: Sequence[Tensor]) -> list[Tensor]:
    """Two axes swap places again."""
    return [given[0].transpose(*call.args[1:])]


def _permuted(call: Call, values: Sequence[Tensor], given: Sequence[Tensor]) -> list[Tensor]:
    """The axes go back to their places."""
    back = sorted(range(given[0].ndim), key=lambda i: call.args[1][i] % given[0].ndim)
    return [given[0].permute(back)]


def _cut(call: Call, values: Sequence[Tensor], given: Sequence[Tensor]) -> Sequence[Tensor] | None:
    """What was put together is taken apart, if all parts depend on the input."""
    if len(call.args[0]) != len(values):
        return None
    axis = call.args[1] if len(call.args) > 1 else 0
    return torch.split(given[0], [value.shape[axis] for value in values], axis)


def _joined(call: Call, values: Sequence[Tensor], given: Sequence[Tensor]) -> list[Tensor]:
    """What was taken apart is put together."""
    return [torch.cat(list(given), call.args[2] if len(call.args) > 2 else 0)]


def _spread(call: Call, values: Sequence[Tensor], given: Sequence[Tensor]) -> list[Tensor] | None:
    """What was averaged over axes is spread over them."""
    if len(call.args) < 2 or call.kwargs or not call.args[1]:
        return None
    shape, kept = values[0].shape, list(values[0].shape)
    for axis in call.args[1]:
        kept[axis] = 1
    return [(given[0].reshape(kept) * (given[0].numel() / shape.numel())).expand(shape)]


def _where_positive(call: Call, values: Sequence[Tensor], given: Sequence[Tensor]) -> list[Tensor]:
    """What a ReLU let through."""
    through: Tensor = torch.ops.aten.threshold_backward(given[0], values[0], 0)
    return [through]


def _by_the_other(call: Call, values: Sequence[Tensor], given: Sequence[Tensor]) -> list[Tensor] | None:
    """A factor's gradient is that of the product times the other factor."""
    if len(values) == 1 and not isinstance(call.args[1], Ref):
        return [(given[0] * call.args[1]).sum_to_size(values[0].shape)]
    return None


TRANSPOSES: dict[str, Transpose] = {
    **dict.fromkeys(("view", "_unsafe_view", "squeeze", "unsqueeze"), _shaped),
    **dict.fromkeys(("clone", "expand", "add"), _summed),
    **dict.fromkeys(("split", "split_with_sizes"), _joined),
    "cat": _cut,
    "mean": _spread,
    "mul": _by_the_other,
    "permute": _permuted,
    "relu": _where_positive,
    "transpose": _swapped,
}
"""Calls whose gradient needs no second forward."""
