"""Columns of a table that are ours, under whatever names people give them: `File`, `Left`, `XMin`, `bbox`.

They are brought under one set of names - `file`, `class`, `split`, `x`, `y`, `width`, `height`, `mask` - before
anything reads them. It knows no file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from sightline.common.numbers import real
from sightline.common.reading import Table

BOX = ("x", "y", "width", "height")
OURS = ("file", "class", "split", *BOX, "mask")
"""Columns that are no attributes."""
SIDES = (("left", "top", "width", "height"), BOX, ("x", "y", "w", "h"))
CORNERS = (("xmin", "ymin", "xmax", "ymax"), ("x1", "y1", "x2", "y2"), ("left", "top", "right", "bottom"))
WHOLE = ("bbox", "boundingbox")
"""One column of four numbers, as in COCO: x, y, width, height."""

Cells = Mapping[str, str]


def with_our_names(table: Table) -> tuple[Table, tuple[str, ...]]:
    """A table whose columns of ours have their own names, and a note where a box was written in another way.

    Args:
        table: as it was read.

    Example:
        >>> from pathlib import Path
        >>> rows = ((2, {"FILE": "a.png", "XMin": "1", "YMin": "2", "XMax": "4", "YMax": "8"}),)
        >>> with_our_names(Table(Path("a.csv"), tuple(rows[0][1]), rows))[0].rows[0][1]
        {'file': 'a.png', 'x': '1', 'y': '2', 'width': '3', 'height': '6'}
    """
    plain = {name: name.lower() for name in table.header if name.lower() in OURS and name.lower() not in table.header}
    table = _renamed(table, plain)
    if set(BOX) <= set(table.header):
        return table, ()
    names = {re.sub(r"[^a-z0-9]", "", name.lower()).removeprefix("bbox") or "bbox": name for name in table.header}
    for words, box in (*((sides, _sides) for sides in SIDES), *((corners, _corners) for corners in CORNERS)):
        if set(words) <= names.keys():
            return _boxed(table, tuple(names[word] for word in words), box)
    own = next((names[word] for word in WHOLE if word in names), None)
    if own is not None and all(not row[own] or _four(row[own]) for _, row in table.rows):
        return _boxed(table, (own,), _sides_of_one)
    return table, ()


def _renamed(table: Table, names: Mapping[str, str]) -> Table:
    """The same table with other names of columns; of two that would be called alike the first is renamed."""
    new: dict[str, str] = {}
    for name, ours in names.items():
        if ours not in new.values():
            new[name] = ours
    rows = tuple((at, {new.get(name, name): cell for name, cell in row.items()}) for at, row in table.rows)
    return replace(table, header=tuple(new.get(name, name) for name in table.header), rows=rows)


def _boxed(
    table: Table, names: tuple[str, ...], box: Callable[[tuple[str, ...]], tuple[str, ...]]
) -> tuple[Table, tuple[str, ...]]:
    """The table with the four columns of a box in the place of those that hold it."""
    header = (*(name for name in table.header if name not in (*names, *BOX)), *BOX)
    rows = tuple(
        (at, {**{name: row[name] for name in header if name not in BOX}, **_named(box, row, names)})
        for at, row in table.rows
    )
    return replace(table, header=header, rows=rows), (f"boxes are read from {', '.join(names)}",)


def _named(box: Callable[[tuple[str, ...]], tuple[str, ...]], row: Cells, names: tuple[str, ...]) -> dict[str, str]:
    return dict(zip(BOX, box(tuple(row[name] for name in names)), strict=True))


def _sides(cells: tuple[str, ...]) -> tuple[str, ...]:
    return cells


def _corners(cells: tuple[str, ...]) -> tuple[str, ...]:
    """Corner and sides of two corners; what is no number stays, for the error text."""
    left, top, right, bottom = (real(cell) for cell in cells)
    if left is None or top is None or right is None or bottom is None:
        return cells
    return cells[0], cells[1], f"{right - left:.12g}", f"{bottom - top:.12g}"


def _four(cell: str) -> list[str]:
    """Four numbers in a cell, with or without brackets; nothing where there are others."""
    parts = [part for part in re.split(r"[\s,;|]+", cell.strip("[](){} ")) if part]
    return parts if len(parts) == len(BOX) and all(real(part) is not None for part in parts) else []


def _sides_of_one(cells: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_four(cells[0])) or ("",) * len(BOX)
