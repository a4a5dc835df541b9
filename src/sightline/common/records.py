"""Dataclasses from what JSON holds of them, each field checked for its kind.

A file may have been changed by anybody: what is built of it here has the types that it says it has.
"""

from __future__ import annotations

import reprlib
import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

Record = TypeVar("Record")


def restored(kind: type[Record], content: Any, **ready: Any) -> Record:
    """A dataclass from its JSON, in which tuples are lists and dataclasses are objects.

    Args:
        kind: the dataclass.
        content: what the JSON holds; fields with a default may be left out, unknown ones may not be there.
        ready: fields that are not in the JSON.

    Raises:
        ValueError: a field is missing, unknown or of another kind; the text names it.

    Example:
        >>> from sightline.results import Decision
        >>> restored(Decision, {"label": "zebra", "score": 3})
        Decision(label='zebra', score=3.0, index=None, probability=None, against=None, box=None, region=())
    """
    if not isinstance(content, Mapping):
        raise ValueError(f"a {kind.__name__} is an object, not {_shown(content)}")
    slots: dict[str, Field[Any]] = {field.name: field for field in fields(cast(Any, kind)) if field.init}
    if unknown := [str(name) for name in content if name not in slots or name in ready]:
        raise ValueError(f"a {kind.__name__} has no {unknown[0]!r}")
    missing = [n for n, f in slots.items() if n not in content and n not in ready and _needed(f)]
    if missing:
        raise ValueError(f"a {kind.__name__} needs {missing[0]!r}, which is not there")
    hints = _hints(cast(Any, kind))
    return kind(**{name: as_kind(hints[name], value, name) for name, value in content.items()}, **ready)


def as_kind(kind: Any, value: Any, name: str) -> Any:
    """A value of JSON as a type says it: numbers, words, `tuple[...]`, `dict[str, ...]`, `Literal`, `... | None`.

    Args:
        kind: the type.
        value: what the JSON holds.
        name: name of the value, for the error text.

    Raises:
        ValueError: it is of another kind.

    Example:
        >>> as_kind(tuple[int, ...], [1, 2], "widths")
        (1, 2)
    """
    origin, parts = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin in (Union, types.UnionType):
        return None if value is None and type(None) in parts else _one_of_kinds(parts, value, name)
    if origin is Literal:
        if value not in parts or isinstance(value, bool):
            raise ValueError(f"{name!r} is {_shown(value)}, but can be {', '.join(map(repr, parts))}")
        return value
    if origin is tuple:
        return _as_tuple(parts, value, name)
    if origin is dict or kind is dict:
        if not isinstance(value, dict):
            raise ValueError(f"{name!r} is {_shown(value)}, but should be an object")
        inside = parts[1] if parts else Any
        return {key: as_kind(inside, item, f"{name}.{key}") for key, item in value.items()}
    if is_dataclass(kind):
        return restored(cast(Any, kind), value)
    return _as_plain(kind, value, name)


def _one_of_kinds(kinds: tuple[Any, ...], value: Any, name: str) -> Any:
    """The value as the first kind that takes it."""
    problem = ValueError(f"{name!r} is {_shown(value)}")
    for kind in kinds:
        if kind is not type(None):
            try:
                return as_kind(kind, value, name)
            except ValueError as refusal:
                problem = refusal
    raise problem


def _as_tuple(kinds: tuple[Any, ...], value: Any, name: str) -> tuple[Any, ...]:
    """A list as a tuple of one kind, or of a kind for each place."""
    if not isinstance(value, list | tuple):
        raise ValueError(f"{name!r} is {_shown(value)}, but should be a list")
    every = len(kinds) == 2 and kinds[1] is Ellipsis
    if not every and len(value) != len(kinds):
        raise ValueError(f"{name!r} has {len(value)} entries, but should have {len(kinds)}")
    places = kinds[:1] * len(value) if every else kinds
    return tuple(
        as_kind(kind, item, f"{name}[{at}]") for at, (kind, item) in enumerate(zip(places, value, strict=True))
    )


def _as_plain(kind: Any, value: Any, name: str) -> Any:
    """A number, a word or a truth; JSON may write a float without its point."""
    if kind is float and isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53:
        return float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{name!r} is {_shown(value)}, but should be of the kind {kind.__name__}")
    return value


def _needed(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _shown(value: Any) -> str:
    """The value, cut."""
    return reprlib.repr(value)
