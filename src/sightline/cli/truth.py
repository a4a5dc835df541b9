"""The true classes of photos: from a table, or from the names of their folders; and whether a decision is right.

It knows no network: a decision comes as an index and a label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from sightline.common.reading import read_table
from sightline.data.classes import folded_name
from sightline.errors import InputError, TargetError, near

FOLDERS = "folders"
"""What the option is where a photo's folder is its class."""
IMAGES = ("image", "file", "filename", "path", "photo")
LABELS = ("label", "class", "class_name", "name", "class_index")


def truths_of(photos: Sequence[Path], where: str | None) -> dict[Path, str]:
    """The true class of every photo that has one.

    Args:
        photos: files.
        where: `folders`, a CSV file with a column of images and one of labels, or None.

    Raises:
        InputError: the file cannot be read, lacks a column, or knows none of the photos.
    """
    if where is None:
        return {}
    if where == FOLDERS:
        return {photo: photo.absolute().parent.name for photo in photos}
    rows = _rows(Path(where))
    named: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    for image, label in rows.items():
        parts = PurePosixPath(image.replace("\\", "/")).parts
        named.setdefault(parts[-1] if parts else "", []).append((parts, label))
    truths = {photo: own for photo in photos if (own := _label(photo, named.get(photo.name, []))) is not None}
    if not truths:
        raise InputError(
            f"--truth {where!r} names none of the {len(photos)} photos, such as {photos[0].name!r}; its first image "
            f"is {next(iter(rows), '')!r}"
        )
    return truths


def is_right(truth: str, index: int | None, label: str, labels: Sequence[str] | None) -> bool | None:
    """Whether a decision names the true class; None where the network has no such class.

    Args:
        truth: name or index of the true class.
        index: class that was decided; None if it has no index.
        label: what it is called.
        labels: names of all classes, if they are known.
    """
    from sightline.targets.names import class_index

    if folded_name(truth) == folded_name(label):
        return True
    try:
        return class_index(truth, labels) == index
    except TargetError:
        known = {folded_name(name) for name in labels or ()}
        return False if folded_name(truth) in known else None


def _rows(path: Path) -> Mapping[str, str]:
    """Labels by image, as the table has them."""
    table = read_table(path, "truth file", lower=True)
    image = next((name for name in IMAGES if name in table.header), None)
    label = next((name for name in LABELS if name in table.header), None)
    if image is None or label is None:
        raise InputError(
            f"--truth {str(path)!r} needs a column of images (image) and one of true classes (label); its header is "
            f"{', '.join(table.header)}"
        )
    return {row[image]: row[label] for _, row in table.rows if row[image] and row[label]}


def _label(photo: Path, rows: Sequence[tuple[tuple[str, ...], str]]) -> str | None:
    """The label of the image whose path ends the photo's, or of the only one that has its name.

    Args:
        photo: a file.
        rows: paths and labels of the images that have its name.
    """
    whole = photo.absolute().parts
    ends = [row for row in rows if whole[-len(row[0]) :] == row[0]]
    if ends:
        return max(ends, key=lambda row: len(row[0]))[1]
    return rows[0][1] if len({label for _, label in rows}) == 1 else None


def masks_of(photos: Sequence[Path], where: Path | None) -> dict[Path, Path]:
    """For each photo the picture of where the object is: a file for one photo, or a folder with a mask of each name.

    Raises:
        InputError: there is no mask for a photo, or one file for several.
    """
    if where is None:
        return {}
    if not where.is_dir():
        if not where.is_file():
            raise InputError(f"--masks names {str(where)!r}, which is neither a file nor a folder")
        if len(photos) != 1:
            raise InputError(
                f"--masks names one file for {len(photos)} photos; give a folder with a mask of each photo's name"
            )
        return {photos[0]: where}
    files = {path.stem: path for path in sorted(where.iterdir()) if path.is_file()}
    missing = [photo for photo in photos if photo.stem not in files]
    if missing:
        raise InputError(
            f"{str(where)!r} holds no mask of the name {missing[0].stem!r} for {str(missing[0])!r}; "
            f"{near(missing[0].stem, files)}"
        )
    return {photo: files[photo.stem] for photo in photos}
