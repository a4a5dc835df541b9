"""Inputs of several parts - a mapping, a processor's output, a tuple: the one that is explained, and the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from sightline.errors import InputError
from sightline.models.adapter.call import HOLE, PLAIN, Call

ALL = "all"


@dataclass(frozen=True, eq=False)
class Part:
    """One part of the inputs that is explained.

    Args:
        name: its name or position; None where the inputs are one tensor.
        values: the part itself.
        call: how the model is called with it.
    """

    name: Any
    values: Any
    call: Call = PLAIN


def parts_of(inputs: Any, explained: str | int | None = None) -> list[Part]:
    """The parts that are explained, each with the others beside it.

    Args:
        inputs: a mapping of the model's keyword arguments (a dict, or what a processor returns), a tuple of its
            positional ones, or anything else, which is one part by itself.
        explained: name or position of the part; `"all"` for each part that holds floats; None where only one does.

    Raises:
        InputError: no part holds floats, several do and none was named, there is no such part, or they differ in
            their number of samples.
    """
    if isinstance(inputs, Mapping):
        parts = dict(inputs)
    elif isinstance(inputs, tuple) and inputs and all(isinstance(part, Tensor) for part in inputs):
        parts = dict(enumerate(inputs))
    else:
        if explained is not None:
            raise InputError(f"explained={explained!r} names a part of the inputs, but they are one tensor")
        return [Part(None, inputs)]
    floats = [name for name, part in parts.items() if isinstance(part, Tensor) and part.is_floating_point()]
    names = _chosen(explained, parts, floats)
    return [Part(name, parts[name], _call(parts, name)) for name in names]


def _chosen(explained: str | int | None, parts: Mapping[Any, Any], floats: list[Any]) -> list[Any]:
    held = ", ".join(f"{name!r} {_wording(part)}" for name, part in parts.items()) or "nothing"
    if not floats:
        raise InputError(f"no part of the inputs holds floats, which could be explained; they hold {held}")
    if explained == ALL:
        return floats
    if explained is not None:
        if explained not in floats:
            raise InputError(f"the inputs have no part {explained!r} of floats; they hold {held}")
        return [explained]
    if len(floats) > 1:
        raise InputError(
            f"several parts of the inputs hold floats: {', '.join(map(repr, floats))}; say which is explained by "
            'explained=NAME, or explained="all" for each'
        )
    return floats


def _call(parts: Mapping[Any, Any], name: Any) -> Call:
    others = {key: HOLE if key == name else part for key, part in parts.items()}
    samples = len(parts[name])
    if all(isinstance(key, str) for key in others):
        return Call((), others, samples)
    return Call(tuple(others.values()), {}, samples)


def _wording(part: Any) -> str:
    return f"{tuple(part.shape)} {part.dtype}" if isinstance(part, Tensor) else type(part).__name__
