"""What each operation does to the axes of the tensors that it reads: one small rule for each kind.

Operations that are not named here treat every number by itself, or a whole axis alike (activations, norms, soft-max):
the axes of what they read, broadcast, stay. Those that choose entries by data lose the axes that they touch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from sightline.models.adapter.agreement import common
from sightline.models.adapter.axes import (
    BATCH,
    WHOLE,
    Axes,
    source,
    whole_digit,
)


class Entry(Protocol):
    """What is known of a tensor: its axes, and the sample that it was made of."""

    @property
    def axes(self) -> Axes:
        """What lies along its axes."""

    @property
    def sample(self) -> int | None:
        """Which sample it was made of, where samples were taken apart."""


SHAPE_ONLY = frozenset(
    {
        "empty_like", "full_like", "new_empty", "new_empty_strided", "new_full", "new_ones",
        "new_zeros", "ones_like", "rand_like", "randn_like", "zeros_like",
    }
)  # fmt: skip
"""Operations that read a tensor's shape only: what they make does not depend on the input."""


@dataclass(frozen=True, eq=False)
class Operation:
    """One operation of a forward pass, as its rule sees it.

    Args:
        name: name of the `aten` operation, without overload and without the underscore of in-place ones.
        args, kwargs: its arguments.
        inputs: tensors among them.
        outputs: tensors that it made.
        entry_of: what is known of a tensor.
    """

    name: str
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    inputs: Sequence[Tensor]
    outputs: Sequence[Tensor]
    entry_of: Callable[[Tensor], Entry]

    def axes_of(self, tensor: Tensor) -> Axes:
        """What lies along a tensor's axes."""
        return self.entry_of(tensor).axes

    def sample_of(self, tensor: Tensor) -> int | None:
        """Which sample a tensor was made of, where samples were taken apart."""
        return self.entry_of(tensor).sample

    @property
    def rank(self) -> int:
        """Number of axes of the first tensor that it reads, before it was changed in place."""
        return len(self.axes)

    @property
    def x(self) -> Tensor:
        """The first tensor that it reads."""
        return self.inputs[0]

    @property
    def axes(self) -> Axes:
        """Axes of the first tensor that it reads."""
        return self.axes_of(self.inputs[0])

    @property
    def y(self) -> Tensor:
        """The first tensor that it made."""
        return self.outputs[0]

    def argument(self, position: int, name: str, default: Any = None) -> Any:
        """An argument by position or name."""
        return self.args[position] if len(self.args) > position else self.kwargs.get(name, default)


Rule = Callable[[Operation], Sequence[Axes]]
RULES: dict[str, Rule] = {}
"""The rule of each operation that has one, by name."""


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Register the rule of some operations."""

    def add(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return add


def elementwise(op: Operation) -> Sequence[Axes]:
    """Numbers treated one by one, or along whole axes."""
    return [broadcast(op, op.inputs, tuple(y.shape)) for y in op.outputs]


def broadcast(op: Operation, tensors: Sequence[Tensor], shape: tuple[int, ...]) -> Axes:
    """Axes of a result of several tensors, aligned at the last axis."""
    out: Axes = []
    for i, n in enumerate(shape):
        at = [i - len(shape) + t.ndim for t in tensors]
        rows = [op.axes_of(t)[j] for t, j in zip(tensors, at, strict=True) if j >= 0 and t.shape[j] == n]
        out.append(common(rows, n))
    return out


def samples_of(op: Operation, entries: Sequence[Any]) -> list[int | None]:
    """Which sample each output was made of, where samples were taken apart: by a choice, or by what it reads."""
    if op.name in ("select", "unbind"):
        dim = op.argument(1, "dim", 0) % op.x.ndim
        digit = whole_digit(op.axes[dim])
        if digit is not None and digit.source == BATCH and digit.window == WHOLE:
            return [op.args[2] % digit.size] if op.name == "select" else list(range(len(op.outputs)))
    # What was in a tensor before it is written into does not count.
    read = entries[-1:] if op.name == "copy" else entries
    samples = {entry.sample for entry in read if entry.node is not None}
    # Once they are stacked again, what is made of all of them is made of none.
    return [samples.pop() if len(samples) == 1 else None] * len(op.outputs)


def input_axes(names: Sequence[str], shape: Sequence[int]) -> Axes:
    """Axes of an input: each is a source of its own."""
    return [source(name, n) for name, n in zip(names, shape, strict=True)]


def tensors_in(parts: Any) -> list[Tensor]:
    """Tensors among arguments or results of an operation."""
    return [part for part in tree_flatten(parts)[0] if isinstance(part, Tensor)]


def taken_apart(mode: TorchDispatchMode, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """What an operation that is made of others gives, each of them seen by the mode; else `NotImplemented`.

    Such operations arrive whole in inference mode only; elsewhere autograd has taken them apart.
    """
    if not torch.is_inference_mode_enabled():
        return NotImplemented
    with mode:
        return func.decompose(*args, **kwargs)
