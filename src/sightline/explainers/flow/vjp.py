"""The plain gradient of one step: by its transpose where it is affine, by autograd of that one call elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten

from sightline.explainers.flow.affine import Affine, Step
from sightline.explainers.flow.tape import Call, Tape


def gradient(tape: Tape, step: Step, given: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Gradients at a step's inputs from those at its outputs; None where nothing flows."""
    if isinstance(step, Affine):
        return [None if given[0] is None else step.transpose(given[0], step.W, tape.value(step.input))]
    return local_gradient(step, [tape.value(node) for node in step.inputs], given)


def local_gradient(call: Call, values: Sequence[Tensor], given: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Vector-Jacobian product of one call at the values that it read."""
    with torch.enable_grad():
        leaves = [value.detach().requires_grad_() for value in values]
        results = tree_flatten(call.run(leaves))[0]
        pairs = [(r, g) for r, g in zip(results, given, strict=True) if g is not None and r.requires_grad]
        if not pairs:
            return [None] * len(leaves)
        outputs, directions = zip(*pairs, strict=True)
        return list(torch.autograd.grad(outputs, leaves, directions, allow_unused=True))
