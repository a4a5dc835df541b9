"""Fields that hold several categories in a row, such as genres or tags: how their cells are split into tokens.

A cell is a list of Parquet, or a text whose tokens a separator parts. It knows no vocabulary.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sightline.tasks.clicks.data.lines import arrow

SEPARATORS = ("|", "^", ";", " ", ",")
"""What may part the tokens of a cell, the surest first."""
SLOTS = 20
"""Tokens of a cell that are read at most; the first ones."""
SHARE = 0.1
"""Share of cells with a separator from which on a column of a table is a set."""


@dataclass(frozen=True)
class Tokens:
    """The tokens of a column.

    Args:
        names: the different ones.
        codes: place in `names` of every token, row by row.
        rows: the row of every token.
        slots: the place of every token within its row.
    """

    names: list[str]
    codes: NDArray[np.int64]
    rows: NDArray[np.int64]
    slots: NDArray[np.int64]


def tokens(column: Any, separator: str) -> Tokens:
    """Split the cells of a column.

    Args:
        column: an array of pyarrow: text, or lists.
        separator: what parts the tokens of a text; empty for lists.
    """
    pa = arrow()
    lists = column
    if not pa.types.is_nested(column.type):
        text = column.cast(pa.string()).fill_null("")
        lists = (
            pa.compute.utf8_split_whitespace(text) if separator == " " else pa.compute.split_pattern(text, separator)
        )
    rows = pa.compute.list_parent_indices(lists).to_numpy(zero_copy_only=False).astype(np.int64)
    flat = pa.compute.list_flatten(lists).cast(pa.string()).fill_null("")
    flat = pa.compute.utf8_trim_whitespace(flat)
    full = pa.compute.not_equal(flat, "")
    rows = rows[full.to_numpy(zero_copy_only=False)]
    coded = flat.filter(full).dictionary_encode()
    codes = coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    slots = np.arange(len(rows)) - np.searchsorted(rows, rows)
    kept = slots < SLOTS
    return Tokens(coded.dictionary.to_pylist(), codes[kept], rows[kept], slots[kept])


def separator_of(cells: Sequence[str], delimiter: str = "") -> str:
    """What parts the tokens of a column's cells; empty where nothing does.

    Only `|` and `^` are believed without being asked for: commas, semicolons and blanks stand in titles too.

    Args:
        cells: of the first lines.
        delimiter: what parts the columns.
    """
    for separator in SEPARATORS[:2]:
        parted = [cell for cell in cells if re.search(_within(separator), cell)]
        if separator != delimiter and len(parted) > SHARE * len(cells):
            return separator
    return ""


def _within(separator: str) -> str:
    own = re.escape(separator)
    return f"[^{own}]{own}[^{own}]"


def likely_separator(cells: Sequence[str]) -> str:
    """The separator of a column that the user says is a set: the first that occurs, else a bar."""
    return next((separator for separator in SEPARATORS if any(separator in cell for cell in cells)), "|")
