"""Tables of choices on disk, long (a row for each alternative) or wide (a row for each choice).

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
from sightline.tasks.clicks.logit.formula import computed, kept
from sightline.tasks.clicks.logit.table import ChoiceTable, Floats

Keep = str | Callable[[Mapping[str, Floats]], NDArray[np.bool_]]
"""Which rows are kept: a condition in SQL's words (empty for all), or a function of the columns."""


def read_wide(
    path: Path,
    *,
    choice: str,
    alternatives: Mapping[str, str],
    attributes: Mapping[str, Mapping[str, str]],
    available: Mapping[str, str] | None = None,
    keep: Keep = "",
    group: str = "",
) -> ChoiceTable:
    """A table with a row for each choice, such as Swissmetro.

    Args:
        path: the file.
        choice: column of what was chosen.
        alternatives: for each name, what the column of choices holds for it.
        attributes: for each attribute, the column of each alternative, or a formula such as `TRAIN_CO / 100`.
        available: for each alternative, the column or formula that is not 0 where it could be chosen; None: always.
        keep: the rows that are kept.
        group: column of who chose; empty for none.

    Raises:
        DataError: a row chose an unknown or unavailable alternative; the text names its line.
    """
    names, flags = tuple(alternatives), available or {}
    piece, numbers = _whole(path)
    columns = _numbers(piece)
    rows = _rows(path, columns, keep)
    lines, columns = numbers[rows], {name: values[rows] for name, values in columns.items()}
    own = _words(piece, choice)[rows]
    chosen = _chosen(path, piece, lines, own, choice, alternatives)
    everything = np.ones(len(lines), bool)
    can = np.stack([computed(path, columns, flags[n]) != 0 if n in flags else everything for n in names], 1)
    _check(piece, lines, names, can, chosen)
    none = np.full(len(lines), np.nan)
    table = {
        attribute: np.stack([computed(path, columns, parts[n]) if n in parts else none for n in names], 1)
        for attribute, parts in attributes.items()
    }
    table |= {
        name: np.repeat(values[:, None], len(names), 1) for name, values in columns.items() if name not in table
    }
    return ChoiceTable(names, table, can, chosen, _groups(piece, group)[rows])


def _chosen(
    path: Path,
    piece: Piece,
    lines: NDArray[np.int64],
    cells: NDArray[np.object_],
    choice: str,
    alternatives: Mapping[str, str],
) -> NDArray[np.int64]:
    """Place of what each row chose."""
    places = {_plain(code): place for place, code in enumerate(alternatives.values())}
    chosen = np.array([places.get(_plain(cell), -1) for cell in cells], np.int64)
    if (chosen < 0).any():
        bad = int((chosen < 0).argmax())
        known = ", ".join(f"{name} ({code})" for name, code in alternatives.items())
        raise DataError(
            f"the table {str(path)!r}, {piece.at(int(lines[bad]))}: {choice} is {_plain(cells[bad])}, which is none "
            f"of the alternatives {known}; leave such rows out"
        )
    return chosen


def _plain(cell: str) -> str:
    """1.0 and 1 are one code."""
    try:
        return f"{float(cell):g}"
    except ValueError:
        return cell


@dataclass(frozen=True)
class _Long:
    """The rows of a long table: its choices, and the place of each row's alternative."""

    piece: Piece
    lines: NDArray[np.int64]
    cases: NDArray[np.int64]
    spots: NDArray[np.int64]
    picks: NDArray[np.bool_]

    def refused(self, row: int, what: str) -> DataError:
        """The error for a row."""
        place = self.piece.at(int(self.lines[row]))
        return DataError(f"the table {str(self.piece.path)!r}, {place}: {what}")


