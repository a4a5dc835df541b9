"""One forward of the user's model; what goes wrong inside it is told in a sentence that says on what."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from sightline.common.chunks import out_of_memory
from sightline.errors import ModelError


def run_forward(model: nn.Module, inputs: Float[Tensor, "b c h w"]) -> Any:
    """What the model returns for these inputs.

    Raises:
        ModelError: the model raised an error of its own; the original is its cause. Memory shortage passes through.
    """
    try:
        return model(inputs)
    except (RuntimeError, ValueError, TypeError, IndexError, AttributeError, AssertionError) as problem:
        if out_of_memory(problem):
            raise
        reason = next(iter(str(problem).splitlines()), "") or type(problem).__name__
        raise ModelError(
            f"{type(model).__name__} failed on inputs of shape {tuple(inputs.shape)}: {reason}; "
            "check the size, channels and normalisation that it was built for"
        ) from problem
