"""Tensors inside of others' structures: tuples, mappings, data classes and output objects, however nested."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor, nn

DEPTH = 12
"""Levels that are opened."""

Opener = Callable[[Any], dict[Any, Any]]
"""Gives the parts of a value by key, index or attribute; none for what is not opened."""


def parts_of(value: Any) -> dict[Any, Any]:
    """The parts of a value by key, index or attribute; none for a tensor, a number or text.

    Example:
        >>> parts_of((1, {"a": 2}))
        {0: 1, 1: {'a': 2}}
    """
    if isinstance(value, Tensor | str | bytes | type | nn.Module) or callable(value):
        return {}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return dict(zip(value._fields, value, strict=True))
    if isinstance(value, Sequence):
        return dict(enumerate(value))
    if is_dataclass(value):
        return {part.name: getattr(value, part.name) for part in fields(value)}  # also where it has slots
    return dict(vars(value)) if hasattr(value, "__dict__") else {}


def carriers_of(value: Any) -> dict[Any, Any]:
    """The same for what modules pass to one another: an object is opened only where it carries a tensor itself.

    A cache or a configuration is passed along too; what such an object holds deeper is not the layer's own.
    """
    parts = parts_of(value)
    if isinstance(value, Mapping | Sequence) or is_dataclass(value):
        return parts
    return parts if any(isinstance(part, Tensor) for part in parts.values()) else {}


def tensors_of(value: Any, opener: Opener = carriers_of) -> list[Tensor]:
    """The tensors, in order; one that comes twice is there twice.

    Args:
        value: anything.
        opener: what is opened; `parts_of` for what a whole model returns.
    """
    tensors: list[Tensor] = []
    _gather(value, opener, tensors, ())
    return tensors


def _gather(value: Any, opener: Opener, tensors: list[Tensor], around: tuple[int, ...]) -> None:
    if isinstance(value, Tensor):
        tensors.append(value)
    elif _is_new(value, around):
        for part in opener(value).values():
            _gather(part, opener, tensors, (*around, id(value)))


def mapped(value: Any, change: Callable[[Tensor], Tensor], opener: Opener = carriers_of) -> Any:
    """The same structure with every tensor changed, in the order of `tensors_of`.

    What holds no changed tensor is the very same object.

    Example:
        >>> import torch
        >>> mapped({"y": torch.ones(1), "n": 3}, torch.neg)
        {'y': tensor([-1.]), 'n': 3}
    """
    return _mapped(value, change, opener, ())


def _mapped(value: Any, change: Callable[[Tensor], Tensor], opener: Opener, around: tuple[int, ...]) -> Any:
    if isinstance(value, Tensor):
        return change(value)
    parts = opener(value) if _is_new(value, around) else {}
    changed = {key: _mapped(part, change, opener, (*around, id(value))) for key, part in parts.items()}
    return value if all(changed[key] is part for key, part in parts.items()) else _rebuilt(value, changed)


def _is_new(value: Any, around: tuple[int, ...]) -> bool:
    """Whether a value is opened: not where it holds itself, nor too deep."""
    return len(around) < DEPTH and id(value) not in around


def _rebuilt(value: Any, parts: dict[Any, Any]) -> Any:
    """The structure with other parts, of its own class."""
    if isinstance(value, tuple):
        return type(value)(*parts.values()) if hasattr(value, "_fields") else type(value)(parts.values())
    if isinstance(value, Mapping) and not isinstance(value, MutableMapping):
        return parts
    twin = copy.copy(value)
    for key, part in parts.items():
        if isinstance(twin, Mapping | Sequence):
            twin[key] = part  # type: ignore[index]
        else:
            object.__setattr__(twin, str(key), part)  # a frozen data class too
    return twin


def replaced(value: Any, old: Tensor | None, new: Tensor | None, opener: Opener = carriers_of) -> Any:
    """The same structure with every occurrence of one tensor replaced."""
    if old is None or new is None:
        return value
    return mapped(value, lambda tensor: new if tensor is old else tensor, opener)
