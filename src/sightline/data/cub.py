"""A reader of the CUB-200-2011 layout, real or written by the aviary, with all its quirks.

Reads annotation files only; opening pictures is left to the caller. Ids in the files count from 1,
rows here from 0.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sightline.common.numbers import real, whole
from sightline.common.reading import is_file, is_there, read_lines
from sightline.errors import DataError

Rows = dict[int, int]
"""From the id of an image to its row."""


@dataclass(frozen=True, eq=False)
class CubData:
    """The annotations of one folder.

    Args:
        root: the folder with `images.txt`.
        paths: files of the images, below `root/images`.
        ids: numbers of the images, as the tables have them; a subset keeps the ids of the whole, [n].
        labels: class of every image, [n].
        train: whether an image is in the training split, [n].
        boxes: x, y, width, height in pixels, [n, 4].
        classes: names of the classes.
        parts: names of the parts.
        points: x, y, visible of every part, [n, p, 3].
        attributes: names of the attributes; empty where the folder has none.
        present: whether an attribute was seen, [n, a].
        certainty: 1 not visible, 2 guessing, 3 probably, 4 definitely; 0 where there is no row, [n, a].
        repeated: number of attribute rows that came twice (the last one counts).
    """

    root: Path
    paths: tuple[str, ...]
    ids: tuple[int, ...]
    labels: NDArray[np.int64]
    train: NDArray[np.bool_]
    boxes: NDArray[np.float64]
    classes: tuple[str, ...]
    parts: tuple[str, ...]
    points: NDArray[np.float64]
    attributes: tuple[str, ...]
    present: NDArray[np.bool_]
    certainty: NDArray[np.uint8]
    repeated: int

    def __len__(self) -> int:
        """Number of images."""
        return len(self.paths)

    @property
    def known(self) -> NDArray[np.bool_]:
        """Where an attribute label says something: not where the part was not visible, [n, a]."""
        return np.asarray(self.certainty > 1)

    def image_path(self, row: int) -> Path:
        """The picture of an image."""
        return self.root / "images" / self.paths[row]

    def mask_path(self, row: int, kind: str = "foreground") -> Path | None:
        """The mask of an image, `foreground` or `parts`; also finds CUB's own `segmentations`."""
        below = Path(self.paths[row]).with_suffix(".png")
        folders = [self.root / "masks" / kind] + ([self.root / "segmentations"] if kind == "foreground" else [])
        return next((folder / below for folder in folders if is_file(folder / below)), None)


