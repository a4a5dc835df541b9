"""The layouts in which photos with attributes are found, and what all their readers share.

Knows no layout: each reader registers itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sightline.common.reading import is_file
from sightline.errors import DataError
from sightline.registry import Registry
from sightline.tasks.attributes.data.table import AttributeData

Targets = Literal["image", "class", "table"]


@dataclass(frozen=True)
class Asked:
    """What every reader is asked for.

    Args:
        targets: `image`, `class` or `table`; a reader looks at the last only: prototypes from the data set's own
            table.
        validation: share of the training pictures put aside where the data set has no validation split.
        seed: seed that decides which ones.
        incomplete: whether a class without pictures is noted rather than refused, where a folder holds all classes.
        group_by: column of a table; no group of it lies in two splits.
        labels: columns of a table, or categories, that are labels of which a picture may have several; empty takes a
            list of labels, or the classes.
        mined: whether attributes will be mined from sentences, so that a table needs none.
        held_out: share of the pictures that is tested on where pictures with several labels have no split.
    """

    targets: Targets = "image"
    validation: float = 0.1
    seed: int = 0
    incomplete: bool = False
    group_by: str | None = None
    labels: tuple[str, ...] = ()
    mined: bool = False
    held_out: float = 1 / 3


@dataclass(frozen=True)
class Layout:
    """A layout.

    Args:
        files: names, with wildcards, of which a folder in this layout has all; they are how it is known. A bar
            separates names of which one is enough.
        read: its reader.
    """

    files: tuple[str, ...]
    read: Callable[[Path, Asked], AttributeData]

    def matches(self, root: Path) -> bool:
        """Whether a folder has this layout's files."""
        return all(any(any(root.glob(one)) for one in name.split("|")) for name in self.files)


LAYOUTS: Registry[Layout] = Registry("layout", group="sightline.layouts", error=DataError)
"""Tried in this order where none is named, `table` last."""


def check_pictures(files: Sequence[Path], root: Path, what: str = "pictures") -> None:
    """Refuse a data set whose pictures are not there.

    Raises:
        DataError: some are missing; the text counts them and names three.
    """
    missing = [file for file in files if not is_file(file)]
    if missing:
        below = [file.relative_to(root) if root in file.parents else file for file in missing[:3]]
        examples = ", ".join(file.as_posix() for file in below)
        raise DataError(
            f"{root} lacks {len(missing)} of {len(files)} {what} that its tables name, such as {examples}; "
            "unpack the pictures there, or correct the tables"
        )


def refuse_table(root: Path, request: Asked) -> None:
    """Say that a layout has no table of classes beside the pictures' own attributes.

    Raises:
        DataError: such a table was asked for.
    """
    if request.targets == "table":
        raise DataError(f"{root} has no table of classes of its own to take targets='table' from; ask for 'class'")
