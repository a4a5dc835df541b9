"""One result or many: an explanation, a flow, a map, or a list of them, as explanations; and a choice of layers.

Everything that draws, tabulates or displays takes `Results` and reads them through `explanations_of`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from sightline.errors import ResultError, near
from sightline.results.explanation import Decision, Explanation
from sightline.results.flow import Flow
from sightline.results.maps import AttentionMap

Result = Explanation | Flow | AttentionMap
Results = Result | Iterable[Result]
"""What can be drawn or tabulated."""
LayerChoice = str | int | Sequence[str | int] | None
"""Layers of a result: a name, a wildcard, a place (`-1` is the last), `"last"`, or a list of these; None is all."""

UNKNOWN = Decision("", math.nan)
"""The decision of a flow or map that comes without one."""


def explanations_of(results: Results, layers: LayerChoice = None) -> tuple[Explanation, ...]:
    """The results as explanations, at the layers that are asked for.

    Args:
        results: one explanation, flow or map, or any number of them.
        layers: which layers are kept; None keeps all. An explanation that has none of them is left out.

    Raises:
        ResultError: this is not a result, or none has a layer that is asked for.

    Example:
        >>> import torch
        >>> maps = tuple(AttentionMap(torch.eye(2), name) for name in ("conv1", "layer1.0", "layer1.1"))
        >>> explanations_of(Flow(maps, "gradcam"), "layer1.*")[0].flow.layers
        ('layer1.0', 'layer1.1')
    """
    items = tuple(_explanation(result) for result in _each(results))
    if layers is None:
        return items
    choices = (layers,) if isinstance(layers, str | int) else tuple(layers)
    _check(choices, [item.flow for item in items])
    kept = (replace(item, flow=_narrowed(item.flow, choices)) for item in items)
    return tuple(item for item in kept if len(item.flow))


def _each(results: Results) -> Iterable[Result]:
    if isinstance(results, Explanation | Flow | AttentionMap):
        return (results,)
    if isinstance(results, str | bytes) or not isinstance(results, Iterable):
        raise ResultError(
            f"explanations were asked for, but this is {type(results).__name__}; pass what sightline.explain "
            "returns, one explanation, a flow or a map"
        )
    return results


def _explanation(result: Result) -> Explanation:
    if isinstance(result, Explanation):
        return result
    if isinstance(result, Flow):
        return Explanation(result, UNKNOWN)
    if isinstance(result, AttentionMap):
        return Explanation(Flow((result,), "map"), UNKNOWN)
    raise ResultError(f"a list of explanations holds {type(result).__name__}; pass explanations, flows or maps")


def _places(flow: Flow, choice: str | int) -> set[int]:
    """The places in a flow that one choice names; none where it names nothing there."""
    if isinstance(choice, int):
        return {choice % len(flow)} if -len(flow) <= choice < len(flow) else set()
    if choice == "last" and "last" not in flow:
        return {len(flow) - 1} if len(flow) else set()
    return {place for place, name in enumerate(flow.layers) if name == choice or fnmatchcase(name, choice)}


def _narrowed(flow: Flow, choices: tuple[str | int, ...]) -> Flow:
    """The flow at these layers, in its own order."""
    places = sorted(set().union(*(_places(flow, choice) for choice in choices)))
    return replace(flow, maps=tuple(flow.maps[place] for place in places))


def _check(choices: tuple[str | int, ...], flows: Sequence[Flow]) -> None:
    """Refuse a choice that names no layer of any flow."""
    for choice in choices:
        if not any(_places(flow, choice) for flow in flows):
            names = dict.fromkeys(name for flow in flows for name in flow.layers)
            if isinstance(choice, int):
                raise ResultError(f"there is no layer at place {choice}: the flow has {len(names)} layers")
            raise ResultError(f"this flow has no layer {choice!r}; {near(choice, names)}")
