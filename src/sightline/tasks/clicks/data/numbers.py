"""Columns of numbers: from text to floats, the named transforms, and labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sightline.common.text import clipped
from sightline.errors import DataError
from sightline.tasks.clicks.data.lines import arrow
from sightline.tasks.clicks.data.pieces import Piece
from sightline.tasks.clicks.data.schema import MISSING, Schema

Floats = NDArray[np.float64]


def signed_log(values: Floats) -> Floats:
    """`sign(x) ln(1 + |x|)`."""
    return np.sign(values) * np.log1p(np.abs(values))


def winner(values: Floats) -> Floats:
    """`floor(ln(x)^2)` above 2, else x: the rule of the Criteo challenge's winners."""
    return np.where(values > 2, np.floor(np.log(np.maximum(values, 2)) ** 2), values)


def log2(values: Floats) -> Floats:
    """`floor(log2 x)` above 2, else 1, as the benchmark BARS has it."""
    return np.where(values > 2, np.floor(np.log2(np.maximum(values, 2))), 1.0)


SCALED: dict[str, Callable[[Floats], Floats]] = {"log": signed_log, "standard": lambda values: values}
"""Transforms after which training rows get mean 0 and variance 1; a field stays a number."""
BUCKETS: dict[str, Callable[[Floats], Floats]] = {"winner": winner, "log2": log2}
"""Transforms that make a field a category."""
TRUTH = {"true": 1.0, "false": 0.0}
"""Words of labels, as tables write them."""
TRANSFORMS = (*SCALED, *BUCKETS, "none")


def floats(piece: Piece, name: str) -> Floats:
    """A column as numbers, NaN where one is missing.

    Raises:
        DataError: a cell is not a number; the text names its line.
    """
    pa = arrow()
    column = piece.columns[name]
    if not pa.types.is_string(column.type):
        return np.asarray(column.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False))
    empty = pa.compute.is_in(column, value_set=pa.array(MISSING))
    cells = pa.compute.if_else(empty, pa.scalar(None, pa.string()), column)
    try:
        return np.asarray(cells.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False))
    except pa.ArrowInvalid as problem:
        row = next(row for row, cell in enumerate(column.to_pylist()) if cell not in MISSING and not _is_float(cell))
        raise DataError(
            f"the log {str(piece.path)!r}, {piece.at(row)}: {name} is {clipped(column[row].as_py())}, which is not a "
            f"number; correct it, or read the column as a category with --category {name}"
        ) from problem


def labels(piece: Piece, schema: Schema) -> NDArray[np.int8]:
    """1 for a click, 0 for none.

    Raises:
        DataError: a label is missing, or is neither 0, 1 nor -1 where no rule says more; the text names its line.
    """
    values = _label_numbers(piece, schema)
    if schema.positive is not None:
        bad = np.isnan(values)
    else:
        bad = ~np.isin(values, (0.0, 1.0, -1.0))
    if bad.any():
        row = int(bad.argmax())
        cell: Any = piece.columns[schema.label][row].as_py()
        raise DataError(
            f"the log {str(piece.path)!r}, {piece.at(row)}: the label {schema.label} is {clipped(str(cell))}, "
            "not 0 or 1; say from which value on it counts as a click with --positive, or name another --label"
        )
    return (values >= (1.0 if schema.positive is None else schema.positive)).astype(np.int8)


def usable(piece: Piece, schema: Schema) -> NDArray[np.bool_]:
    """Which rows are alternatives that could be chosen.

    Raises:
        DataError: one that could not be chosen was; the text names its line.
    """
    if not schema.available:
        return np.ones(len(piece), bool)
    can: NDArray[np.bool_] = floats(piece, schema.available) != 0
    wrong = ~can & (labels(piece, schema) > 0) if schema.label else np.zeros(len(piece), bool)
    if wrong.any():
        raise DataError(
            f"the log {str(piece.path)!r}, {piece.at(int(wrong.argmax()))}: this alternative was chosen, but was not "
            "available; correct that row"
        )
    return can


def _label_numbers(piece: Piece, schema: Schema) -> Floats:
    """The labels as numbers: true and false are 1 and 0, any other word is NaN."""
    pa = arrow()
    column = piece.columns[schema.label]
    if not pa.types.is_string(column.type):
        return floats(piece, schema.label)
    coded = column.dictionary_encode()
    known = [_label_number(cell) for cell in coded.dictionary.to_pylist()]
    codes = coded.indices.fill_null(len(known)).to_numpy(zero_copy_only=False)
    return np.asarray(np.array([*known, np.nan])[codes])


def _label_number(cell: str) -> float:
    if cell.lower() in TRUTH:
        return TRUTH[cell.lower()]
    return float(cell) if _is_float(cell) else np.nan


def times(piece: Piece, schema: Schema) -> Floats:
    """Times as numbers that grow: numbers as they are, dates in seconds.

    Raises:
        DataError: a time is neither a number nor a date.
    """
    pa = arrow()
    column = piece.columns[schema.time]
    if pa.types.is_string(column.type) and len(column) and not _is_float(column[0].as_py()):
        try:
            moments = column.cast(pa.timestamp("s"))
        except pa.ArrowInvalid as problem:
            raise DataError(
                f"the log {str(piece.path)!r}, from {piece.at(0)} on: {schema.time} is neither a number nor a date "
                f"such as 2017-05-06 12:00:00 ({clipped(column[0].as_py())}); take --split-by random"
            ) from problem
        return np.asarray(moments.cast(pa.int64()).cast(pa.float64()).to_numpy(zero_copy_only=False))
    return floats(piece, schema.time)


def _is_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