def read_long(
    path: Path,
    *,
    case: str,
    alternative: str,
    choice: str,
    alternatives: Sequence[str] = (),
    formulas: Mapping[str, str] | None = None,
    keep: Keep = "",
    group: str = "",
    available: str = "",
) -> ChoiceTable:
    """A table with a row for each alternative of each choice, such as ModeCanada.

    Args:
        path: the file.
        case: column that is the same for the rows of one choice.
        alternative: column of the alternative's name.
        choice: column that is 1 for what was chosen and 0 for the others.
        alternatives: names in their order; empty for that of their appearance.
        formulas: further columns, such as `ivt + ovt`, by name.
        keep: the rows that are kept.
        group: column of who chose; empty for none.
        available: column or formula that is not 0 where the alternative could be chosen; empty for all rows.

    Raises:
        DataError: a case chose nothing, twice or what was not available, or has an alternative twice; the text names
            its line.
    """
    piece, numbers = _whole(path)
    for name in (case, alternative, choice):
        if name not in piece.columns:
            raise DataError(f"the table {str(path)!r} has no column {name!r}; {near(name, piece.columns)}")
    floats(piece, choice)  # refused with its line where it is not a number
    columns = _numbers(piece)
    columns |= {name: computed(path, columns, text) for name, text in (formulas or {}).items()}
    rows = _rows(path, columns, keep)
    columns = {name: values[rows] for name, values in columns.items()}
    words = _words(piece, alternative)[rows]
    names = tuple(alternatives) or tuple(dict.fromkeys(words.tolist()))
    cases, places = _ranked(_words(piece, case)[rows]), {name: place for place, name in enumerate(names)}
    spots = np.array([places.get(word, -1) for word in words], np.int64)
    own = _Long(piece, numbers[rows], cases, spots, columns[choice] == 1)
    if (spots < 0).any():
        bad = int((spots < 0).argmax())
        raise own.refused(bad, f"{clipped(str(words[bad]))} is none of the alternatives {', '.join(names)}")
    there, picks = _filled(own, int(cases.max()) + 1, names)
    can = there.copy()
    if available:
        can[own.cases, own.spots] = computed(path, columns, available) != 0
    chosen = picks.argmax(1)
    wrong = np.flatnonzero(~can[np.arange(len(can)), chosen])
    if len(wrong):
        row = int(np.flatnonzero((own.cases == wrong[0]) & own.picks)[0])
        raise own.refused(row, f"{names[chosen[wrong[0]]]} was chosen, but was not available; correct that row")
    table = {}
    for name in columns:
        if name not in (alternative, choice):
            table[name] = np.full(there.shape, np.nan)
            table[name][own.cases, own.spots] = columns[name]
    groups = np.zeros(len(can), np.int64)
    groups[own.cases] = _groups(piece, group)[rows] if group else own.cases
    return ChoiceTable(names, table, can, chosen, groups)


def _ranked(cells: NDArray[np.object_]) -> NDArray[np.int64]:
    """A number for every cell, equal for equal ones, in the order of their appearance."""
    known: dict[str, int] = {}
    return np.array([known.setdefault(cell, len(known)) for cell in cells], np.int64)


def _filled(own: _Long, count: int, names: Sequence[str]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which alternatives each case has, and which it chose; refused where that cannot be."""
    there, picks = np.zeros((count, len(names)), bool), np.zeros((count, len(names)), bool)
    for row, (case, spot) in enumerate(zip(own.cases.tolist(), own.spots.tolist(), strict=True)):
        if there[case, spot]:
            raise own.refused(row, f"this case has {names[spot]} twice; correct that row")
        if own.picks[row] and picks[case].any():
            raise own.refused(row, "this case chose twice; correct that row")
        there[case, spot], picks[case, spot] = True, own.picks[row]
    if not picks.any(1).all():
        bad = int((~picks.any(1)).argmax())
        raise own.refused(int(np.flatnonzero(own.cases == bad)[0]), "this case chose nothing; leave it out")
    return there, picks


def _check(
    piece: Piece, lines: NDArray[np.int64], names: Sequence[str], can: NDArray[np.bool_], chosen: NDArray[np.int64]
) -> None:
    right = can[np.arange(len(chosen)), chosen]
    if not right.all():
        bad = int((~right).argmax())
        raise DataError(
            f"the table {str(piece.path)!r}, {piece.at(int(lines[bad]))}: {names[chosen[bad]]} was chosen, but was "
            "not available; correct that row or its column of availability"
        )


def _rows(path: Path, columns: Mapping[str, Floats], keep: Keep) -> NDArray[np.bool_]:
    return kept(path, columns, keep) if isinstance(keep, str) else keep(columns)


def _groups(piece: Piece, name: str) -> NDArray[np.int64]:
    """Who chose, as numbers; a number for every row without a column."""
    if not name:
        return np.arange(len(piece))
    return _ranked(_words(piece, name))


def _words(piece: Piece, name: str) -> NDArray[np.object_]:
    """A column as text.

    Raises:
        DataError: there is none of that name.
    """
    if name not in piece.columns:
        raise DataError(f"the table {str(piece.path)!r} has no column {name!r}; {near(name, piece.columns)}")
    return np.array([str(cell) for cell in piece.columns[name].to_pylist()], object)


def _whole(path: Path) -> tuple[Piece, NDArray[np.int64]]:
    """All rows of a table in one piece, as tables of choices are small, and the number of each: blank lines count."""
    schema: Schema = recognise(path)
    parts = list(pieces(path, schema))
    join = arrow().chunked_array
    columns = {name: join([part.columns[name] for part in parts]).combine_chunks() for name in schema.columns}
    numbers = np.concatenate([np.arange(part.first, part.first + len(part)) for part in parts])
    return Piece(path, 0, parts[0].header, columns), numbers


def _numbers(piece: Piece) -> dict[str, Floats]:
    """All columns that are numbers."""
    columns = {}
    for name in piece.columns:
        try:
            columns[name] = floats(piece, name)
        except DataError:  # a column of words
            continue
    return columns
