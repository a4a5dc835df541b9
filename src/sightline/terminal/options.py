"""From what is typed on the command line to values: lists, sizes, numbers, `key=value`."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from typing import Any

from sightline.common.numbers import real, whole
from sightline.common.text import clipped
from sightline.errors import InputError, near
from sightline.registry import spelling

LARGEST = 2**15
"""Longest side of an input in pixels."""


def listed(texts: Iterable[str] | None) -> list[str]:
    """The parts of options that may be repeated or hold commas.

    Example:
        >>> listed(["png,html", "gif"])
        ['png', 'html', 'gif']
    """
    parts = (part.strip() for text in texts or () for part in text.split(","))
    return list(dict.fromkeys(part for part in parts if part))


def selection(texts: Iterable[str] | None, choices: Sequence[str], *, option: str) -> list[str]:
    """`listed`, each of them known.

    Raises:
        InputError: one is not; near names are listed.
    """
    names = listed(texts)
    for name in names:
        if name not in choices:
            raise InputError(f"{option} cannot be {clipped(name)}; {near(name, choices)}")
    return names


def one_of(text: str, choices: Sequence[str], *, option: str) -> Any:
    """A word of a few that an option knows.

    Raises:
        InputError: it is none of them; near names are listed.
    """
    return selection([text], choices, option=option)[0]


def size_of(text: str | None) -> tuple[int, int] | None:
    """`224` or `224x320` (height x width) as height and width, in pixels.

    Raises:
        InputError: it is neither.
    """
    if text is None:
        return None
    parts = text.lower().replace("×", "x").split("x")
    sides = [side for part in parts if (side := whole(part)) is not None and 0 < side <= LARGEST]
    if len(parts) > 2 or len(sides) < len(parts):
        raise InputError(f"--size {clipped(text)} is not understood; write 224, or 224x320 for height x width")
    return sides[0], sides[-1]


def numbers_of(text: str | None, channels: int, *, option: str) -> tuple[float, ...] | None:
    """`0.5` or `0.485,0.456,0.406` as one number per channel.

    Raises:
        InputError: it is no list of numbers, or of another length.
    """
    if text is None:
        return None
    parts = text.split(",")
    values = tuple(value for part in parts if (value := real(part)) is not None)
    if len(values) < len(parts):
        raise InputError(f"{option} {clipped(text)} is not understood; write 0.5, or 0.485,0.456,0.406")
    if len(values) == 1:
        return values * channels
    if len(values) != channels:
        raise InputError(f"{option} has {len(values)} numbers, but the model's input has {channels} channels")
    return values


def arguments_of(pairs: Iterable[str] | None) -> dict[str, Any]:
    """`key=value` pairs; a value that reads as a Python number, tuple, True, False or None is one.

    Raises:
        InputError: a pair has no `=`.

    Example:
        >>> arguments_of(["num_classes=10", "pad_type=same"])
        {'num_classes': 10, 'pad_type': 'same'}
    """
    arguments: dict[str, Any] = {}
    for pair in pairs or ():
        key, sign, value = pair.partition("=")
        if not sign or not key.strip().isidentifier():
            raise InputError(
                f"--model-arg {clipped(pair)} is not understood; write NAME=VALUE, for example num_classes=10"
            )
        arguments[key.strip()] = _value(value.strip())
    return arguments


def method_options(texts: Iterable[str] | None, methods: Sequence[str]) -> dict[str, dict[str, Any]]:
    """`METHOD.NAME=VALUE`, or `NAME=VALUE` where one method is asked for, as options by method.

    Raises:
        InputError: an option is not of this form, or its method is not asked for.

    Example:
        >>> method_options(["scorecam.groups=64"], ["gradcam", "scorecam"])
        {'scorecam': {'groups': 64}}
    """
    options: dict[str, dict[str, Any]] = {}
    for text in texts or ():
        key, sign, value = text.partition("=")
        method, dot, name = key.strip().rpartition(".")
        if not dot and len(methods) == 1:
            method = methods[0]
        method = next((one for one in methods if spelling(one) == spelling(method)), "")
        if not sign or not name.isidentifier() or not method:
            raise InputError(
                f"--option {clipped(text)} is not understood; write METHOD.NAME=VALUE with one of the methods asked "
                f"for: {', '.join(methods)}"
            )
        options.setdefault(method, {})[name] = _value(value.strip())
    return options


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):  # no literal, or one that is too deep
        return {"true": True, "false": False, "none": None}.get(text.lower(), text)


def device_of(name: str) -> str:
    """The device to use; `auto` is the first CUDA device where there is one."""
    if name != "auto":
        return name
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
