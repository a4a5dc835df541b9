"""Tables of choices, long (a row for each alternative) or wide (a row for each choice), as arrays.

What cannot be right is refused with its line: a choice of what was not available, two choices, none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sightline.common.text import clipped
from sightline.errors import DataError, near
from sightline.tasks.clicks.data.lines import arrow
from sightline.tasks.clicks.data.numbers import floats
from sightline.tasks.clicks.data.pieces import Piece, pieces
from sightline.tasks.clicks.data.schema import Schema
from sightline.tasks.clicks.data.sniff import recognise

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ChoiceTable:
    """Choices among alternatives.

    Args:
        alternatives: their names.
        columns: by name, a value for every choice and alternative; NaN where an alternative was not there.
        available: what could be chosen.
        chosen: place of what was chosen.
        groups: who chose, as numbers, for errors that are clustered; a number for every row where that is not known.
    """

    alternatives: tuple[str, ...]
    columns: Mapping[str, Floats]
    available: NDArray[np.bool_]
    chosen: NDArray[np.int64]
    groups: NDArray[np.int64]

    def __len__(self) -> int:
        """Number of choices."""
        return len(self.chosen)

    def column(self, name: str) -> Floats:
        """A column, `[rows, alternatives]`.

        Raises:
            DataError: there is none of that name.
        """
        if name not in self.columns:
            raise DataError(f"the table of choices has no column {name!r}; {near(name, self.columns)}")
        return self.columns[name]

    def where(self, rows: NDArray[np.bool_]) -> ChoiceTable:
        """Some of the choices."""
        columns = {name: values[rows] for name, values in self.columns.items()}
        return ChoiceTable(self.alternatives, columns, self.available[rows], self.chosen[rows], self.groups[rows])

    def without(self, alternative: str) -> ChoiceTable:
        """Choices of others, among the others."""
        place = self.alternatives.index(alternative)
        rest = self.where(self.chosen != place)
        available = rest.available.copy()
        available[:, place] = False
        return ChoiceTable(rest.alternatives, rest.columns, available, rest.chosen, rest.groups)


def read_wide(
    path: Path,
    *,
    choice: str,
    alternatives: Mapping[str, str],
    attributes: Mapping[str, Mapping[str, str]],
    available: Mapping[str, str] | None = None,
    keep: Callable[[Mapping[str, Floats]], NDArray[np.bool_]] | None = None,
    group: str = "",
) -> ChoiceTable:
    """A table with a row for each choice, such as Swissmetro.

    Args:
        path: the file.
        choice: column of what was chosen.
        alternatives: for each name, what the column of choices holds for it.
        attributes: for each attribute, the column of each alternative.
        available: for each alternative, the column that is not 0 where it could be chosen; None for always.
        keep: from all columns to the rows that are kept; None keeps all.
        group: column of who chose; empty for none.

    Raises:
        DataError: a row chose an unknown or unavailable alternative; the text names its line.
    """
    names, flags = tuple(alternatives), available or {}
    rows, columns = _numbers(path)
    for name in (choice, group, *flags.values(), *(column for own in attributes.values() for column in own.values())):
        if name and name not in columns:
            raise DataError(f"the table {str(path)!r} has no column {name!r}; {near(name, columns)}")
    if keep is not None:
        kept = keep(columns)
        rows, columns = rows[kept], {name: values[kept] for name, values in columns.items()}
    codes = np.array([float(alternatives[name]) for name in names])
    matches = columns[choice][:, None] == codes
    if not matches.any(1).all():
        bad = int((~matches.any(1)).argmax())
        raise DataError(
            f"the table {str(path)!r}, line {rows[bad]}: {choice} is {columns[choice][bad]:g}, which is none of the "
            f"alternatives {', '.join(f'{name} ({alternatives[name]})' for name in names)}; leave such rows out"
        )
    everything = np.ones(len(rows), bool)
    can = np.stack([columns[flags[name]] != 0 if name in flags else everything for name in names], 1)
    chosen = matches.argmax(1)
    _check(path, rows, names, can, chosen)
    none = np.full(len(rows), np.nan)
    table = {
        attribute: np.stack([columns[own[name]] if name in own else none for name in names], 1)
        for attribute, own in attributes.items()
    }
    table |= {
        name: np.repeat(values[:, None], len(names), 1) for name, values in columns.items() if name not in table
    }
    groups = columns[group].astype(np.int64) if group else np.arange(len(rows))
    return ChoiceTable(names, table, can, chosen, groups)


def read_long(
    path: Path, *, case: str, alternative: str, choice: str, alternatives: Sequence[str] = ()
) -> ChoiceTable:
    """A table with a row for each alternative of each choice, such as ModeCanada.

    Args:
        path: the file.
        case: column that is the same for the rows of one choice.
        alternative: column of the alternative's name.
        choice: column that is 1 for what was chosen and 0 for the others.
        alternatives: names in their order; empty for that of their appearance.

    Raises:
        DataError: a case chose nothing or twice, or has an alternative twice; the text names its line.
    """
    piece = _whole(path)
    for name in (case, alternative, choice):
        if name not in piece.columns:
            raise DataError(f"the table {str(path)!r} has no column {name!r}; {near(name, piece.columns)}")
    names = tuple(alternatives) or tuple(dict.fromkeys(piece.columns[alternative].to_pylist()))
    places = {name: place for place, name in enumerate(names)}
    cases = {name: row for row, name in enumerate(dict.fromkeys(piece.columns[case].to_pylist()))}
    rows = np.array([cases[name] for name in piece.columns[case].to_pylist()])
    spots = np.array([places.get(name, -1) for name in piece.columns[alternative].to_pylist()])
    if (spots < 0).any():
        bad = int((spots < 0).argmax())
        cell = clipped(str(piece.columns[alternative][bad].as_py()))
        raise DataError(f"the table {str(path)!r}, {piece.at(bad)}: {cell} is none of the alternatives {names}")
    available = np.zeros((len(cases), len(names)), bool)
    picks = np.zeros(available.shape, bool)
    picked = floats(piece, choice) == 1
    for row, (own, spot) in enumerate(zip(rows, spots, strict=True)):
        if available[own, spot] or (picked[row] and picks[own].any()):
            what = f"has {names[spot]} twice" if available[own, spot] else "chose twice"
            raise DataError(f"the table {str(path)!r}, {piece.at(row)}: this case {what}; correct that row")
        available[own, spot], picks[own, spot] = True, picked[row]
    if not picks.any(1).all():
        bad = int(np.flatnonzero(rows == int((~picks.any(1)).argmax()))[0])
        raise DataError(f"the table {str(path)!r}, {piece.at(bad)}: this case chose nothing; leave it out")
    table: dict[str, Floats] = {}
    for name in piece.columns:
        if name in (alternative, choice):
            continue
        try:
            values = floats(piece, name)
        except DataError:  # a column of words
            continue
        table[name] = np.full(available.shape, np.nan)
        table[name][rows, spots] = values
    return ChoiceTable(names, table, available, picks.argmax(1), np.arange(len(cases)))


def _check(
    path: Path, rows: NDArray[np.int64], names: Sequence[str], can: NDArray[np.bool_], chosen: NDArray[np.int64]
) -> None:
    right = can[np.arange(len(chosen)), chosen]
    if not right.all():
        bad = int((~right).argmax())
        raise DataError(
            f"the table {str(path)!r}, line {rows[bad]}: {names[chosen[bad]]} was chosen, but was not available; "
            "correct that row or its column of availability"
        )


def _whole(path: Path) -> Piece:
    """All rows of a table in one piece: tables of choices are small."""
    schema: Schema = recognise(path)
    parts = list(pieces(path, schema))
    join = arrow().chunked_array
    columns = {name: join([part.columns[name] for part in parts]).combine_chunks() for name in schema.columns}
    return Piece(path, 0, parts[0].header, columns)


def _numbers(path: Path) -> tuple[NDArray[np.int64], dict[str, Floats]]:
    """Line of every row, and all columns that are numbers."""
    piece = _whole(path)
    columns = {}
    for name in piece.columns:
        try:
            columns[name] = floats(piece, name)
        except DataError:  # a column of words
            continue
    return np.arange(len(piece)) + 1 + (piece.header or 0), columns