def read_cub(root: str | Path) -> CubData:
    """Read a folder in the layout of CUB-200-2011.

    Attribute rows with six tokens are read by their first four; `attributes.txt` is looked for in
    `attributes/`, in the folder and beside it; part and class names may hold blanks.

    Args:
        root: the folder that holds `images.txt`.

    Raises:
        DataError: a file is missing, a row is malformed, an id is out of range; the text names file and line.
    """
    root = Path(root)
    images = dict(_images(root / "images.txt"))
    rows = {image: row for row, image in enumerate(images)}
    classes = tuple(_names(root / "classes.txt"))
    parts = tuple(_names(root / "parts" / "parts.txt"))
    attributes = _attribute_names(root)
    present, certainty, repeated = _attribute_labels(root, rows, len(attributes))
    return CubData(
        root=root,
        paths=tuple(images.values()),
        ids=tuple(images),
        labels=_column(root / "image_class_labels.txt", rows, len(classes)),
        train=_table(root / "train_test_split.txt", rows, 1)[:, 0] > 0,
        boxes=_table(root / "bounding_boxes.txt", rows, 4),
        classes=classes,
        parts=parts,
        points=_points(root / "parts" / "part_locs.txt", rows, len(parts)),
        attributes=attributes,
        present=present,
        certainty=certainty,
        repeated=repeated,
    )


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines that are not blank."""
    if not is_there(path, "list", error=DataError):
        raise DataError(f"{path} is missing; a folder in the layout of CUB-200-2011 has it")
    yield from read_lines(path, "list", error=DataError)


def _bad(path: Path, number: int, line: str, want: str) -> DataError:
    return DataError(f"{path}, line {number}: expected {want}, found {line[:60]!r}")


def _images(path: Path) -> Iterator[tuple[int, str]]:
    """Ids and paths of the images; ids are whole numbers from 1 that do not repeat."""
    numbers: set[int] = set()
    names: set[str] = set()
    for number, line in _lines(path):
        head, _, name = line.partition(" ")
        image = whole(head)
        if image is None or image < 1 or image in numbers or not name.strip():
            raise _bad(path, number, line, "`id path` with an id from 1 that does not repeat")
        if name.strip() in names:
            raise _bad(path, number, line, "a picture that is not listed twice")
        numbers.add(image)
        names.add(name.strip())
        yield image, name.strip()


def _row_of(image: float, rows: Rows, path: Path, number: int, line: str) -> int:
    """The row of an image id."""
    if image not in rows:
        raise _bad(path, number, line, "an image id that images.txt lists")
    return rows[int(image)]


def _names(path: Path) -> Iterator[str]:
    """Names of a list `id name`, whose ids count 1, 2, 3..."""
    for place, (number, line) in enumerate(_lines(path), 1):
        head, _, name = line.partition(" ")
        if head != str(place) or not name.strip():
            raise _bad(path, number, line, f"`{place} name`")
        yield name.strip()


def _table(path: Path, rows: Rows, columns: int) -> NDArray[np.float64]:
    """Numbers of a list `id a b ...` with one row per image."""
    table = np.full((len(rows), columns), np.nan)
    for number, line in _lines(path):
        values = _numbers(path, number, line, columns + 1)
        row = _row_of(values[0], rows, path, number, line)
        if not np.isnan(table[row]).all():
            raise _bad(path, number, line, "one row for each image")
        table[row] = values[1 : columns + 1]
    missing = np.flatnonzero(np.isnan(table).any(1))
    if len(missing):
        image = list(rows)[missing[0]]
        raise DataError(f"{path} has no row for image {image} ({len(missing)} of {len(rows)} are missing)")
    return table


def _numbers(path: Path, number: int, line: str, least: int) -> list[float]:
    """At least so many numbers of one line."""
    tokens = line.split(None, least)
    row = [value for token in tokens[:least] if (value := real(token)) is not None]
    if len(row) < least:
        raise _bad(path, number, line, f"{least} numbers")
    return row


def _column(path: Path, rows: Rows, classes: int) -> NDArray[np.int64]:
    """Class of every image, from 0."""
    labels = _table(path, rows, 1)[:, 0]
    wrong = np.flatnonzero((labels < 1) | (labels > classes) | (labels % 1 != 0))
    if len(wrong):
        image, label = list(rows)[wrong[0]], labels[wrong[0]]
        raise DataError(f"{path} gives image {image} the class {label:g}; classes.txt has 1 to {classes}")
    return labels.astype(np.int64) - 1


def _points(path: Path, rows: Rows, parts: int) -> NDArray[np.float64]:
    """Part locations, [n, p, 3]; parts without a row are not visible."""
    points = np.zeros((len(rows), parts, 3))
    for number, line in _lines(path):
        image, part, x, y, visible = _numbers(path, number, line, 5)
        if not 1 <= part <= parts or part % 1:
            raise _bad(path, number, line, f"a part from 1 to {parts}")
        points[_row_of(image, rows, path, number, line), int(part) - 1] = x, y, visible
    return points


def _attribute_names(root: Path) -> tuple[str, ...]:
    """Attribute names from any of the three places; none if there is no such file."""
    places = (root / "attributes" / "attributes.txt", root / "attributes.txt", root.parent / "attributes.txt")
    path = next((place for place in places if is_there(place, "list", error=DataError)), None)
    return tuple(_names(path)) if path else ()


def _attribute_labels(root: Path, rows: Rows, attributes: int) -> tuple[NDArray[np.bool_], NDArray[np.uint8], int]:
    """Presence and certainty per image and attribute, and the number of repeated rows, of which the last counts."""
    present, certainty = np.zeros((len(rows), attributes), bool), np.zeros((len(rows), attributes), np.uint8)
    path = root / "attributes" / "image_attribute_labels.txt"
    if not attributes or not is_there(path, "list", error=DataError):
        return present, certainty, 0
    answers = _answers(path, rows, attributes)
    places = answers[:, 0], answers[:, 1]
    present[places] = answers[:, 2] == 1
    certainty[places] = answers[:, 3]
    return present, certainty, len(answers) - int((certainty > 0).sum())


def _answers(path: Path, rows: Rows, attributes: int) -> NDArray[np.int64]:
    """Row, attribute, presence and certainty of every line: all at once, or line by line if one of them is wrong."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of a file without rows
            table = np.loadtxt(path, usecols=range(4), ndmin=2, comments=None, encoding="utf-8").reshape(-1, 4)
    except ValueError:
        return _lines_of_answers(path, rows, attributes)
    low, high = (1, 1, 0, 1), (2.0**53, attributes, 1, 4)
    ids = np.array(sorted(rows))
    nearest = ids[np.searchsorted(ids, table[:, 0]).clip(max=len(ids) - 1)]
    if not ((table >= low) & (table <= high)).all() or (table % 1).any() or (nearest != table[:, 0]).any():
        return _lines_of_answers(path, rows, attributes)
    row_of = np.array([rows[image] for image in ids])
    answers = table.astype(np.int64)
    answers[:, 0], answers[:, 1] = row_of[np.searchsorted(ids, table[:, 0])], answers[:, 1] - 1
    return answers


def _lines_of_answers(path: Path, rows: Rows, attributes: int) -> NDArray[np.int64]:
    """The same slowly, to say which line is wrong.

    Raises:
        DataError: a line is malformed or names something that is not there.
    """
    answers = []
    for number, line in _lines(path):
        image, attribute, presence, sure = _numbers(path, number, line, 4)
        if not (1 <= attribute <= attributes and presence in (0, 1) and sure in (1, 2, 3, 4) and attribute % 1 == 0):
            raise _bad(path, number, line, f"attribute 1-{attributes}, present 0-1, certainty 1-4")
        answers.append((_row_of(image, rows, path, number, line), attribute - 1, presence, sure))
    return np.array(answers, np.int64).reshape(-1, 4)
