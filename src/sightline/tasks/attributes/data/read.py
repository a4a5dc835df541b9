"""The one door to photos with attributes, whatever their layout.

It must not know any layout's files: it asks the registry.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sightline.errors import DataError, near
from sightline.tasks.attributes.data import awa2, coco, cub, sun, table_csv
from sightline.tasks.attributes.data.captions import read_captions
from sightline.tasks.attributes.data.layouts import LAYOUTS, Asked, Targets
from sightline.tasks.attributes.data.lexicon import Lexicon
from sightline.tasks.attributes.data.majority import majority as by_majority
from sightline.tasks.attributes.data.mined import mined as mined_attributes
from sightline.tasks.attributes.data.table import AttributeData

BUILT_IN = (cub, awa2, sun, coco, table_csv)
"""Our readers; importing them registers them."""
TARGETS = ("image", "class", "table")
SEVERAL = ("table", "coco")
"""Layouts in which a picture may have several labels."""


def read_attributes(
    root: str | Path,
    *,
    layout: str = "auto",
    targets: Targets = "image",
    only: Sequence[str] = (),
    majority: int | None = None,
    validation: float = 0.1,
    seed: int = 0,
    incomplete: bool = False,
    group_by: str | None = None,
    mined: Lexicon | None = None,
    labels: Sequence[str] = (),
    held_out: float = 1 / 3,
) -> AttributeData:
    """Read photos with a class, or any number of labels, and attributes each.

    Args:
        root: the folder.
        layout: `cub` (CUB-200-2011, and worlds of the aviary), `awa2`, `sun`, `table` (one CSV file), or what a
            plug-in added; `auto` looks which files are there.
        targets: what a picture's attributes are: its own (`image`; where a data set only has attributes of classes,
            those, and a note says so), the mean of its class's training pictures (`class`), or its class's row in the
            data set's own table (`table`), which may have been counted on test pictures.
        only: names of attributes or of groups, wildcards allowed; empty takes all.
        majority: with a number, every picture gets the vote of its class, and only attributes that so many classes
            have are kept; see `majority`.
        validation: share of each class's training pictures put aside, where there is no validation split yet.
        seed: seed that decides which ones; test pictures are the same for every seed.
        incomplete: whether a class without pictures is noted rather than refused (AwA2).
        group_by: column of a CSV table, such as `patient`: no group of it lies in two splits.
        mined: words by which attributes of each picture are mined from sentences beside the data set, such as
            `BIRDS`; they replace the data set's own attributes. None mines nothing.
        labels: columns of a CSV table, or categories of COCO, that are labels: a picture may have several, or none.
        held_out: share of the pictures with several labels that is tested on, where there is no split yet.

    Returns:
        The annotations. Class prototypes and the scales of numbers are taken from the training split alone.

    Raises:
        DataError: the layout is not known, a file breaks its format, pictures are missing, a name in `only` fits
            nothing.

    Example:
        >>> data = read_attributes("CUB_200_2011", only=["has_bill_*"])  # doctest: +SKIP
    """
    root = Path(root)
    if targets not in TARGETS:
        raise DataError(f"there are no targets {targets!r}; {near(targets, TARGETS)}")
    name = _layout_name(root) if layout == "auto" else layout
    if group_by is not None and name != "table":
        raise DataError(
            f"--group-by {group_by} needs a CSV table with that column, but {root} is in the layout {name!r}; "
            "leave it out"
        )
    if labels and name not in SEVERAL:
        raise DataError(
            f"--label-columns {labels[0]} needs a CSV table or COCO's annotations, but {root} is in the layout "
            f"{name!r}, whose pictures have one class each; leave it out"
        )
    request = Asked(targets, validation, seed, incomplete, group_by, tuple(labels), mined is not None, held_out)
    data = LAYOUTS[name].read(root, request)
    if mined is not None:
        data = mined_attributes(data, read_captions(root, data.files), mined)
    if majority is not None:
        data = by_majority(data, least=majority)
    if targets != "image" and data.level == "image":
        data = data.at_class_level()
    return data.only(data.vocabulary.match(only)) if only else data


def has_labels(root: Path, labels: Sequence[str] = ()) -> bool:
    """Whether the pictures of a folder may have several labels, or none, rather than one class.

    Args:
        root: the folder.
        labels: columns or categories that are called labels.

    Raises:
        DataError: the folder has the files of no layout, or its table cannot be read.
    """
    name = _layout_name(root)
    return name == "coco" or (name == "table" and table_csv.has_labels(root, tuple(labels)))


def _layout_name(root: Path) -> str:
    """The layout whose files are there.

    Raises:
        DataError: there is no such folder, or it has the files of no layout.
    """
    if not root.is_dir():
        raise DataError(f"there is no folder {str(root)!r} to read attributes from; check its path")
    loosest_last = sorted(LAYOUTS, key=lambda name: name == "table")  # any CSV file will do for it
    match = next((name for name in loosest_last if LAYOUTS[name].matches(root)), None)
    if match is None:
        sought = "; ".join(f"{name} ({', '.join(layout.files)})" for name, layout in LAYOUTS.items())
        raise DataError(f"{root} has no known layout; looked for the files of {sought}")
    return match
