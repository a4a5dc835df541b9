"""`LabelTable`: which pictures a `labels.csv` names, and which labels each has, has not, or may have.

Two forms are read: a column `labels` whose cells list labels, and a column of 0, 1 or nothing for each label. "No
finding" is said, never guessed: by these words in a list, by a row of zeros, or by a column of that name.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from sightline.common.reading import Table, check_listed, column_named, is_there, read_table
from sightline.common.text import printable
from sightline.errors import DataError, near

TABLE = "labels.csv"
FILES, NAMES = ("file", "path", "filename", "image"), ("class_name", "class", "name", "label")
"""Columns that name a picture, and its class."""
LISTS = ("labels", "findings", "finding labels")
"""Columns whose cells list labels."""
NONE = ("no finding", "no findings", "no label", "none")
"""Words for a picture that was looked at and has no label."""
SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
VALUES = {"0": 0.0, "1": 1.0, "0.0": 0.0, "1.0": 1.0, "": math.nan, "-1": math.nan, "-1.0": math.nan}
"""Cells of a label's own column; -1 is how some radiology sets write "uncertain"."""
LISTED = 4
"""Most names that a sentence lists."""


@dataclass(frozen=True)
class LabelTable:
    """Pictures and their labels.

    Args:
        files: pictures, in the order of the rows.
        labels: names.
        truth: for each picture and label 1, 0, or NaN where that is unknown.
        groups: group of each picture; empty where none are asked for.
        splits: `train`, `val` or `test` of each; empty where the table does not say.
        notes: what a user should know of the reading.
        names: the pictures as the table names them, by which their place in a split is decided.
        columns: columns that labels were read from.
    """

    files: tuple[Path, ...]
    labels: tuple[str, ...]
    truth: tuple[tuple[float, ...], ...]
    groups: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()


def is_multilabel(folder: Path, labels: Sequence[str] = ()) -> bool:
    """Whether a folder's `labels.csv` gives each picture any number of labels rather than one class.

    Args:
        folder: any path.
        labels: columns that the user calls labels; with some it always is.

    Raises:
        DataError: the table cannot be read.
    """
    if not folder.is_dir() or not is_there(folder / TABLE, "table", error=DataError):
        return False
    table = read_table(folder / TABLE, error=DataError)
    lower = {name.lower() for name in table.header}
    if labels or lower & set(LISTS):
        return True
    own = next((name for name in table.header if name.lower() in NAMES), None)
    if own is not None:
        return any(";" in row[own] or "|" in row[own] for _, row in table.rows)
    return bool(_flags(table, ()))


def read_labels(folder: Path, labels: Sequence[str] = (), group_by: str | None = None) -> LabelTable:
    """The pictures and labels of a folder's `labels.csv`.

    Args:
        folder: folder of the table, from which file names count.
        labels: columns that are labels, or labels of the lists; empty takes all.
        group_by: column of the groups.

    Raises:
        DataError: a column is missing, a cell is not understood, a picture is not there or stands in two rows, or
            fewer pictures than two or no label are left.
    """
    return labels_in(read_table(folder / TABLE, error=DataError), folder, labels, group_by)


