"""CUB-200-2011 with its attributes, and the aviary's worlds, which are written in the same layout.

The files are parsed by `sightline.data.cub`; here their rows become targets and weights. Sources:
[wah2011caltech] for the data, [koh2020concept] for certainty as a number.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sightline.common.reading import is_file, is_there
from sightline.data.cub import CubData, read_cub
from sightline.errors import DataError
from sightline.tasks.attributes.data.aviary import aviary_vocabulary
from sightline.tasks.attributes.data.cub_words import cub_vocabulary, unknown_groups
from sightline.tasks.attributes.data.layouts import LAYOUTS, Asked, Layout, check_pictures
from sightline.tasks.attributes.data.lists import number_matrix
from sightline.tasks.attributes.data.splits import carved
from sightline.tasks.attributes.data.table import AttributeData, class_means
from sightline.tasks.attributes.data.vocabulary import Vocabulary
from sightline.worlds.aviary.attributes import PARTS

Floats = NDArray[np.float32]

WEIGHTS = (0.0, 0.0, 0.5, 0.75, 1.0)
"""Weight of an answer by its certainty: 1 not visible, 2 guessing, 3 probably, 4 definitely (0: no row).

The answer itself stays hard. A soft target (present at 0.5, 0.75, 1 and absent at 0.5, 0.25, 0, as concept
bottlenecks have used it) makes "guessing: present" and "guessing: absent" one and the same, pulls the network's
probability towards one half, and does not sum to one over the answers of an exclusive group. A weight lets an unsure
answer count for less.
"""


def read_cub_attributes(root: Path, request: Asked) -> AttributeData:
    """Read a folder in the layout of CUB-200-2011.

    Raises:
        DataError: a file breaks the format, pictures are missing, or nothing says which attributes there are.
    """
    cub = read_cub(root)
    words = _words(cub)
    has_labels = is_there(_labels(root), "list", error=DataError)
    targets, weights, notes = _answers(cub, words) if has_labels else _no_answers(cub)
    train = np.where(cub.train, 0, 2).astype(np.int8)
    split = carved(cub.paths, cub.labels, train, share=request.validation, seed=request.seed)
    training_weights = weights * (split == 0)[:, None]
    table = request.targets == "table" or not has_labels
    data = AttributeData(
        root=root,
        files=tuple(cub.image_path(row) for row in range(len(cub))),
        labels=cub.labels,
        classes=cub.classes,
        vocabulary=words,
        targets=targets,
        weights=weights,
        prototypes=_percent(cub, words)
        if table
        else class_means(targets, training_weights, cub.labels, len(cub.classes)),
        split=split,
        notes=tuple(notes) + _remarks(cub, words, table=table),
        **_places(cub),
    )
    check_pictures(data.files, root)
    return data if has_labels else data.at_class_level()


def _words(cub: CubData) -> Vocabulary:
    """The vocabulary of the folder: the aviary's in a world."""
    if not cub.attributes:
        raise DataError(f"{cub.root} has no attributes.txt; looked in attributes/, in the folder and beside it")
    ours = aviary_vocabulary()
    world = (cub.root / "world.json").is_file() and cub.attributes == ours.names
    return ours if world else cub_vocabulary(cub.attributes)


def _labels(root: Path) -> Path:
    return root / "attributes" / "image_attribute_labels.txt"


def _no_answers(cub: CubData) -> tuple[Floats, Floats, list[str]]:
    shape = len(cub), len(cub.attributes)
    note = "attributes/image_attribute_labels.txt is missing: every picture gets the attributes of its class"
    return np.zeros(shape, np.float32), np.zeros(shape, np.float32), [note]


def _answers(cub: CubData, words: Vocabulary) -> tuple[Floats, Floats, list[str]]:
    """Targets and weights of every image, and what was noticed.

    Raises:
        DataError: images x attributes is not the number of rows.
    """
    _check_whole(cub)
    targets, weights = cub.present.astype(np.float32), np.array(WEIGHTS, np.float32)[cub.certainty]
    notes = [f"{cub.repeated} attribute rows came twice; the last of each counts"] if cub.repeated else []
    for group in words.groups:
        if group.exclusive:
            at = list(group.members)
            answered = (weights[:, at] > 0).any(1)
            # a soft-max has exactly one answer
            wrong = answered & (targets[:, at].sum(1) != 1)
            weights[:, at] *= ~wrong[:, None]
            targets[:, at] *= ~wrong[:, None]
            if wrong.any():
                notes.append(f"{wrong.sum()} images do not have exactly one {group.name}; it is unknown there")
    return targets, weights, notes


def _check_whole(cub: CubData) -> None:
    missing = np.argwhere(cub.certainty == 0)
    if len(missing):
        row, attribute = missing[0]
        raise DataError(
            f"{_labels(cub.root)} has no row for {len(missing)} of "
            f"{cub.certainty.size} pairs of image and attribute, first for image {cub.ids[row]} and attribute "
            f"{attribute + 1}; the file is cut short, or attributes.txt belongs to another data set"
        )


def _percent(cub: CubData, words: Vocabulary) -> Floats:
    """The data set's own table of classes, as shares; NaN where nobody answered an exclusive question.

    Raises:
        DataError: it is missing, has another shape, or is not in percent.
    """
    name = "class_attribute_labels_continuous.txt"
    path = next((p for p in (cub.root / "attributes" / name, cub.root / name) if is_file(p)), None)
    if path is None:
        raise DataError(f"{cub.root} has no {name}, the data set's own table of classes{_beside(cub.root)}")
    percent = number_matrix(path, len(cub.classes), len(cub.attributes))
    if percent.min() < 0 or not 1 < percent.max() <= 100:
        raise DataError(
            f"{path} holds numbers from {percent.min():g} to {percent.max():g}; expected percent, 0 to 100"
        )
    for group in words.groups:
        at = list(group.members)
        if group.exclusive:
            percent[:, at] += np.where(percent[:, at].sum(1, keepdims=True) > 0, 0, np.nan)
    return (percent / 100).astype(np.float32)


def _beside(root: Path) -> str:
    """What to do where the table of classes is not there."""
    if _labels(root).is_file():
        return "; ask for targets='class', which counts the training pictures"
    return ", nor attributes/image_attribute_labels.txt: nothing says which picture has which attribute"


def _remarks(cub: CubData, words: Vocabulary, *, table: bool) -> tuple[str, ...]:
    """What a reader of the table should know."""
    notes = []
    if table:
        notes.append("prototypes are the data set's own, counted over all its pictures, those of the test split too")
    empty = len(cub.classes) - len(np.unique(cub.labels))
    if empty:
        notes.append(f"{empty} of {len(cub.classes)} classes have no picture here")
    if unknown := unknown_groups(words):
        notes.append(
            f"attribute groups that CUB does not have, taken as of the whole object: {', '.join(unknown[:5])}"
        )
    return tuple(notes)


def _places(cub: CubData) -> dict[str, Any]:
    """Boxes, key points and masks."""
    rows = range(len(cub))
    foreground = tuple(cub.mask_path(row) for row in rows)
    part_masks = tuple(cub.mask_path(row, "parts") for row in rows)
    return {
        "boxes": cub.boxes,
        "parts": cub.parts,
        "points": cub.points,
        "foreground": foreground if any(foreground) else (),
        "part_masks": part_masks if any(part_masks) else (),
        "part_ids": PARTS if any(part_masks) else (),
    }


LAYOUTS.add("cub", Layout(("images.txt", "classes.txt", "image_class_labels.txt"), read_cub_attributes))
