"""Lists and tables in text files, as data sets of attributes have them: numbered names, and matrices of numbers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sightline.common.numbers import real
from sightline.common.reading import is_there, read_lines
from sightline.errors import DataError


def numbered_names(path: Path) -> tuple[str, ...]:
    """Names of a list `number name` whose numbers count 1, 2, 3..., whatever the blanks around them.

    Raises:
        DataError: the file is missing, or a row is not of that form.
    """
    names: list[str] = []
    for number, line in _lines(path):
        head, _, name = line.replace("\t", " ").partition(" ")
        if head != str(len(names) + 1) or not name.strip():
            raise DataError(f"{path}, line {number}: expected `{len(names) + 1} name`, found {line[:60]!r}")
        names.append(name.strip())
    return tuple(names)


def number_matrix(path: Path, rows: int, columns: int) -> NDArray[np.float64]:
    """A table of numbers parted by any run of blanks, [rows, columns].

    Raises:
        DataError: the file is missing, holds something that is no number, or has another shape.
    """
    table: list[NDArray[np.float64]] = []
    for number, line in _lines(path):
        tokens = line.split()
        row = [value for token in tokens if (value := real(token)) is not None]
        if len(row) != len(tokens) or len(row) != columns:
            wrong = next((repr(token[:30]) for token in tokens if real(token) is None), len(row))
            raise DataError(f"{path}, line {number}: expected {columns} finite numbers, found {wrong}")
        table.append(np.array(row))
    if len(table) != rows:
        raise DataError(f"{path} has {len(table)} rows of numbers; there are {rows} classes")
    return np.stack(table)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines that are not blank."""
    if not is_there(path, "list", error=DataError):
        raise DataError(f"{path} is missing; attributes cannot be read without it")
    yield from read_lines(path, "list", error=DataError)