def labels_in(
    table: Table,
    folder: Path,
    labels: Sequence[str] = (),
    group_by: str | None = None,
    *,
    rest: str = "not read",
    known: Collection[str] = (),
) -> LabelTable:
    """The pictures and labels of a table.

    Args:
        table: its rows.
        folder: folder from which file names count.
        labels: columns that are labels, or labels of the lists; empty takes all.
        group_by: column of the groups.
        rest: what a note calls the other columns.
        known: columns, in small letters, that the note leaves out: somebody else reads them, such as boxes.

    Raises:
        DataError: as `read_labels` raises.
    """
    columns = {name.lower(): name for name in table.header}
    file = next((columns[name] for name in FILES if name in columns), None)
    if file is None:
        raise DataError(
            f"{str(table.path)!r} has the columns {', '.join(table.header)}; it needs one of {', '.join(FILES)}"
        )
    if not table.rows:
        raise DataError(f"{str(table.path)!r} has a header but no row; it needs a row for each picture")
    group = None if group_by is None else column_named(table, group_by, "--group-by", error=DataError)
    split = columns.get("split")
    names, truth, used = _truth(table, labels, [name for name in (file, group, split) if name])
    listed = not set(names) <= set(used)
    names, truth, lost = learnable(names, truth, str(table.path))
    others = [name for name in table.header if name not in (*used, file, group, split) and name.lower() not in known]
    return LabelTable(
        files=_files(folder, table, file),
        labels=names,
        truth=truth,
        groups=() if group is None else tuple(row[group] for _, row in table.rows),
        splits=() if split is None else _splits(table, split),
        notes=(*(() if listed else _columns_note(used, others, rest)), *lost, *_remarks(truth)),
        names=tuple(row[file] for _, row in table.rows),
        columns=used,
    )


def _columns_note(used: Sequence[str], others: Sequence[str], rest: str) -> tuple[str, ...]:
    """Which columns are labels, where each has one of its own."""
    names = [name for name in used if _plain(name) not in NONE]
    return (f"labels are the columns {_some(names)}" + (f"; {rest}: {_some(others)}" if others else ""),)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:LISTED]) + (" and more" if len(names) > LISTED else "")


Truth = tuple[tuple[float, ...], ...]


def _truth(
    table: Table, labels: Sequence[str], taken: Sequence[str]
) -> tuple[tuple[str, ...], Truth, tuple[str, ...]]:
    """Names of the labels, what each row says of them, and the columns that say it."""
    lists = next((name for name in table.header if name.lower() in (*LISTS, *NAMES) and name not in taken), None)
    flags = _flags(table, taken)
    if labels and all(name in table.header for name in labels):
        return _of_columns(table, tuple(labels))
    if lists is not None:
        return _of_lists(table, lists, labels)
    if labels:
        lost = next(name for name in labels if name not in table.header)
        raise DataError(f"--label-columns {lost}: {str(table.path)!r} has no such column; {near(lost, table.header)}")
    if not flags:
        raise DataError(
            f"{str(table.path)!r} has no labels: it needs a column `labels` that lists them (cat;dog), or a column "
            "of 0, 1 or nothing for each"
        )
    return _of_columns(table, flags)


def _of_lists(table: Table, column: str, wanted: Sequence[str]) -> tuple[tuple[str, ...], Truth, tuple[str, ...]]:
    """Labels from cells that list them."""
    cells = []
    for number, row in table.rows:
        own = [part.strip() for part in re.split(r"[;|]", row[column]) if part.strip()]
        empty = [part for part in own if part.lower() in NONE]
        if not own:
            raise DataError(
                f"{str(table.path)!r}, row {number}: the labels are empty; write 'no finding' where the picture has "
                "none, or leave the row out where they are unknown"
            )
        if empty and len(own) > len(empty):
            raise DataError(f"{str(table.path)!r}, row {number}: {row[column]!r} is {empty[0]!r} and a label at once")
        cells.append(frozenset(own) - frozenset(empty))
    every = sorted(frozenset().union(*cells))
    if lost := [name for name in wanted if name not in every]:
        raise DataError(
            f"--label-columns {lost[0]}: no picture of {str(table.path)!r} has it; {near(lost[0], every)}"
        )
    names = tuple(wanted or every)
    return names, tuple(tuple(float(name in own) for name in names) for own in cells), (column,)


