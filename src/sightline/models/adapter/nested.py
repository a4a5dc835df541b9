"""Tensors in whatever a module takes or returns: tuples, mappings, data classes, output objects, however nested."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from torch import Tensor

DEPTH = 12
"""Levels that are looked into; an object may hold itself."""


def tensors_of(parts: Any) -> list[Tensor]:
    """The tensors, in order; one that comes twice is there twice."""
    return list(_tensors(parts, DEPTH))


def _tensors(parts: Any, depth: int) -> Iterator[Tensor]:
    if isinstance(parts, Tensor):
        yield parts
        return
    for part in _members(parts) if depth else ():
        yield from _tensors(part, depth - 1)


def _members(parts: Any) -> list[Any]:
    if isinstance(parts, Mapping):
        return list(parts.values())
    if isinstance(parts, tuple | list):
        return list(parts)
    if _is_record(parts):
        return [getattr(parts, name) for name in _names(parts)]
    return []


def _names(parts: Any) -> list[str]:
    """What a record holds; a data class with slots has no dictionary."""
    return list(vars(parts)) if hasattr(parts, "__dict__") else [part.name for part in dataclasses.fields(parts)]


def _is_record(parts: Any) -> bool:
    """Whether it is an object that carries values: a data class, or a plain object such as an output."""
    if isinstance(parts, type) or callable(parts):
        return False
    return dataclasses.is_dataclass(parts) or type(parts).__name__ in ("SimpleNamespace", "NestedTensor")


def mapped(parts: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The same structure with every tensor changed; what holds no changed tensor is the very same object."""
    return _mapped(parts, change, DEPTH)


def _mapped(parts: Any, change: Callable[[Tensor], Tensor], depth: int) -> Any:
    if isinstance(parts, Tensor):
        return change(parts)
    if not depth:
        return parts
    old = _members(parts)
    new = [_mapped(part, change, depth - 1) for part in old]
    if all(a is b for a, b in zip(old, new, strict=True)):
        return parts
    return _rebuilt(parts, new)


def _rebuilt(parts: Any, members: list[Any]) -> Any:
    """The structure with other members, of its own class."""
    if isinstance(parts, Mapping):
        twin = copy.copy(cast(dict[Any, Any], parts))
        for key, member in zip(list(parts), members, strict=True):
            twin[key] = member
        return twin
    if isinstance(parts, tuple) and hasattr(parts, "_fields"):
        return type(parts)(*members)
    if isinstance(parts, tuple | list):
        return type(parts)(members)
    twin = copy.copy(parts)
    for name, member in zip(_names(parts), members, strict=True):
        object.__setattr__(twin, name, member)
    return twin


def replaced(parts: Any, old: Tensor | None, new: Tensor | None) -> Any:
    """The same structure with every occurrence of one tensor replaced."""
    if old is None or new is None:
        return parts
    return mapped(parts, lambda tensor: new if tensor is old else tensor)
