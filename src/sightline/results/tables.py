"""Results as tables: a row for each layer and method, or a row for each cell of each map.

Columns are plain lists, which pandas and polars both take; neither is needed to make them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import product
from typing import Any

from sightline.errors import ResultError
from sightline.results.concentration import concentration, half_share
from sightline.results.explanation import Explanation
from sightline.results.maps import AttentionMap
from sightline.results.several import LayerChoice, Results, explanations_of

Columns = dict[str, list[Any]]
Rows = Callable[[Explanation, int, AttentionMap], Iterator[dict[str, Any]]]


def frame_of(results: Results, library: str, *, layers: LayerChoice = None, cells: bool = False) -> Any:
    """A table of pandas or polars.

    Args:
        results: what is tabulated.
        library: `"pandas"` or `"polars"`.
        layers: which layers; None is all.
        cells: a row for each cell instead of one for each layer.

    Raises:
        ResultError: the library is not installed, or a layer does not exist.
    """
    try:
        module = import_module(library)
    except ModuleNotFoundError as problem:
        if problem.name != library:
            raise
        raise ResultError(f"to_{library}() needs the package {library!r}. Try: pip install {library}") from problem
    return module.DataFrame(columns_of(results, layers=layers, cells=cells))


def columns_of(results: Results, *, layers: LayerChoice = None, cells: bool = False) -> Columns:
    """The table as a list for each column.

    Args:
        results: what is tabulated.
        layers: which layers; None is all.
        cells: a row for each cell instead of one for each layer.

    Returns:
        For layers: source, label, class index, score, probability, method, place of the layer in its flow, layer,
        domain, grid, status, smallest, largest and mean value, sum, the share of the magnitude in the strongest tenth
        of the cells (`top_tenth`), and the smallest share of the cells that holds half of the positive evidence
        (`half_cells`). For cells: source, label, method, layer, an index along each axis (`h`, `w`, `t`, `z`, `f`,
        `n`; None where a map lacks the axis), the element's name where it has one, and the value.

    Example:
        >>> import torch
        >>> columns_of(AttentionMap(torch.eye(2), "conv1"), cells=True)["value"]
        [1.0, 0.0, 0.0, 1.0]
    """
    make: Rows = _cells if cells else _layer
    rows = [
        row
        for item in explanations_of(results, layers)
        for place, map_ in enumerate(item.flow.maps)
        for row in make(item, place, map_)
    ]
    names = dict.fromkeys(name for row in rows for name in row)
    ordered = [name for name in names if name not in ("name", "value")] + [n for n in ("name", "value") if n in names]
    return {name: [row.get(name) for row in rows] for name in ordered}


def _layer(item: Explanation, place: int, map_: AttentionMap) -> Iterator[dict[str, Any]]:
    decision = item.decision
    yield {
        "source": item.source,
        "label": decision.label,
        "class_index": decision.index,
        "score": decision.score,
        "probability": decision.probability,
        "method": item.method,
        "place": place,
        "layer": map_.layer,
        "domain": map_.domain.kind,
        "grid": "x".join(map(str, map_.shape)),
        "status": str(map_.status),
        **map_.statistics(),
        "top_tenth": concentration(map_.values),
        "half_cells": half_share(map_.values),
    }


def _cells(item: Explanation, place: int, map_: AttentionMap) -> Iterator[dict[str, Any]]:
    head = {"source": item.source, "label": item.decision.label, "method": item.method, "layer": map_.layer}
    values = map_.values.detach().cpu().double().flatten().tolist()
    names = map_.domain.labels
    for number, (cell, value) in enumerate(zip(product(*map(range, map_.shape)), values, strict=True)):
        name = {"name": names[number]} if len(names) == len(values) else {}
        finite = value if math.isfinite(value) else math.nan
        yield {**head, **dict(zip(map_.domain.axes, cell, strict=True)), **name, "value": finite}
