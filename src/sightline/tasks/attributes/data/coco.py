"""COCO's annotations: each picture has the categories that are marked in it as labels, and its sentences' attributes.

Three places are known: `annotations/instances_*.json`, `instances*.json` beside the pictures' folder, and a
`_annotations.coco.json` in each of `train`, `valid` and `test`. COCO has no attributes; sentences have them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sightline.common.reading import is_file, read_json
from sightline.data.label_table import LISTED, LabelTable, learnable
from sightline.errors import DataError, near
from sightline.tasks.attributes.data.layouts import LAYOUTS, Asked, Layout, refuse_table
from sightline.tasks.attributes.data.several import subjects
from sightline.tasks.attributes.data.table import AttributeData
from sightline.tasks.attributes.data.vocabulary import Vocabulary

PLACES = ("annotations/instances*.json", "instances*.json", "*/_annotations.coco.json")
LEAST = 10
"""Categories of fewer pictures are left out, unless they are asked for."""
WORDS = {"train": "train", "test": "test", "val": "val"}


@dataclass(frozen=True)
class Photo:
    """A picture of COCO.

    Args:
        file: the picture.
        labels: its categories.
        split: `train`, `val`, `test`, or nothing where its file does not say.
    """

    file: Path
    labels: frozenset[str]
    split: str


def read_coco(root: Path, request: Asked) -> AttributeData:
    """Read a folder with COCO's annotations of objects.

    Raises:
        DataError: a file has another form, no picture is there, or attributes are not to be mined.
    """
    refuse_table(root, request)
    if not request.mined:
        raise DataError(
            f"{root} has COCO's annotations, which have labels but no attributes; mine some from its captions with "
            "--attributes mined --word-list WORDS.toml, or train without: sightline train classify"
        )
    photos, lost = _photos(root)
    names = _chosen(photos, request)
    rows = tuple(tuple(float(name in photo.labels) for name in names) for photo in photos)
    names, rows, notes = learnable(names, rows, str(root))
    table = LabelTable(
        files=tuple(photo.file for photo in photos),
        labels=names,
        truth=rows,
        splits=_splits(photos),
        names=tuple(photo.file.relative_to(root).as_posix() for photo in photos),
    )
    own = subjects(table, request)
    nothing = np.zeros((len(photos), 0), np.float32)
    return AttributeData(
        root=root,
        files=table.files,
        labels=own.labels,
        classes=own.classes,
        vocabulary=Vocabulary(()),
        targets=nothing,
        weights=nothing,
        prototypes=np.zeros((len(own.classes), 0), np.float32),
        split=own.split,
        notes=(*lost, *notes, *_rare(photos, names), *own.notes),
    )


def _photos(root: Path) -> tuple[list[Photo], tuple[str, ...]]:
    """The pictures that are there, and a note where some are not."""
    tables = [path for place in PLACES for path in sorted(root.glob(place))]
    listed = [photo for path in tables for photo in _of_file(root, path)]
    photos = [photo for photo in listed if photo.file.name]
    if not photos:
        raise DataError(
            f"none of the {len(listed)} pictures that COCO's annotations in {root} name is there; unpack them beside "
            "the annotations, in images, or in a folder such as train2017"
        )
    missing = len(listed) - len(photos)
    note = f"{missing} of {len(listed)} pictures that the annotations name are not there and are left out"
    return photos, (note,) if missing else ()


def _of_file(root: Path, path: Path) -> Iterator[Photo]:
    content = read_json(path, "COCO's annotations", error=DataError)
    try:
        names = {one["id"]: str(one["name"]) for one in content["categories"]}
        labels: dict[Any, set[str]] = defaultdict(set)
        for one in content["annotations"]:
            labels[one["image_id"]].add(names[one["category_id"]])
        pictures = [(one["id"], str(one["file_name"])) for one in content["images"]]
    except (KeyError, TypeError, AttributeError) as problem:
        raise DataError(
            f"{path} is not in COCO's form: it needs images (id, file_name), annotations (image_id, category_id) and "
            "categories (id, name)"
        ) from problem
    stem = path.stem.removeprefix("instances").strip("_")
    own = stem if stem and "annotations" not in stem else path.parent.name
    folders = [root, root / "images", root / stem, root / "images" / stem, path.parent]
    split = next((value for word, value in WORDS.items() if own.lower().startswith(word)), "")
    for key, name in pictures:
        file = next((folder / name for folder in folders if is_file(folder / name)), Path())
        yield Photo(file, frozenset(labels[key]), split)


def _chosen(photos: list[Photo], request: Asked) -> tuple[str, ...]:
    """Categories that are labels: those that are asked for, or those of enough pictures."""
    counts = Counter(name for photo in photos for name in photo.labels)
    if lost := [name for name in request.labels if name not in counts]:
        raise DataError(f"--label-columns {lost[0]}: no picture has this category; {near(lost[0], counts)}")
    names = request.labels or tuple(sorted(name for name, count in counts.items() if count >= LEAST))
    if not names:
        raise DataError(
            f"no category is marked in {LEAST} pictures or more; name the ones to learn with --label-columns, or add "
            "pictures"
        )
    return names


def _rare(photos: list[Photo], names: tuple[str, ...]) -> tuple[str, ...]:
    """A note of categories that are no labels."""
    others = sorted({name for photo in photos for name in photo.labels} - set(names))
    more = " and more" if len(others) > LISTED else ""
    note = f"{len(others)} categories are not among the labels: {', '.join(others[:LISTED])}{more}"
    return (note,) if others else ()


def _splits(photos: list[Photo]) -> tuple[str, ...]:
    """Splits by the files' names; the validation pictures judge where there are no test pictures, as is usual."""
    named = {photo.split for photo in photos}
    if not {"train", "val", "test"} & named or not named <= {"train", "val", "test"} or "train" not in named:
        return ()
    return tuple("test" if photo.split == "val" and "test" not in named else photo.split for photo in photos)


LAYOUTS.add("coco", Layout(("|".join(PLACES),), read_coco))
