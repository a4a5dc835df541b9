"""`Logits`: what is known of a model's logits before it runs again - how many, what they end in, what made them.

It is read off the recorded operations, never off a name or the values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from sightline.common.nested import mapped, parts_of
from sightline.errors import TargetError
from sightline.models.adapter.recording import Node
from sightline.models.adapter.structure import ENDINGS, PASSING, Ending, Structure
from sightline.targets.base import class_logits
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
LINEAR = frozenset({"addmm", "mm", "linear", "convolution", "_convolution", "matmul", "addmv", "mv", "bmm"})
SCALING = frozenset({"add", "sub", "mul", "div"})
"""With a single tensor that depends on the input: a bias, a temperature."""
KNOWN = CHOOSING | {name for name, _ in LOGARITHMS}


@dataclass(frozen=True)
class Logits:
    """What is known of the part of a model's output that holds the logits.

    Args:
        count: how many there are for each sample; None where that is not clear.
        ending: the soft-max or sigmoid that was last to change their numbers, if there was one.
        maker: path of the module that made them by a linear map; None where there was none.
    """

    count: int | None = None
    ending: Ending | None = None
    maker: str | None = None


def logits_of(structure: Structure, selector: Selector | None = None) -> Logits:
    """What a recording tells of the logits.

    Args:
        structure: what is known of the model for these inputs.
        selector: which part of the output holds the logits; see `select_output`. A callable may itself end in a
            soft-max or a sigmoid.
    """
    if selector is not None:
        return _read(structure, selector)
    if structure not in _READ:
        _READ[structure] = _read(structure, None)
    return _READ[structure]


_READ: WeakKeyDictionary[Structure, Logits] = WeakKeyDictionary()
"""What a recording tells does not change."""


def _read(structure: Structure, selector: Selector | None) -> Logits:
    tensors: list[Tensor] = []

    def leaf(tensor: Tensor) -> Tensor:
        tensors.append(tensor.detach().requires_grad_(tensor.is_floating_point()))
        return tensors[-1]

    output = mapped(structure.recording.returned, leaf, parts_of)
    try:
        with torch.inference_mode(False), torch.enable_grad():
            part = select_output(output, selector)
            count = class_logits(part).shape[1]
    except TargetError:
        return Logits()  # said in its own words when the output is read
    except Exception:  # noqa: BLE001 - a callable may do anything, also what it cannot do without numbers
        return Logits()
    source, ending = _start(part)
    index = next((i for i, tensor in enumerate(tensors) if tensor is source), None)
    if index is None:
        return Logits(count, ending)
    node = structure.recording.output[index].node
    return Logits(count, ending or _ending(structure, node), _maker(structure, node))


def _start(part: Tensor) -> tuple[Any, Ending | None]:
    """The tensor of the output that a part is a view of, and the soft-max or sigmoid that was taken of it."""
    if part.grad_fn is None:
        return part, None
    step: Any = part.grad_fn
    while (name := _operation(step)) in VIEWS and len(step.next_functions) == 1:
        step = step.next_functions[0][0]
    return getattr(step, "variable", None), BACKWARD.get(name)


def _maker(structure: Structure, node: Node | None) -> str | None:
    """The module in which the last linear map ran that the logits were made by."""
    event = None if node is None else structure.makers.get(node)
    while event is not None and event.name not in LINEAR:
        straight = event.name in PASSING or event.name in ENDINGS or event.name in SCALING
        event = structure.makers.get(event.inputs[0]) if straight and len(event.inputs) == 1 else None
    return None if event is None else event.module


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
