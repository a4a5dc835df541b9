"""One forward of the user's model; what goes wrong inside it is told in a sentence that says on what."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor

from sightline.models import Adapter
from sightline.models.adapter.call import told


def run_forward(adapter: Adapter, inputs: Float[Tensor, "b ..."]) -> Any:
    """What the model returns for these inputs.

    Raises:
        ModelError: the model raised an error of its own; the original is its cause. Memory shortage passes through.
    """
    with told(adapter.model, inputs):
        return adapter.run(inputs)
