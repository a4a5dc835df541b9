"""Which part of a model's output holds the logits: tensors, tuples, dictionaries and output objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from sightline.errors import TargetError

Selector = str | int | Callable[[Any], Tensor]
USUAL = ("logits", "out", "scores")
"""Keys and attributes under which logits are usually kept."""


def select_output(output: Any, selector: Selector | None = None) -> Tensor:
    """The logits in whatever the model returned.

    Args:
        output: what the model returned.
        selector: a key, an index or a callable; None finds a tensor, a usual key (`logits`, `out`, `scores`) or the
            only tensor in a tuple.

    Raises:
        TargetError: nothing there, or several candidates.
    """
    logits = _guess(output) if selector is None else _chosen(output, selector)
    if not isinstance(logits, Tensor):
        raise TargetError(
            f"the logits were expected to be a tensor, but {_part_name(selector)} of the model's output gave "
            f"{type(logits).__name__}; the output holds {describe(output)}"
        )
    return logits


def _guess(output: Any) -> Any:
    if isinstance(output, Tensor):
        return output
    for key in USUAL:
        if isinstance(output, Mapping) and key in output:
            return output[key]
        if hasattr(output, key):
            return getattr(output, key)
    parts = list(output.values()) if isinstance(output, Mapping) else output
    tensors = [part for part in parts if isinstance(part, Tensor)] if isinstance(parts, tuple | list) else []
    if len(tensors) == 1:
        return tensors[0]
    raise TargetError(
        f"it is not clear which part of the model's output holds the logits: it holds {describe(output)}; "
        "say which by output=<key, index or callable>"
    )


def _chosen(output: Any, selector: Selector) -> Any:
    if callable(selector):
        return selector(output)
    try:
        if isinstance(selector, str) and not isinstance(output, Mapping):
            return getattr(output, selector)
        return output[selector]
    except (KeyError, IndexError, TypeError, AttributeError) as problem:
        raise TargetError(f"the model's output has no part {selector!r}; it holds {describe(output)}") from problem


def _part_name(selector: Selector | None) -> str:
    return "the usual part" if selector is None else f"the part {selector!r}"


def describe(output: Any) -> str:
    """A short account of an output's parts and shapes, for error texts."""
    if isinstance(output, Tensor):
        return f"a tensor {tuple(output.shape)}"
    if isinstance(output, Mapping):
        return "{" + ", ".join(f"{key!r}: {describe(part)}" for key, part in output.items()) + "}"
    if isinstance(output, tuple | list):
        return "(" + ", ".join(describe(part) for part in output) + ")"
    return type(output).__name__
