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
    tape: Tape, step: Step, grad_outputs: Sequence[Tensor | None], input_mask: Sequence[bool] | None = None
) -> list[Tensor | None]:
    """Gradients at a step's inputs from those at its outputs; None where nothing flows.

    Args:
        tape: the forward pass.
        step: one of its steps.
        grad_outputs: gradients at the step's outputs; None where nothing flows.
        input_mask: flags of the inputs whose gradient is needed; None is all.
    """
    if isinstance(step, Affine):
        return [None if grad_outputs[0] is None else step.transpose(grad_outputs[0], step.W, tape.value(step.input))]
    values = [tape.value(node) for node in step.inputs]
    transpose = TRANSPOSES.get(step.name)
    if transpose is not None and all(
        G is not None and G.dtype == value.dtype and not value.is_complex() for G in grad_outputs for value in values
    ):
        gradients = transpose(step, values, cast(Sequence[Tensor], grad_outputs))
        if gradients is not None:
            return list(gradients)
    return local_gradient(step, values, grad_outputs, input_mask)


def local_gradient(
    call: Call,
    values: Sequence[Tensor],
    grad_outputs: Sequence[Tensor | None],
    input_mask: Sequence[bool] | None = None,
) -> list[Tensor | None]:
    """Vector-Jacobian product of one call at the values that it read."""
    input_mask = [True] * len(values) if input_mask is None else input_mask
    with torch.enable_grad():
        inputs = [value.detach().requires_grad_(needed) for value, needed in zip(values, input_mask, strict=True)]
        results = tree_flatten(call.run(inputs))[0]
        pairs = [(r, g) for r, g in zip(results, grad_outputs, strict=True) if g is not None and r.requires_grad]
        if not pairs:
            return [None] * len(inputs)
        outputs, directions = zip(*pairs, strict=True)
        # An input that reached no output in `pairs` has no gradient: `allow_unused` gives None for it.
        leaves = [leaf for leaf in inputs if leaf.requires_grad]
        gradients = iter(torch.autograd.grad(outputs, leaves, directions, allow_unused=True))
        return [next(gradients) if leaf.requires_grad else None for leaf in inputs]


Transpose = Callable[[Call, Sequence[Tensor], Sequence[Tensor]], Sequence[Tensor | None] | None]
"""From a call, its inputs' values and the gradients at its outputs to those at its inputs; None: use autograd."""


def _reshape(call: Call, values: Sequence[Tensor], grad_outputs: Sequence[Tensor]) -> list[Tensor]:
    """The same numbers in the same order."""
    return [grad_outputs[0].reshape(values[0].shape)]


def _sum(call: Call, values: Sequence[Tensor], grad_outputs: Sequence[Tensor]) -> list[Tensor] | None:
    """Copies, or terms of a sum: what was repeated is summed."""
    # `add(a, b, alpha=s)` scales a term, which is no plain sum.
    return None if "alpha" in call.kwargs else [grad_outputs[0].sum_to_size(value.shape) for value in values]


def _swap(call: Call, values: Sequence[Tensor], grad_outputs: Sequence[Tensor]) -> list[Tensor]:
    """Two axes swap places again."""
    return [grad_outputs[0].transpose(*call.args[1:])]


def _inverse_permutation(call: Call, values: Sequence[Tensor], grad_outputs: Sequence[Tensor]) -> list[Tensor]:
    """The axes go back to their places."""
    back = sorted(range(grad_outputs[0].ndim), key=lambda i: call.args[1][i] % grad_outputs[0].ndim)
    return [grad_outputs[0].permute(back)]


def _split(call: Call, values: Sequence[Tensor], grad_outputs: Sequence[Tensor]) -> Sequence[Tensor] | None:
    """What was put together is taken apart, if all parts depend on the input."""
    if len(call.args[0]) != len(values):
        return None
    axis = call.args[1] if len(call.args) > 1 else 0
    return torch.split(grad_outputs[0], [value.shape[axis] for value in values], axis)


def _concatenation(call: Call, values: Sequence[Tensor], grad_outputs: Sequence[Tensor]) -> list[Tensor]:
    """What was taken apart is put together."""
    return [torch.cat(list(grad_outputs), call.args[2] if len(call.args) > 2 else 0)]


def _expansion(call: Call, values: Sequence[Tensor], grad_outputs: Sequence[Tensor]) -> list[Tensor] | None:
    """What was averaged over axes is spread over them."""
    if len(call.args) < 2 or call.kwargs or not call.args[1]:
        return None
    shape, kept_shape = values[0].shape, list(values[0].shape)
    for axis in call.args[1]:
        kept_shape[axis] = 1
    return [(grad_outputs[0].reshape(kept_shape) * (grad_outputs[0].numel() / shape.numel())).expand(shape)]


def _positive_part(call: Call, values: Sequence[Tensor], grad_outputs: Sequence[Tensor]) -> list[Tensor]:
    """What a ReLU let through."""
    through: Tensor = torch.ops.aten.threshold_backward(grad_outputs[0], values[0], 0)
    return [through]


def _other_factor(call: Call, values: Sequence[Tensor], grad_outputs: Sequence[Tensor]) -> list[Tensor] | None:
    """A factor's gradient is that of the product times the other factor."""
    if len(values) == 1 and not isinstance(call.args[1], Ref):
        return [(grad_outputs[0] * call.args[1]).sum_to_size(values[0].shape)]
    return None


def _copied(call: Call, values: Sequence[Tensor], grad_outputs: Sequence[Tensor]) -> list[Tensor | None]:
    """What was overwritten has no gradient, what was written there has all."""
    into = [None] if isinstance(call.args[0], Ref) else []
    return [*into, *(grad_outputs[0].sum_to_size(value.shape) for value in values[len(into) :])]


def _put_in(call: Call, values: Sequence[Tensor], grad_outputs: Sequence[Tensor]) -> list[Tensor | None]:
    """A part of a tensor was replaced: its gradient is the part's, that of the rest the tensor's."""
    base, _, *geometry = call.args
    whole = values[0] if isinstance(base, Ref) else base
    # Laid out in memory as the tensor was, so that the part lies where it lay there.
    G = torch.empty_strided(
        whole.shape, whole.stride(), dtype=grad_outputs[0].dtype, device=grad_outputs[0].device
    ).copy_(grad_outputs[0])
    part = G.as_strided(*geometry).clone()
    if not isinstance(base, Ref):
        return [part]
    G.as_strided(*geometry).zero_()
    return [G, part]


TRANSPOSES: dict[str, Transpose] = {
    **dict.fromkeys(("view", "_unsafe_view", "squeeze", "unsqueeze"), _reshape),
    **dict.fromkeys(("clone", "expand", "add"), _sum),
    **dict.fromkeys(("split", "split_with_sizes"), _concatenation),
    "as_strided_scatter": _put_in,
    "cat": _split,
    "copy": _copied,
    "mean": _expansion,
    "mul": _other_factor,
    "permute": _inverse_permutation,
    "relu": _positive_part,
    "transpose": _swap,
}
"""Calls whose gradient needs no second forward."""
