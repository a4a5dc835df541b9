"""What a model returns, opened: every tensor in tuples, dictionaries, data classes and other output objects."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor, nn

DEPTH = 8
"""Levels that are opened."""


def parts_of(output: Any) -> dict[str | int, Any]:
    """The parts of an output by key, index or attribute; none for a tensor, a number or text.

    Example:
        >>> parts_of((1, {"a": 2}))
        {0: 1, 1: {'a': 2}}
    """
    if isinstance(output, Tensor | str | bytes | type | nn.Module) or callable(output):
        return {}
    if isinstance(output, Mapping):
        return dict(output)
    if isinstance(output, tuple) and hasattr(output, "_fields"):
        return dict(zip(output._fields, output, strict=True))
    if isinstance(output, Sequence):
        return dict(enumerate(output))
    if is_dataclass(output):
        return {part.name: getattr(output, part.name) for part in fields(output)}  # also where it has slots
    return dict(vars(output)) if hasattr(output, "__dict__") else {}


def mapped(output: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The same output with every tensor replaced; what holds none is handed on as it is.

    Example:
        >>> import torch
        >>> mapped({"y": torch.ones(1), "n": 3}, torch.neg)
        {'y': tensor([-1.]), 'n': 3}
    """
    return _mapped(output, change, ())


def _mapped(output: Any, change: Callable[[Tensor], Tensor], around: tuple[int, ...]) -> Any:
    """The same for a part of an output that lies inside of others, which it may hold itself."""
    if isinstance(output, Tensor):
        return change(output)
    opened = len(around) < DEPTH and id(output) not in around
    parts = parts_of(output) if opened else {}
    changed = {key: _mapped(part, change, (*around, id(output))) for key, part in parts.items()}
    if all(changed[key] is part for key, part in parts.items()):
        return output
    if isinstance(output, tuple):
        values = list(changed.values())
        return type(output)(*values) if hasattr(output, "_fields") else type(output)(values)
    if isinstance(output, Mapping) and not isinstance(output, MutableMapping):
        return changed
    twin = copy.copy(output)
    for key, value in changed.items():
        if isinstance(twin, Mapping | Sequence):
            twin[key] = value  # type: ignore[index]
        else:
            object.__setattr__(twin, str(key), value)  # a frozen data class too
    return twin


def describe(output: Any, depth: int = 3) -> str:
    """A short account of an output's parts and shapes, for error texts."""
    if isinstance(output, Tensor):
        return f"a tensor {tuple(output.shape)}" + ("" if output.is_floating_point() else f" of {output.dtype}")
    parts = parts_of(output) if depth else {}
    if not parts:
        return type(output).__name__
    if isinstance(output, tuple | list) and not hasattr(output, "_fields"):
        return "(" + ", ".join(describe(part, depth - 1) for part in parts.values()) + ")"
    inner = "{" + ", ".join(f"{key!r}: {describe(part, depth - 1)}" for key, part in parts.items()) + "}"
    return inner if isinstance(output, dict) else f"{type(output).__name__} {inner}"
