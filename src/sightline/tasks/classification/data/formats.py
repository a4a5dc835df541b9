"""Which pictures lie in a folder, of which class, and which of them are for testing: three layouts of files.

Nothing is decoded here. CIFAR's binary files are read by `cifar_files`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType

from sightline.common.reading import check_listed, column_named, is_there, read_table
from sightline.common.text import printable
from sightline.data.dicom import some_dicom
from sightline.data.grouped import whole_groups
from sightline.data.label_table import FILES, LISTED, NAMES
from sightline.data.photos import find_photos
from sightline.errors import DataError, InputError

TESTS = ("test", "val", "validation", "valid")


@dataclass(frozen=True)
class Listed:
    """Picture files with their classes.

    Args:
        files: pictures, in their order.
        labels: class of each, from 0.
        tests: for each picture, whether it is for testing.
        classes: names, in the order of the labels.
        source: description of the data, in words.
        notes: what a user should know of the split.
        keys: group of each picture where pictures have groups, else its name below the folder.
    """

    files: tuple[Path, ...]
    labels: tuple[int, ...]
    tests: tuple[bool, ...]
    classes: tuple[str, ...]
    source: str
    notes: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()


def list_folder(folder: Path, held_out: float, group_by: str | None = None) -> Listed:
    """The pictures of a folder.

    Args:
        folder: `train/CLASS/*` with `test/CLASS/*` or `val/CLASS/*`; `CLASS/*`; or `labels.csv` beside pictures.
        held_out: share of each class that is tested on where there are no test pictures, chosen by a hash of names.
        group_by: a column of `labels.csv`; pictures that have the same there are tested on together or not at all.

    Raises:
        DataError: there are no classes, or only one, or a class that is never shown in training.
    """
    if is_there(folder / "labels.csv", "table", error=DataError):
        return _split(folder, *_of_table(folder, group_by), held_out)
    if group_by is not None:
        raise DataError(
            f"--group-by {group_by} needs a labels.csv with that column, which {str(folder)!r} does not have; write "
            "one with file, class_name and the column"
        )
    train = folder / "train"
    if not train.is_dir():
        rows, empty = _of_classes(folder, folder)
        return _split(folder, rows, (), held_out, empty)
    rows, empty = _of_classes(train, folder)
    tested = next((folder / name for name in TESTS if (folder / name).is_dir()), None)
    if tested is None:
        return _split(train, rows, (), held_out, empty)
    tests, others = _of_classes(tested, folder)
    return _joined(folder, rows, tests, {**others, **empty})


Rows = list[tuple[Path, str]]
Empty = Mapping[str, str]
"""Folders of classes without a picture, and what is in them instead."""
NONE_EMPTY: Empty = MappingProxyType({})


def _of_classes(folder: Path, whole: Path) -> tuple[Rows, Empty]:
    """Pictures of the subfolders, each a class, and the subfolders without any."""
    inside = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    rows: Rows = []
    empty = {}
    for place in inside:
        try:
            rows += [(path, place.name) for path in find_photos([place])]
        except InputError:
            empty[place.name] = _contents(place)
    if not rows:
        raise DataError(
            f"{str(whole)!r} has no folders of classes with pictures in them; lay it out as train/CLASS/* and "
            "test/CLASS/*, as CLASS/*, as pictures with a labels.csv, or name a folder of CIFAR's binary version"
            f"{some_dicom(folder)}"
        )
    return rows, empty


def _contents(folder: Path) -> str:
    """What is in a folder without pictures, in words."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    if not files:
        return "no file"
    others = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return f"no picture, only {printable(files[0].name)}{others}"


def _of_table(folder: Path, group_by: str | None) -> tuple[Rows, tuple[str, ...]]:
    """Pictures of a `labels.csv` with a column of files and one of classes, and the group of each, if asked for.

    Raises:
        DataError: a column is missing; a row lacks its file or class, or names a picture that is not there or was
            named before.
    """
    table = read_table(folder / "labels.csv", error=DataError, lower=True)
    files, names = (next((c for c in kinds if c in table.header), None) for kinds in (FILES, NAMES))
    if files is None or names is None:
        raise DataError(
            f"{str(table.path)!r} has the columns {', '.join(table.header)}; it needs one of {', '.join(FILES)} and "
            f"one of {', '.join(NAMES)}"
        )
    column = None if group_by is None else column_named(table, group_by, "--group-by", error=DataError)
    if not table.rows:
        raise DataError(f"{str(table.path)!r} has a header but no row; it needs a row for each picture")
    rows = {}
    for number, row in table.rows:
        where = f"{str(table.path)!r}, row {number}"
        if not row[files] or not row[names]:
            raise DataError(f"{where}: the {names if row[files] else files} of a picture cannot be empty")
        path = folder / row[files]
        check_listed(path, where, error=DataError)
        if (place := os.path.abspath(path)) in rows:
            raise DataError(f"{where}: {row[files]!r} stands in two rows; name each picture once")
        rows[place] = path, row[names]
    groups = () if column is None else tuple(row[column] for _, row in table.rows)
    return list(rows.values()), groups


