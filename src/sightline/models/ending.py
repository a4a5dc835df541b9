"""What the logits of a model end in: the soft-max or sigmoid that was last to change their numbers.

It is read off the recorded operations, never off a name or the values.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sightline.errors import TargetError
from sightline.models.adapter.recording import Node
from sightline.models.adapter.structure import ENDINGS, PASSING, Ending, Structure
from sightline.targets.outputs import mapped
from sightline.targets.select import Selector, select_output

CHOOSING = PASSING | {
    "slice", "select", "split", "unbind", "index", "index_select", "expand", "clamp", "clamp_min", "clamp_max",
    "cat", "stack",
}  # fmt: skip
"""Operations behind which probabilities are probabilities still, though perhaps not all of them, or more."""
LOGARITHMS: dict[tuple[str, Ending], Ending] = {
    ("exp", "log_softmax"): "softmax",
    ("log", "softmax"): "log_softmax",
    ("mean", "softmax"): "softmax",
    ("mean", "sigmoid"): "sigmoid",
}
"""What becomes of an ending by one more operation; a mean is that of several networks."""
BACKWARD: dict[str, Ending] = {"Softmax": "softmax", "LogSoftmax": "log_softmax", "Sigmoid": "sigmoid"}
VIEWS = frozenset(
    {"View", "UnsafeView", "ReshapeAlias", "Squeeze", "Unsqueeze", "Select", "Slice", "Index", "Permute", "Transpose",
     "T", "Clone", "ToCopy", "Alias", "Expand", "Split", "Unbind", "Clamp"}
)  # fmt: skip
"""The same two in torch's own graph, which shows what a callable does that selects the logits."""
KNOWN = CHOOSING | {name for name, _ in LOGARITHMS}


def ending_of(structure: Structure, selector: Selector | None = None) -> Ending | None:
    """The ending of the part of the output that holds the logits; None where there is none, or it is not known.

    Args:
        structure: what is known of the model for these inputs.
        selector: which part of the output holds the logits; see `select_output`. A callable may itself end in a
            soft-max or a sigmoid.
    """
    tensors: list[Tensor] = []

    def leaf(tensor: Tensor) -> Tensor:
        tensors.append(tensor.detach().requires_grad_(tensor.is_floating_point()))
        return tensors[-1]

    output = mapped(structure.recording.returned, leaf)
    try:
        with torch.inference_mode(False), torch.enable_grad():
            part = select_output(output, selector)
    except TargetError:
        return None  # said in its own words when the output is read
    except Exception:  # noqa: BLE001 - a callable may do anything, also what it cannot do without numbers
        return None
    if part.grad_fn is None:
        step: Any = part
    else:
        step = part.grad_fn
        while (name := _operation(step)) in VIEWS and len(step.next_functions) == 1:
            step = step.next_functions[0][0]
        if name in BACKWARD:
            return BACKWARD[name]
        step = getattr(step, "variable", None)
    index = next((i for i, tensor in enumerate(tensors) if tensor is step), None)
    return None if index is None else _ending(structure, structure.recording.output[index].node)


def _operation(step: Any) -> str:
    """Name of an operation in torch's graph, without the number of its variant."""
    return type(step).__name__.rstrip("0123456789").removesuffix("Backward")


def _ending(structure: Structure, node: Node | None) -> Ending | None:
    """The ending of one tensor of the recording."""
    event = None if node is None else structure.makers.get(node)
    if event is None:
        return None
    if event.name in ENDINGS:
        return ENDINGS[event.name]
    if event.name not in KNOWN:
        return None
    before = {_ending(structure, source) for source in event.inputs}
    end = before.pop() if len(before) == 1 else None
    if end is None or event.name in CHOOSING:
        return end
    return LOGARITHMS.get((event.name, end))
