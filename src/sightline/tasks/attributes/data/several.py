"""Tables in which a picture may have several labels, or none: a list of labels, or a column of 0 and 1 for each.

The labels are read as `train classify` reads them; every column that is no label is an attribute.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sightline.common.reading import Table
from sightline.data.label_split import split_notes, split_of
from sightline.data.label_table import LISTS, LabelTable, labels_in
from sightline.errors import DataError
from sightline.tasks.attributes.data.layouts import Asked

PLACED = ("x", "y", "width", "height", "mask")
"""Columns that say where the object is."""
PLACES = {"train": 0, "val": 1, "test": 2}


@dataclass(frozen=True, eq=False)
class Subjects:
    """What the pictures of a table are of, and which of them are learnt from.

    Args:
        labels: class of every picture, [n]; or 1, 0 or NaN for each label, [n, c].
        classes: names.
        split: 0 training, 1 validation, 2 test, [n].
        columns: columns that are no attributes.
        notes: what was noticed.
        groups: group of every picture; empty where none are asked for.
    """

    labels: NDArray[Any]
    classes: tuple[str, ...]
    split: NDArray[np.int8]
    columns: tuple[str, ...]
    notes: tuple[str, ...]
    groups: tuple[str, ...] = ()


def is_several(table: Table, request: Asked) -> bool:
    """Whether pictures of a table may have several labels: columns are asked for, or a list stands for a class.

    Example:
        >>> is_several(Table(Path("a.csv"), ("file", "labels", "size"), ()), Asked())
        True
    """
    return bool(request.labels) or ("class" not in table.header and _list(table) is not None)


def several(table: Table, root: Path, request: Asked) -> Subjects:
    """The labels of each picture of a table.

    Raises:
        DataError: as `labels_in` and `split_of` raise, or no column is left for attributes.
    """
    own = labels_in(table, root, request.labels, request.group_by, rest="attributes", known=PLACED)
    if "file" not in table.header:
        raise DataError(f"{table.path} needs a column `file` with the pictures; found {', '.join(table.header[:6])}")
    ours = {"file", "split", *PLACED}
    columns = {*own.columns, request.group_by}
    used = tuple(name for name in table.header if name in columns or name.lower() in ours)
    if len(used) == len(table.header) and not request.mined:
        raise DataError(
            f"{table.path} has labels but no attribute: each column beside {', '.join(table.header)} would be one; "
            "add some, or train without attributes: sightline train classify"
        )
    return replace(subjects(own, request), columns=used)


def subjects(own: LabelTable, request: Asked) -> Subjects:
    """Labels and splits of a table of labels."""
    splits = split_of(own, request.held_out, request.validation)
    return Subjects(
        np.array(own.truth, np.float32),
        own.labels,
        np.array([PLACES[name] for name in splits], np.int8),
        own.columns,
        (*own.notes, *split_notes(own, splits)),
        own.groups,
    )


def _list(table: Table) -> str | None:
    """The column whose cells list labels."""
    return next((name for name in table.header if name.lower() in LISTS), None)
