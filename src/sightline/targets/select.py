"""Which part of a model's output holds the logits: tensors, tuples, dictionaries and output objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from sightline.common.nested import DEPTH, parts_of
from sightline.errors import TargetError
from sightline.targets.outputs import describe

Selector = str | int | Callable[[Any], Tensor]
USUAL = ("logits", "out", "scores")
"""Keys and attributes under which logits are usually kept."""


def select_output(output: Any, selector: Selector | None = None) -> Tensor:
    """The logits in the model's output.

    Args:
        output: what the model returned.
        selector: a key, an index, keys with dots between them or a callable; None finds a tensor, a usual key
            (`logits`, `out`, `scores`) or the only tensor of floats that is not a single number.

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
    boxes = not {"boxes", "pred_boxes"}.isdisjoint(map(str, parts_of(output))) or "boxes'" in describe(output)
    candidates = _candidates(output)
    # Scores beside boxes are those of proposals; logits `[b, classes]` are a classifier's, whatever else is there.
    plain = len(candidates) == 1 and candidates[0].ndim < 3 and "'logits'" in describe(output)
    if len(candidates) == 1 and (plain or not boxes):
        return candidates[0]
    raise TargetError(
        f"it is not clear which part of the model's output holds the logits: it holds {describe(output)}; "
        + ("ask a detector about targets.box(...), or " if boxes else "")
        + "say which by output=<key, index or callable>"
    )


def _candidates(output: Any, depth: int = DEPTH) -> list[Tensor]:
    """What may be the logits: the part of a usual name, or else all tensors of scores at the highest level."""
    if isinstance(output, Tensor):
        return [output]
    parts = parts_of(output) if depth else {}
    for key in USUAL:
        named = parts.get(key, getattr(output, key, None))
        if isinstance(named, Tensor) or parts_of(named):
            return _candidates(named, depth - 1)
    tensors = [part for part in parts.values() if isinstance(part, Tensor)]
    scores = [part for part in tensors if part.ndim and part.is_floating_point()]
    if scores or _one_for_each_sample(output):
        return scores
    return [hit for part in parts.values() if parts_of(part) for hit in _candidates(part, depth - 1)]


def _one_for_each_sample(output: Any) -> bool:
    """Whether it is a list of dictionaries, as detectors return: nothing in it belongs to the whole batch."""
    return isinstance(output, list) and bool(output) and all(isinstance(part, Mapping) for part in output)


def _chosen(output: Any, selector: Selector) -> Any:
    if callable(selector):
        return selector(output)
    try:
        return _at(output, selector)
    except (KeyError, IndexError, TypeError, AttributeError) as problem:
        head, dot, rest = selector.partition(".") if isinstance(selector, str) else ("", "", "")
        if dot:
            return _chosen(_chosen(output, head), rest)
        raise TargetError(f"the model's output has no part {selector!r}; it holds {describe(output)}") from problem


def _at(output: Any, selector: str | int) -> Any:
    """One part by key, index or attribute."""
    if isinstance(selector, str) and not isinstance(output, Mapping):
        return getattr(output, selector)
    return output[selector]


def _part_name(selector: Selector | None) -> str:
    return "the usual part" if selector is None else f"the part {selector!r}"