def _of_columns(table: Table, names: tuple[str, ...]) -> tuple[tuple[str, ...], Truth, tuple[str, ...]]:
    """Labels from a column each; a column for no finding makes zeros of what is blank in its rows."""
    clear = next((name for name in table.header if _plain(name) in NONE), None)
    names = tuple(name for name in names if name != clear)
    rows = []
    for number, row in table.rows:
        where = f"{str(table.path)!r}, row {number}"
        values = [_value(row[name], name, where) for name in names]
        if clear is not None and _value(row[clear], clear, where) == 1:
            if 1.0 in values:
                raise DataError(f"{where}: {clear!r} is 1, and so is {names[values.index(1.0)]!r}; one is wrong")
            values = [0.0] * len(values)
        rows.append(tuple(values))
    return names, tuple(rows), names if clear is None else (*names, clear)


def _flags(table: Table, taken: Sequence[str]) -> tuple[str, ...]:
    """Columns of 0, 1 and nothing."""
    own = [name for name in table.header if name not in taken and name.lower() not in (*FILES, "split")]
    cells = {name: {row[name] for _, row in table.rows} for name in own}
    return tuple(name for name in own if cells[name] <= set(VALUES) and cells[name] - {""})


def _value(cell: str, name: str, where: str) -> float:
    if cell not in VALUES:
        raise DataError(f"{where}: {name!r} is {cell!r}; a label's cell is 1, 0, or empty where that is unknown")
    return VALUES[cell]


def learnable(names: tuple[str, ...], truth: Truth, where: str) -> tuple[tuple[str, ...], Truth, tuple[str, ...]]:
    """The labels that some pictures have and some have not, their columns, and a note of the others.

    Args:
        names: labels.
        truth: of each picture.
        where: what they were read from, for the error text.

    Raises:
        DataError: no label is left, or the name of one cannot be shown.
    """
    if odd := [name for name in names if printable(name) != name]:
        raise DataError(f"{where} has a label called {odd[0]!r}, whose name cannot be shown; rename it with letters")
    own = [{row[at] for row in truth} >= {0.0, 1.0} for at in range(len(names))]
    lost = [name for name, usable in zip(names, own, strict=True) if not usable]
    if not any(own):
        raise DataError(
            f"{where} has no label that some pictures have and some have not, so there is nothing to learn; add "
            "pictures without a label ('no finding', or rows of zeros)"
        )
    kept = tuple(name for name, usable in zip(names, own, strict=True) if usable)
    rows = tuple(tuple(value for value, usable in zip(row, own, strict=True) if usable) for row in truth)
    note = f"{len(lost)} labels are left out, as all known pictures agree on them: {', '.join(lost[:LISTED])}"
    return kept, rows, (note,) if lost else ()


def _remarks(truth: Truth) -> tuple[str, ...]:
    """How many pictures have no finding, and how much is unknown."""
    cells = [value for row in truth for value in row]
    unknown = sum(map(math.isnan, cells))
    clear = sum(all(value == 0 for value in row) for row in truth)
    notes = [f"{clear} of {len(truth)} pictures have no finding: all their labels are known to be absent"]
    notes += [f"{unknown} of {len(cells)} entries are unknown and left out of loss and figures"] if unknown else []
    return tuple(notes)


def _files(folder: Path, table: Table, column: str) -> tuple[Path, ...]:
    """The pictures, each there and in one row."""
    places: dict[str, Path] = {}
    for number, row in table.rows:
        where = f"{str(table.path)!r}, row {number}"
        if not row[column]:
            raise DataError(f"{where}: the {column} of a picture cannot be empty")
        path = folder / row[column]
        check_listed(path, where, error=DataError)
        if (place := os.path.abspath(path)) in places:
            raise DataError(f"{where}: {row[column]!r} stands in two rows; name each picture once")
        places[place] = path
    return tuple(places.values())


def _splits(table: Table, column: str) -> tuple[str, ...]:
    for number, row in table.rows:
        if row[column].lower() not in SPLITS:
            raise DataError(
                f"{str(table.path)!r}, row {number}: there is no split {row[column]!r}; {near(row[column], SPLITS)}"
            )
    return tuple(SPLITS[row[column].lower()] for _, row in table.rows)


def _plain(name: str) -> str:
    return name.lower().replace("_", " ")
