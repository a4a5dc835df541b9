"""A column of a table as attributes: yes or no, one of several, a rank, or a number.

Knows nothing of files; scales are taken from the rows that it is told to look at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from sightline.common.numbers import real
from sightline.errors import DataError
from sightline.tasks.attributes.data.vocabulary import Attribute, Scope

Type = Literal["boolean", "categorical", "ordinal", "continuous", "ignore"]
TYPES: tuple[str, ...] = get_args(Type)
WORDS = {"yes": 1.0, "true": 1.0, "1": 1.0, "no": 0.0, "false": 0.0, "0": 0.0}
MOST_VALUES = 64
"""More different words than this are taken for notes, not for answers, unless the type is declared."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Column:
    """What is declared of a column.

    Args:
        type: `boolean`, `categorical`, `ordinal`, `continuous` or `ignore`; empty to find out.
        order: the values of an ordinal column, lowest first.
        scope: scope of its attributes.
        part: part on which they are seen.
    """

    type: str = ""
    order: tuple[str, ...] = ()
    scope: Scope = "object"
    part: str = ""


@dataclass(frozen=True, eq=False)
class Answers:
    """What became of a column: attributes, targets and weights [n, k], and whether exactly one of them is right."""

    attributes: tuple[Attribute, ...]
    targets: Floats
    weights: Floats
    exclusive: bool = False
    note: str = ""


def inferred(name: str, cells: Sequence[str]) -> str:
    """The type of a column of which nothing is declared.

    Raises:
        DataError: every cell is empty, or there are too many different words for a choice.
    """
    values = {cell.lower() for cell in cells if cell}
    if not values:
        raise DataError(f"the column {name!r} is empty; declare its type as 'ignore', or remove it")
    if values <= set(WORDS):
        return "boolean"
    if all(_is_number(cell) for cell in values):
        return "continuous"
    if len(values) > MOST_VALUES:
        raise DataError(f"the column {name!r} has {len(values)} different values; declare its type, or 'ignore' it")
    return "categorical"


def answers(
    name: str, cells: Sequence[str], declared: Column, train: NDArray[np.bool_], numbers: Sequence[int]
) -> Answers:
    """Turn the cells of a column into attributes; an empty cell is unknown.

    Args:
        name: name of the column.
        cells: without blanks around them.
        declared: its type and what it is about.
        train: rows from which the scale of numbers is taken, [n].
        numbers: numbers of the rows, for the texts of errors.

    Raises:
        DataError: a cell does not fit the type; the text names its row.
    """
    kind = declared.type or inferred(name, cells)
    if kind == "categorical":
        return _categorical(name, cells, declared)
    if kind == "continuous":
        return _continuous(name, cells, declared, train, numbers)
    if kind == "ordinal":
        return _ordinal(name, cells, declared, numbers)
    values = [_looked_up(name, cell.lower(), WORDS, at) for at, cell in zip(numbers, cells, strict=True)]
    word = Attribute(name, name, name, declared.part, declared.scope)
    return Answers((word,), *_targets_and_weights(values))


def _categorical(name: str, cells: Sequence[str], declared: Column) -> Answers:
    """One attribute per value; exactly one is right."""
    values = sorted({cell for cell in cells if cell})
    words = tuple(Attribute(f"{name}::{value}", name, value, declared.part, declared.scope) for value in values)
    targets = np.array([[cell == value for value in values] for cell in cells], np.float32).reshape(len(cells), -1)
    weights = np.repeat(np.array([[bool(cell)] for cell in cells], np.float32), len(values), 1)
    return Answers(words, targets, weights, exclusive=len(values) > 1)


def _ordinal(name: str, cells: Sequence[str], declared: Column, numbers: Sequence[int]) -> Answers:
    """The rank, from 0 for the first value to 1 for the last."""
    if len(declared.order) < 2 or len(set(declared.order)) < len(declared.order):
        raise DataError(f"the ordinal column {name!r} needs its `order`: two or more different values, lowest first")
    ranks = {value: rank / (len(declared.order) - 1) for rank, value in enumerate(declared.order)}
    values = [_looked_up(name, cell, ranks, at) for at, cell in zip(numbers, cells, strict=True)]
    return Answers(
        (Attribute(name, name, name, declared.part, declared.scope, "ordinal", declared.order),),
        *_targets_and_weights(values),
    )


def _continuous(
    name: str, cells: Sequence[str], declared: Column, train: NDArray[np.bool_], numbers: Sequence[int]
) -> Answers:
    """The number between the smallest and the largest of the training rows; beyond them it is cut off."""
    values = np.array([_number(name, cell, at) for at, cell in zip(numbers, cells, strict=True)])
    word = Attribute(name, name, name, declared.part, declared.scope, "continuous")
    measured = values[train & ~np.isnan(values)]
    if not len(measured) or measured.min() == measured.max():
        nothing = np.zeros((len(cells), 1), np.float32)
        return Answers((word,), nothing, nothing, note=f"{name} does not vary in the training split; it is unknown")
    return Answers(
        (word,), *_targets_and_weights(np.clip((values - measured.min()) / (measured.max() - measured.min()), 0, 1))
    )


def _targets_and_weights(values: Sequence[float] | NDArray[np.float64]) -> tuple[Floats, Floats]:
    """Targets and weights of one attribute; NaN is unknown."""
    column = np.asarray(values, np.float32).reshape(-1, 1)
    return np.nan_to_num(column), (~np.isnan(column)).astype(np.float32)


def _looked_up(name: str, cell: str, values: dict[str, float], row: int) -> float:
    if cell and cell not in values:
        raise DataError(f"row {row}: the column {name!r} has {cell!r}; it takes {', '.join(values)}")
    return values[cell] if cell else np.nan


def _number(name: str, cell: str, row: int) -> float:
    if cell and not _is_number(cell):
        raise DataError(f"row {row}: the column {name!r} has {cell!r}, which is not a finite number")
    return float(cell) if cell else np.nan


def _is_number(cell: str) -> bool:
    return real(cell) is not None
