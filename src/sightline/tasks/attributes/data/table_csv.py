"""Any photos with attributes: one CSV file with a row per picture, and an optional description of its columns.

`file` and `class` are needed; `split`, `x`, `y`, `width`, `height` and `mask` are understood, also in capitals or as
corners; every other column is an attribute. Beside `NAME.csv` may lie `NAME.toml` or `NAME.json`, which says what the
columns are.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from sightline.common import reading
from sightline.common.numbers import real
from sightline.common.reading import is_there, read_json, read_toml
from sightline.data.grouped import check_whole
from sightline.errors import DataError, near
from sightline.tasks.attributes.data.box_columns import BOX, OURS, with_our_names
from sightline.tasks.attributes.data.columns import TYPES, Answers, Column, answers
from sightline.tasks.attributes.data.layouts import LAYOUTS, Asked, Layout, check_pictures, refuse_table
from sightline.tasks.attributes.data.several import Subjects, is_several, several
from sightline.tasks.attributes.data.splits import carved, carved_whole
from sightline.tasks.attributes.data.table import SPLITS, AttributeData, class_means
from sightline.tasks.attributes.data.vocabulary import Scope, Vocabulary

Rows = tuple[tuple[int, dict[str, str]], ...]
"""Number and cells of each row."""
NEEDED = ("file", "class")
DELIMITERS = ",;\t"


def read_table(root: Path, request: Asked) -> AttributeData:
    """Read a folder with one CSV file.

    Raises:
        DataError: there is no header, a row or a cell does not fit, a picture or a mask does not exist.
    """
    refuse_table(root, request)
    path = _table(root)
    table, boxed = with_our_names(reading.read_table(path, error=DataError))
    if request.group_by is not None:
        group = reading.column_named(table, request.group_by, "--group-by", error=DataError)
        request = replace(request, group_by=group)
    rows, cells = table.rows, [row for _, row in table.rows]
    own = several(table, root, request) if is_several(table, request) else _classes(path, table, request)
    labels, classes, split = own.labels, own.classes, own.split
    named = [name for name in table.header if name not in (*OURS, *own.columns, request.group_by)]
    declared = _declared(path, named)
    columns = _attributes(path, rows, declared, split == 0) if declared or not request.mined else []
    nothing = np.zeros((len(rows), 0), np.float32)
    targets = np.concatenate([nothing, *(column.targets for column in columns)], 1)
    weights = np.concatenate([nothing, *(column.weights for column in columns)], 1)
    words = tuple(word for column in columns for word in column.attributes)
    data = AttributeData(
        root=root,
        files=tuple(root / row["file"] for row in cells),
        labels=labels,
        classes=classes,
        vocabulary=Vocabulary(words, tuple(column.attributes[0].group for column in columns if column.exclusive)),
        targets=targets,
        weights=weights,
        prototypes=class_means(targets, weights * (split == 0)[:, None], labels, len(classes)),
        split=split,
        boxes=_boxes(path, rows),
        foreground=_masks(root, rows),
        groups=own.groups,
        notes=(*own.notes, *boxed, *(column.note for column in columns if column.note)),
    )
    check_pictures(data.files, root)
    check_pictures([mask for mask in data.foreground if mask], root, "masks")
    return data


def has_labels(root: Path, labels: tuple[str, ...]) -> bool:
    """Whether the table of a folder gives each picture several labels, or none."""
    return is_several(with_our_names(reading.read_table(_table(root), error=DataError))[0], Asked(labels=labels))


def _table(root: Path) -> Path:
    """The one CSV file, or `attributes.csv` among several."""
    tables = sorted(root.glob("*.csv"))
    preferred = [path for path in tables if path.name == "attributes.csv"]
    if len(tables) > 1 and not preferred:
        raise DataError(f"{root} has {len(tables)} CSV files; call the one to be read attributes.csv")
    if not tables:
        raise DataError(f"{root} has no CSV file with a row per picture")
    return (preferred or tables)[0]


def _classes(path: Path, table: reading.Table, request: Asked) -> Subjects:
    """One class of each picture."""
    _check_header(path, table.header, request)
    _check_rows(path, table.rows)
    cells = [row for _, row in table.rows]
    groups = [] if request.group_by is None else [row[request.group_by] for row in cells]
    classes = tuple(sorted({row["class"] for row in cells}))
    labels = np.array([classes.index(row["class"]) for row in cells], np.int64)
    split = _split(path, table.rows)
    if groups:
        check_whole(groups, [SPLITS[at] for at in split], str(path))
        split = carved_whole(groups, labels, split, share=request.validation, seed=request.seed)
    else:
        split = carved([row["file"] for row in cells], labels, split, share=request.validation, seed=request.seed)
    return Subjects(labels, classes, split, ("class",), _no_split(table.rows), tuple(groups))


def _check_header(path: Path, header: tuple[str, ...], request: Asked) -> None:
    if missing := [name for name in NEEDED if name not in header]:
        columns = ", ".join(header[:6]) or "nothing"
        raise DataError(
            f"{path} needs a header with the columns file and class; {missing[0]} is missing, found {columns}"
        )
    if not request.mined and not set(header) - {*OURS, request.group_by}:
        raise DataError(f"{path} has no column beside {', '.join(header)}; each further column would be an attribute")


def _check_rows(path: Path, rows: Rows) -> None:
    if not rows:
        raise DataError(f"{path} has a header but no row")
    counts = Counter(os.path.normpath(row["file"]) for _, row in rows)
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise DataError(f"{path} names {len(twice)} pictures in several rows, such as {', '.join(twice[:3])}")
    for number, row in rows:
        if not row["file"] or not row["class"]:
            raise DataError(f"{path}, row {number}: the file and the class of a picture cannot be empty")


def _declared(path: Path, names: list[str]) -> dict[str, Column]:
    """What the description beside the table says of its columns."""
    # TOML first, where there are both
    description = next(
        (file for file in (path.with_suffix(".toml"), path.with_suffix(".json")) if _has_description(file)), None
    )
    if description is None:
        return dict.fromkeys(names, Column())
    described = _description(description)
    for name in described:
        if name not in names:
            raise DataError(
                f"{description} describes the column {name!r}, which {path.name} does not have; {near(name, names)}"
            )
    return {name: _column(description, name, described.get(name, {})) for name in names}


def _has_description(path: Path) -> bool:
    return is_there(path, "description of the columns", error=DataError)


def _description(path: Path) -> dict[str, dict[str, Any]]:
    """A table for each described column."""
    reader = read_toml if path.suffix == ".toml" else read_json
    content = reader(path, "description of the columns", error=DataError)
    described = content.get("columns") if isinstance(content, dict) else None
    if not isinstance(described, dict) or not all(isinstance(about, dict) for about in described.values()):
        raise DataError(f"{path} describes no columns; it holds one table `columns.NAME` for each column described")
    return described


def _column(path: Path, name: str, about: dict[str, Any]) -> Column:
    options = [field.name for field in fields(Column)]
    if wrong := [key for key in about if key not in options]:
        raise DataError(f"{path} says {wrong[0]!r} of the column {name!r}; {near(wrong[0], options)}")
    for key, allowed in (("type", TYPES), ("scope", get_args(Scope))):
        if key in about and about[key] not in allowed:
            raise DataError(
                f"{path} gives the column {name!r} the {key} {about[key]!r}; {near(str(about[key]), allowed)}"
            )
    if not isinstance(about.get("order", []), list):
        raise DataError(
            f"{path} gives the column {name!r} an order that is not a list; write a list, lowest value first"
        )
    scope = about.get("scope", "part" if about.get("part") else "object")
    return Column(about.get("type", ""), tuple(map(str, about.get("order", ()))), scope, str(about.get("part", "")))


def _attributes(path: Path, rows: Rows, declared: dict[str, Column], train: NDArray[np.bool_]) -> list[Answers]:
    """All columns that are attributes."""
    try:
        columns = [
            answers(name, [row[name] for _, row in rows], column, train, [number for number, _ in rows])
            for name, column in declared.items()
            if column.type != "ignore"
        ]
    except DataError as problem:
        message = f"{path}: {problem}"
        raise DataError(message) from problem
    if not columns:
        raise DataError(f"{path} has no attribute: every further column is declared as 'ignore'")
    return columns


def _split(path: Path, rows: Rows) -> NDArray[np.int8]:
    """Position in `SPLITS` of every picture; all training without the column."""
    if "split" not in rows[0][1]:
        return np.zeros(len(rows), np.int8)
    for number, row in rows:
        if row["split"] not in SPLITS:
            raise DataError(f"{path}, row {number}: there is no split {row['split']!r}; {near(row['split'], SPLITS)}")
    return np.array([SPLITS.index(row["split"]) for _, row in rows], np.int8)


def _no_split(rows: Rows) -> tuple[str, ...]:
    note = "there is no column `split`: every picture that is not put aside for validation is a training picture"
    return () if "split" in rows[0][1] else (note,)


def _boxes(path: Path, rows: Rows) -> NDArray[np.float64] | None:
    """Boxes of all pictures; NaN where the cells are empty."""
    if not set(BOX) & set(rows[0][1]):
        return None
    boxes = np.full((len(rows), 4), np.nan)
    for at, (number, row) in enumerate(rows):
        cells = [row.get(name, "") for name in BOX]
        box = [value for cell in cells if (value := real(cell)) is not None]
        if any(cells) and len(box) < len(BOX):
            raise DataError(f"{path}, row {number}: a box is four numbers x, y, width, height, not {cells}")
        boxes[at] = box or np.nan
    return boxes


def _masks(root: Path, rows: Rows) -> tuple[Path | None, ...]:
    masks = tuple(root / row["mask"] if row.get("mask") else None for _, row in rows)
    return masks if any(masks) else ()


LAYOUTS.add("table", Layout(("*.csv",), read_table))
