"""Lists and tables in text files, as data sets of attributes have them: numbered names, and matrices of numbers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sightline.errors import DataError


def numbered_names(path: Path) -> tuple[str, ...]:
    """Names of a list `number name` whose numbers count 1, 2, 3..., whatever the blanks around them.

    Raises:
        DataError: the file is missing, or a row is not of that form.
    """
    found: list[str] = []
    for number, line in _lines(path):
        head, _, name = line.replace("\t", " ").partition(" ")
        if head != str(len(found) + 1) or not name.strip():
            raise DataError(f"{path}, line {number}: expected `{len(found) + 1} name`, found {line[:60]!r}")
        found.append(name.strip())
    return tuple(found)


def number_matrix(path: Path, rows: int, columns: int) -> NDArray[np.float64]:
    """A table of numbers parted by any run of blanks, [rows, columns].

    Raises:
        DataError: the file is missing, holds something that is no number, or has another shape.
    """
    found: list[NDArray[np.float64]] = []
    for number, line in _lines(path):
        tokens = line.split()
        try:
            row = np.array([float(token) for token in tokens])
        except ValueError as problem:
            raise DataError(f"{path}, line {number}: {problem}; expected {columns} numbers") from problem
        if len(row) != columns or not np.isfinite(row).all():
            raise DataError(f"{path}, line {number}: expected {columns} finite numbers, found {len(row)}")
        found.append(row)
    if len(found) != rows:
        raise DataError(f"{path} has {len(found)} rows of numbers; there are {rows} classes")
    return np.stack(found)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines that are not blank."""
    if not path.is_file():
        raise DataError(f"{path} is missing; attributes cannot be read without it")
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield number, line.strip()
