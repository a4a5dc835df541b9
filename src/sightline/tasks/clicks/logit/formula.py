"""Columns made by formulas in SQL's words: `TRAIN_CO / 100`, `PURPOSE IN (1, 3) AND CHOICE <> 0`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sightline.errors import DataError, MissingExtraError, near

Floats = NDArray[np.float64]


def computed(path: Path, columns: Mapping[str, Floats], text: str) -> Floats:
    """A column by its name, or what a formula makes of the columns.

    Args:
        path: the table, for error texts.
        columns: the columns that are numbers.
        text: a column's name, or an expression in SQL's words.

    Raises:
        DataError: there is no such column, or the formula is not one.
    """
    if text in columns:
        return columns[text]
    try:
        import polars as pl
    except ModuleNotFoundError as problem:
        raise MissingExtraError("polars", "clicks", "formulas of columns") from problem
    from polars.exceptions import ColumnNotFoundError, PolarsError

    try:
        frame = pl.DataFrame(dict(columns))
        value = frame.select(pl.sql_expr(text).cast(pl.Float64).alias("value"))["value"]
    except ColumnNotFoundError as problem:
        name = str(problem).partition('"')[2].partition('"')[0] or text
        inside = "" if name == text else f" (in the formula {text!r})"
        raise DataError(f"the table {str(path)!r} has no column {name!r}{inside}; {near(name, columns)}") from problem
    except PolarsError as problem:
        reason = " ".join(str(problem).split())[:120]
        raise DataError(
            f"the formula {text!r} cannot be computed ({reason}); write it as in SQL, such as COST / 100 or "
            "CASE WHEN PASS = 1 THEN 0 ELSE COST END"
        ) from problem
    result = np.asarray(value.fill_null(np.nan).to_numpy(), np.float64)
    return np.broadcast_to(result, (frame.height,)).copy()


def kept(path: Path, columns: Mapping[str, Floats], text: str) -> NDArray[np.bool_]:
    """The rows for which a condition holds; all for an empty one.

    Args:
        path: the table, for error texts.
        columns: the columns that are numbers.
        text: a condition in SQL's words; empty for none.

    Raises:
        DataError: the condition is not one, or no row is left.
    """
    count = len(next(iter(columns.values())))
    if not text:
        return np.ones(count, bool)
    value = computed(path, columns, text)
    rows: NDArray[np.bool_] = np.isfinite(value) & (value != 0)
    if not rows.any():
        raise DataError(f"no row of the table {str(path)!r} fulfils {text!r}; give another --where")
    return rows
