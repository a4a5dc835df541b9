"""Files of region features: bottom-up TSV, npz with npy, and HDF5 in two layouts.

Each gives a `RegionSet` for a picture's id. Which layout a file has is read off its content.
"""

from __future__ import annotations

import base64
import csv
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from sightline.common.reading import check_file, is_folder, is_there
from sightline.errors import DataError, MissingExtraError
from sightline.tasks.captioning.data.regions import RegionSet, region_set

COLUMNS = ("image_id", "image_w", "image_h", "num_boxes", "boxes", "features")
"""Columns of a bottom-up TSV [anderson2018bottomup]; it has no header."""
UNIT = (1.0, 1.0)


class Source(Protocol):
    """Regions by the number of their picture."""

    def ids(self) -> list[int]:
        """Numbers of the pictures that it has."""

    def regions(self, number: int) -> RegionSet:
        """The regions of a picture."""


@dataclass(frozen=True)
class Store(ABC):
    """A file or a folder of region features.

    Args:
        path: where it is.
        sizes: width and height of pictures in pixels, by number, for layouts that do not hold them.
    """

    path: Path
    sizes: Mapping[int, tuple[int, int]]

    @abstractmethod
    def ids(self) -> list[int]:
        """Numbers of the pictures that it has."""

    @abstractmethod
    def regions(self, number: int) -> RegionSet:
        """The regions of a picture.

        Raises:
            DataError: it is not there, or what is there cannot be used.
        """

    def size_of(self, number: int, boxes: NDArray[Any]) -> tuple[float, float]:
        """The size of a picture; boxes of at most 1 are shares of it already.

        Raises:
            DataError: it is not known.
        """
        if number in self.sizes:
            return self.sizes[number]
        if boxes.size and float(boxes.max()) <= 1:
            return UNIT
        raise DataError(
            f"{str(self.path)!r} holds boxes in pixels, but nothing says how large picture {number} is; give the "
            "folder of the photos (--images), or a captions file that lists width and height"
        )

    def absent(self, number: int) -> DataError:
        """Nothing is there for a picture."""
        return DataError(f"{str(self.path)!r} has no regions of picture {number}; it has those of {len(self.ids())}")


class TsvStore(Store):
    """Bottom-up features as a TSV with base64, read once and kept."""

    @cached_property
    def sets(self) -> dict[int, RegionSet]:
        """Every picture's regions."""
        return {int(own.name): own for own in read_tsv(self.path)}

    def ids(self) -> list[int]:
        """See `Store`."""
        return list(self.sets)

    def regions(self, number: int) -> RegionSet:
        """See `Store`."""
        if number not in self.sets:
            raise self.absent(number)
        return self.sets[number]


def read_tsv(path: str | Path) -> Iterator[RegionSet]:
    """Bottom-up features row by row.

    Args:
        path: a tab-separated file without a header.

    Raises:
        DataError: a row is cut short, or its numbers do not fit; the text names the line.
    """
    path = Path(path)
    check_file(path, "features file", error=DataError)
    csv.field_size_limit(sys.maxsize)
    with path.open(newline="", encoding="ascii", errors="replace") as file:
        for line, row in enumerate(csv.reader(file, delimiter="\t"), start=1):
            yield _tsv_row(row, f"line {line} of {str(path)!r}")


def _tsv_row(row: list[str], where: str) -> RegionSet:
    if len(row) != len(COLUMNS):
        raise DataError(
            f"{where} has {len(row)} columns, but bottom-up features have {len(COLUMNS)} ({', '.join(COLUMNS)}); was "
            "the file cut short?"
        )
    try:
        width, height, count = int(row[1]), int(row[2]), int(row[3])
        boxes, features = (np.frombuffer(base64.b64decode(text, validate=True), np.float32) for text in row[4:])
    except ValueError as problem:
        raise DataError(f"{where} cannot be read ({problem}); was the file cut short?") from problem
    if count < 1:
        raise DataError(f"{where} has no boxes; a picture without regions cannot be captioned")
    if boxes.size != 4 * count or features.size == 0 or features.size % count:
        raise DataError(
            f"{where} promises {count} boxes, but holds {boxes.size / 4:g} boxes and {features.size} features; was "
            "the file cut short?"
        )
    return region_set(_tensor(features.reshape(count, -1)), _tensor(boxes.reshape(count, 4)), (width, height), row[0])


