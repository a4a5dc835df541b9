"""The SUN Attribute data set [patterson2012sun]: scenes, 102 attributes, and the votes of three people for each.

Scenes have no object in front of a background, so no attribute is looked for inside one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sightline.common.reading import check_file
from sightline.errors import DataError
from sightline.tasks.attributes.data.layouts import LAYOUTS, Asked, Layout, check_pictures, refuse_table
from sightline.tasks.attributes.data.splits import frozen
from sightline.tasks.attributes.data.table import AttributeData, class_means
from sightline.tasks.attributes.data.vocabulary import Attribute, Scope, Vocabulary

SCOPES: tuple[tuple[int, Scope], ...] = (
    (35, "abstract"),  # what people do there
    (86, "context"),  # materials, light and surfaces
    (101, "abstract"),  # the shape of the space, and how it feels
)
"""Last attribute of each stretch of the list, counted from 0, and what it is about."""


def read_sun(root: Path, request: Asked) -> AttributeData:
    """Read `attributes.mat`, `images.mat` and `attributeLabels_continuous.mat`.

    A class is the folder of a picture, without the letter that folders are sorted by: `a/airport/ticket/x.jpg` is an
    `airport_ticket`. Targets are the shares of votes. The split is Sightline's own, see `frozen`.

    Raises:
        DataError: a file is missing or no MATLAB file of version 5, the shapes differ, pictures are missing.
    """
    refuse_table(root, request)
    names, paths = _strings(root / "attributes.mat", "attributes"), _strings(root / "images.mat", "images")
    votes = _votes(root / "attributeLabels_continuous.mat", len(paths), len(names))
    kinds = [_class_of(path, root) for path in paths]
    classes = tuple(sorted(set(kinds)))
    labels = np.array([classes.index(kind) for kind in kinds], np.int64)
    targets, weights = np.nan_to_num(votes).astype(np.float32), (~np.isnan(votes)).astype(np.float32)
    split = frozen(paths, labels)
    data = AttributeData(
        root=root,
        files=_files(root, paths),
        labels=labels,
        classes=classes,
        vocabulary=Vocabulary(tuple(_word(at, name) for at, name in enumerate(names))),
        targets=targets,
        weights=weights,
        prototypes=class_means(targets, weights * (split == 0)[:, None], labels, len(classes)),
        split=split,
        notes=("the split 40/20/40 is Sightline's own, by the names of the pictures",),
    )
    check_pictures(data.files, root)
    return data


def _load(path: Path, key: str) -> NDArray[Any]:
    """One variable of a MATLAB file."""
    from scipy.io import loadmat

    check_file(path, "MATLAB file", error=DataError)
    try:
        variables = loadmat(path, variable_names=[key])
    except Exception as problem:  # a parser may raise anything on a damaged file
        raise DataError(
            f"{path} is not a MATLAB file of version 5, or is damaged ({problem}); unpack it again"
        ) from problem
    if key not in variables:
        raise DataError(f"{path} has no variable {key!r}; the SUN Attribute data set has it there")
    return np.asarray(variables[key])


def _strings(path: Path, key: str) -> tuple[str, ...]:
    """A cell array of strings, N x 1 or 1 x N."""
    return tuple(str(np.asarray(cell).squeeze()).strip() for cell in _load(path, key).ravel())


def _votes(path: Path, images: int, attributes: int) -> NDArray[np.float64]:
    votes = _load(path, "labels_cv")
    if votes.shape != (images, attributes):
        raise DataError(f"{path} has votes of shape {votes.shape} for {images} images and {attributes} attributes")
    votes = votes.astype(np.float64)
    shares = votes[~np.isnan(votes)]
    if ((shares < 0) | (shares > 1)).any():
        raise DataError(f"{path} holds votes from {shares.min():g} to {shares.max():g}; expected shares, 0 to 1")
    return votes


def _class_of(path: str, root: Path) -> str:
    """The folders of a path, joined."""
    folders = path.split("/")[:-1]
    if len(folders) > 1 and len(folders[0]) == 1:
        folders = folders[1:]
    if not folders:
        raise DataError(f"{root / 'images.mat'} names {path!r}, which lies in no folder, so its class is not known")
    return "_".join(folders)


def _files(root: Path, paths: tuple[str, ...]) -> tuple[Path, ...]:
    """Pictures lie in `images/`, or beside the tables."""
    place = root / "images" if (root / "images").is_dir() else root
    return tuple(place / path for path in paths)


def _word(at: int, name: str) -> Attribute:
    return Attribute(name, name, name, scope=next((scope for last, scope in SCOPES if at <= last), "abstract"))


LAYOUTS.add("sun", Layout(("attributes.mat", "images.mat"), read_sun))
