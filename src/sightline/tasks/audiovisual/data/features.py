"""AVE's feature files: HDF5 with sound `[n, t, d]`, pictures `[n, t, y, x, d]`, labels `[n, t, k]` and the order."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sightline.common.reading import check_file
from sightline.errors import DataError, MissingExtraError

CLASSES = 29
"""AVE's 28 events and, last, background."""


@dataclass(frozen=True, eq=False)
class AveFeatures:
    """Features and labels of clips.

    Args:
        sound: `[n, t, d]`.
        labels: `[n, t, k]` or, where a clip has one label, `[n, k]`.
        picture: `[n, t, y, x, d]`; None where there is no such file.
        order: rows of a split; None for all of them.
    """

    sound: NDArray[np.float32]
    labels: NDArray[np.float32]
    picture: NDArray[np.float32] | None = None
    order: NDArray[np.int64] | None = None


def read_ave_features(
    sound: str | Path, labels: str | Path, *, picture: str | Path | None = None, order: str | Path | None = None
) -> AveFeatures:
    """Read AVE's HDF5 files [tian2018audio].

    Raises:
        MissingExtraError: h5py is not installed.
        DataError: a file is missing or damaged, features and labels are not of the same clips, or the labels are of
            another list of classes.
    """
    features, known = _array(sound, "avadataset", np.float32), _array(labels, "avadataset", np.float32)
    images = None if picture is None else _array(picture, "avadataset", np.float32)
    rows = None if order is None else _array(order, "order", np.int64)
    for name, other in ((sound, features), (picture, images)):
        if other is not None and len(other) != len(known):
            raise DataError(f"{str(name)!r} holds {len(other)} clips, but {str(labels)!r} has labels of {len(known)}")
    if known.shape[-1] != CLASSES:
        raise DataError(f"{str(labels)!r} has {known.shape[-1]} classes, and AVE {CLASSES}; they are of another list")
    if images is not None and images.shape[1] != features.shape[1]:
        raise DataError(
            f"{str(picture)!r} has {images.shape[1]} seconds of each clip, and {str(sound)!r} {features.shape[1]}"
        )
    return AveFeatures(features, known, images, rows)


def read_order(path: str | Path, count: int) -> NDArray[np.int64]:
    """Rows of a split of AVE.

    Args:
        path: an HDF5 file with `order`.
        count: clips that there are.

    Raises:
        DataError: the file is missing or damaged, or names a clip that is not there.
    """
    rows: NDArray[np.int64] = _array(path, "order", np.int64)
    if len(rows) and (rows.min() < 0 or rows.max() >= count):
        raise DataError(
            f"{str(path)!r} names clip {int(rows.max())}, but there are features of {count}; they are of another set"
        )
    return rows


def _array(path: str | Path, key: str, kind: Any) -> NDArray[Any]:
    path = Path(path)
    check_file(path, "feature file", error=DataError)
    try:
        import h5py
    except ModuleNotFoundError as problem:
        raise MissingExtraError("h5py", "features", "reading features") from problem
    try:
        with h5py.File(path, "r") as file:
            if key not in file:
                names = ", ".join(file) or "nothing"
                raise DataError(f"the feature file {str(path)!r} has no {key!r}; it holds {names}")
            array = np.asarray(file[key], kind)
    except OSError as problem:
        raise DataError(
            f"the feature file {str(path)!r} is damaged or not HDF5 ({problem}); copy it again"
        ) from problem
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise DataError(f"the feature file {str(path)!r} holds values that are not finite; copy it again")
    return array
