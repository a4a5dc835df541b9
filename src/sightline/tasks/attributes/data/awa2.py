"""Animals with Attributes 2 [xian2019zero]: 50 animals, 85 predicates, and pictures in a folder for each class.

Its attributes are of classes; nobody looked at single pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sightline.common.reading import is_there
from sightline.data.photos import SUFFIXES
from sightline.errors import DataError, near
from sightline.tasks.attributes.data.layouts import LAYOUTS, Asked, Layout, refuse_table
from sightline.tasks.attributes.data.lists import number_matrix, numbered_names
from sightline.tasks.attributes.data.splits import frozen
from sightline.tasks.attributes.data.table import AttributeData
from sightline.tasks.attributes.data.vocabulary import Attribute, Scope, Vocabulary

Matrix = Literal["binary", "continuous"]
MISSING = -1.0
"""What stands in the continuous matrix where nobody was asked."""

SCOPES: tuple[tuple[int, Scope], ...] = (
    (18, "object"),  # colours, textures, shapes and sizes
    (33, "part"),
    (64, "abstract"),  # smell, movement, abilities, diet, continents
    (78, "context"),  # habitats
    (85, "abstract"),  # temperament and company
)
"""Last predicate of each stretch of the list, counted from 1, and what it is about."""

PARTS = {
    "longleg": "leg",
    "longneck": "neck",
    **dict.fromkeys(("chewteeth", "meatteeth", "buckteeth", "strainteeth"), "teeth"),
}
"""Parts of predicates 19 to 33 that are not called as the predicate is."""


@dataclass(frozen=True, eq=False)
class AwA2Tables:
    """The tables alone.

    Args:
        classes: names, with blanks.
        folders: names of their folders, as the file has them: with `+`.
        vocabulary: the predicates; each stands alone.
        matrix: how much of each a class has, 0..1; NaN where unknown, [c, a].
    """

    classes: tuple[str, ...]
    folders: tuple[str, ...]
    vocabulary: Vocabulary
    matrix: NDArray[np.float32]


def read_awa2_tables(root: str | Path, *, matrix: Matrix = "binary") -> AwA2Tables:
    """Read `classes.txt`, `predicates.txt` and a matrix; pictures are not needed.

    Args:
        root: the folder.
        matrix: `binary`, with what the continuous matrix marks as missing unknown if that is there too; or
            `continuous`, whose percent become shares.

    Raises:
        DataError: a file is missing, a number is out of range, or the matrix has another shape than the lists.
    """
    root = Path(root)
    if matrix not in ("binary", "continuous"):
        raise DataError(f"AwA2 has no matrix {matrix!r}; {near(matrix, ('binary', 'continuous'))}")
    folders, predicates = numbered_names(root / "classes.txt"), numbered_names(root / "predicates.txt")
    shape = len(folders), len(predicates)
    values = _continuous(root, shape) if matrix == "continuous" else _binary(root, shape)
    names = tuple(folder.replace("+", " ") for folder in folders)
    return AwA2Tables(names, folders, Vocabulary(tuple(map(_word, range(1, shape[1] + 1), predicates))), values)


def read_awa2(root: Path, request: Asked) -> AttributeData:
    """Read tables and pictures; the split of the pictures is Sightline's own, see `frozen`.

    Raises:
        DataError: a table breaks the format, or classes have no pictures.
    """
    refuse_table(root, request)
    tables = read_awa2_tables(root)
    below = [_pictures(root, folder) for folder in tables.folders]
    empty = [name for name, files in zip(tables.classes, below, strict=True) if not files]
    _check_empty(root, empty, len(below), request)
    labels = np.repeat(np.arange(len(below)), [len(files) for files in below])
    files = tuple(file for files in below for file in files)
    names = [file.relative_to(root).as_posix() for file in files]
    nothing = np.zeros((len(files), len(tables.vocabulary)), np.float32)
    notes = ["attributes are those of the class; the split 40/20/40 is Sightline's own, by the names of the pictures"]
    return AttributeData(
        root=root,
        files=files,
        labels=labels,
        classes=tables.classes,
        vocabulary=tables.vocabulary,
        targets=nothing,
        weights=nothing,
        prototypes=tables.matrix,
        split=frozen(names, labels),
        notes=(*notes, *([f"classes without pictures: {', '.join(empty)}"] if empty else [])),
    ).at_class_level()


def _word(number: int, name: str) -> Attribute:
    scope: Scope = next((scope for last, scope in SCOPES if number <= last), "abstract")
    return Attribute(name, name, name, PARTS.get(name, name) if scope == "part" else "", scope)


def _binary(root: Path, shape: tuple[int, int]) -> NDArray[np.float32]:
    path = root / "predicate-matrix-binary.txt"
    values = number_matrix(path, *shape)
    wrong = values[(values != 0) & (values != 1)]
    if len(wrong):
        raise DataError(f"{path} holds {wrong[0]:g}; a binary matrix is made of 0 and 1")
    if is_there(root / "predicate-matrix-continuous.txt", "matrix", error=DataError):
        values[np.isnan(_continuous(root, shape))] = np.nan
    return values.astype(np.float32)


def _continuous(root: Path, shape: tuple[int, int]) -> NDArray[np.float32]:
    path = root / "predicate-matrix-continuous.txt"
    percent = number_matrix(path, *shape)
    percent[percent == MISSING] = np.nan
    low, high = np.nanmin(percent, initial=100), np.nanmax(percent, initial=0)
    if low < 0 or not 1 < high <= 100:
        raise DataError(
            f"{path} holds numbers from {low:g} to {high:g}; expected percent, 0 to 100, or -1 for missing"
        )
    return (percent / 100).astype(np.float32)


def _pictures(root: Path, folder: str) -> list[Path]:
    """Pictures of a class, by name."""
    place = root / "JPEGImages" / folder
    return sorted(file for file in place.iterdir() if file.suffix.lower() in SUFFIXES) if place.is_dir() else []


def _check_empty(root: Path, empty: list[str], classes: int, request: Asked) -> None:
    if len(empty) == classes:
        raise DataError(
            f"{root} has AwA2's tables but no pictures in JPEGImages/CLASS/; unpack them there, or read the tables "
            "alone with read_awa2_tables"
        )
    if empty and not request.incomplete:
        more = f" and {len(empty) - 5} more" if len(empty) > 5 else ""
        raise DataError(
            f"{len(empty)} of {classes} classes have no picture in {root / 'JPEGImages'}: "
            f"{', '.join(empty[:5])}{more}; "
            "unpack them, or go on without with incomplete=True"
        )


LAYOUTS.add("awa2", Layout(("predicates.txt", "predicate-matrix-binary.txt"), read_awa2))