class ArrayStore(Store):
    """A folder with `<id>.npz`, entry `feat`, and `<id>.npy` or `<id>_box.npy` with boxes."""

    def ids(self) -> list[int]:
        """See `Store`."""
        return sorted(int(file.stem) for file in self.path.glob("*.npz") if file.stem.isdigit())

    def regions(self, number: int) -> RegionSet:
        """See `Store`."""
        file = self.path / f"{number}.npz"
        if not is_there(file):
            raise self.absent(number)
        places = (self.path / f"{number}.npy", self.path / f"{number}_box.npy")
        place = next((place for place in places if is_there(place)), None)
        if place is None:
            raise DataError(f"{str(file)!r} comes without boxes; there is no {places[0].name} beside it")
        with np.load(file, allow_pickle=False) as content:
            if "feat" not in content:
                raise DataError(f"{str(file)!r} has no entry 'feat'; it has {', '.join(content.files) or 'none'}")
            features = content["feat"]
        boxes = np.load(place, allow_pickle=False)
        features = features.reshape(-1, features.shape[-1])  # grids are kept with rows and columns
        return region_set(_tensor(features), _tensor(boxes), self.size_of(number, boxes), str(number))


class Hdf5Store(Store):
    """HDF5 with `<id>_features`, `<id>_boxes` and `<id>_size`, or with `<id>_features` and `<id>_boxes` alone."""

    def ids(self) -> list[int]:
        """See `Store`."""
        with _hdf5(self.path) as file:
            names = [name.removesuffix("_features") for name in file if name.endswith("_features")]
        return sorted(int(name) for name in names if name.isdigit())

    def regions(self, number: int) -> RegionSet:
        """See `Store`."""
        with _hdf5(self.path) as file:
            if f"{number}_features" not in file:
                raise self._problem(file, number)
            if f"{number}_boxes" not in file:
                raise DataError(
                    f"{str(self.path)!r} holds features of picture {number} without '{number}_boxes'; files without "
                    "boxes cannot show regions: take features that keep them"
                )
            features, boxes = file[f"{number}_features"][()], file[f"{number}_boxes"][()]
            size = file[f"{number}_size"][()] if f"{number}_size" in file else None
        if size is None:
            size = self.size_of(number, boxes)
        elif boxes.size and float(boxes.max()) <= 1:
            size = UNIT  # DLCT's files hold boxes as shares beside the size
        return region_set(_tensor(features), _tensor(boxes), (float(size[0]), float(size[1])), str(number))

    def _problem(self, file: Mapping[str, Any], number: int) -> DataError:
        names = list(file)[:3]
        if any(name.endswith("_features") for name in file):
            return self.absent(number)
        return DataError(
            f"{str(self.path)!r} has another layout: region features are entries such as '{number}_features' and "
            f"'{number}_boxes', but it has {', '.join(map(repr, names)) or 'none'}"
        )


def open_features(path: str | Path, sizes: Mapping[int, tuple[int, int]] | None = None) -> Store:
    """Region features in a file or a folder, whichever layout they have.

    Args:
        path: a TSV, an HDF5 file, or a folder of npz and npy files.
        sizes: width and height of pictures in pixels, by number, where the layout does not hold them.

    Raises:
        DataError: it is of none of these layouts.
    """
    path, sizes = Path(path), sizes or {}
    if is_folder(path):
        store: Store = ArrayStore(path, sizes)
        if not store.ids():
            raise DataError(f"the folder {str(path)!r} holds no features: no <id>.npz with <id>.npy beside it")
        return store
    check_file(path, "features file", error=DataError)
    with path.open("rb") as file:
        if file.read(8) == b"\x89HDF\r\n\x1a\n":
            store = Hdf5Store(path, sizes)
            with _hdf5(path) as content:
                if not any(name.endswith("_features") for name in content):
                    raise store._problem(content, 1)
            return store
    return TsvStore(path, sizes)


def _hdf5(path: Path) -> Any:
    try:
        import h5py
    except ModuleNotFoundError as problem:
        raise MissingExtraError("h5py", "features", "reading region features from HDF5") from problem
    try:
        return h5py.File(path, "r")
    except OSError as problem:
        raise DataError(f"{str(path)!r} is not an HDF5 file, or is damaged: {problem}") from problem


def _tensor(values: NDArray[Any]) -> torch.Tensor:
    return torch.from_numpy(np.array(values, dtype=np.float32))