def _split(folder: Path, rows: Rows, groups: Sequence[str], held_out: float, empty: Empty = NONE_EMPTY) -> Listed:
    """By a hash of each picture's name, class by class, so that the split never depends on order or machine."""
    if groups:
        return _of_groups(folder, rows, groups, held_out)
    tests: set[Path] = set()
    for name in {name for _, name in rows}:
        own = sorted((path for path, label in rows if label == name), key=lambda path: _hash(path, folder))
        tests.update(own[: round(held_out * len(own))])
    note = f"{len(tests)} of {len(rows)} pictures are tested on, chosen by a hash of their names, class by class"
    return _listed(folder, rows, [path in tests for path, _ in rows], (note,), empty)


def _of_groups(folder: Path, rows: Rows, groups: Sequence[str], held_out: float) -> Listed:
    """Whole groups are tested on."""
    classes = sorted({name for _, name in rows})
    tests = whole_groups(groups, [classes.index(name) for _, name in rows], held_out)
    counts = len(set(groups)), len({group for group, test in zip(groups, tests, strict=True) if test})
    note = f"{sum(tests)} of {len(rows)} pictures are tested on: {counts[1]} of {counts[0]} whole groups"
    return replace(_listed(folder, rows, tests, (note,)), keys=tuple(groups))


def _joined(folder: Path, train: Rows, tested: Rows, empty: Empty) -> Listed:
    return _listed(folder, train + tested, [False] * len(train) + [True] * len(tested), (), empty)


def _listed(
    folder: Path, rows: Rows, tests: Sequence[bool], notes: tuple[str, ...], empty: Empty = NONE_EMPTY
) -> Listed:
    classes = tuple(sorted({name for _, name in rows}))
    lacking = _left_out(empty, classes)
    if odd := [name for name in classes if printable(name) != name]:
        raise DataError(
            f"{str(folder)!r} has a class called {odd[0]!r}, whose name cannot be shown; rename it with letters"
        )
    if len(classes) < 2:
        raise DataError(
            f"{str(folder)!r} has one class, {classes[0]!r}; a classifier needs two at least: put each class's "
            f"pictures into a folder of its own{f'; {lacking}' if lacking else ''}"
        )
    trained = {name for (_, name), test in zip(rows, tests, strict=True) if not test}
    if lost := [name for name in classes if name not in trained]:
        raise DataError(
            f"{str(folder)!r} has no training picture of {', '.join(map(repr, lost[:4]))}; add some, or remove the "
            "class from the test pictures"
        )
    if not any(tests):
        raise DataError(
            f"{str(folder)!r} leaves no picture to test on; add test/CLASS/*, or ask for a larger --test-share"
        )
    tested = {name for (_, name), test in zip(rows, tests, strict=True) if test}
    if missing := [name for name in classes if name not in tested]:
        notes = (*notes, f"{len(missing)} classes have no test picture: {', '.join(missing[:4])}")
    notes = (*notes, lacking) if lacking else notes
    at = {name: index for index, name in enumerate(classes)}
    return Listed(
        tuple(path for path, _ in rows),
        tuple(at[name] for _, name in rows),
        tuple(tests),
        classes,
        f"{len(rows)} pictures of {len(classes)} classes in {folder.name}",
        notes,
        tuple(_below(path, folder) for path, _ in rows),
    )


def _left_out(empty: Empty, classes: Sequence[str]) -> str:
    """Which folders are no class, as they hold no picture; empty where there are none."""
    lost = [f"{printable(name)!r} ({what})" for name, what in empty.items() if name not in classes]
    if not lost:
        return ""
    named = ", ".join(lost[:LISTED]) + (f" and {len(lost) - LISTED} more" if len(lost) > LISTED else "")
    return f"folders without a picture are left out, so they are no classes: {named}"


def _hash(path: Path, folder: Path) -> str:
    return sha256(os.fsencode(_below(path, folder))).hexdigest()


def _below(path: Path, folder: Path) -> str:
    """The name below the folder, or the way to it from there."""
    below = path.relative_to(folder) if path.is_relative_to(folder) else Path(os.path.relpath(path, folder))
    return below.as_posix()
