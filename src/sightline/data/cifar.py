"""CIFAR-10 and CIFAR-100 in their binary version: bytes of labels and pixels, read without running anything.

The version for Python is pickled and is refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sightline.common.reading import is_there, read_lines
from sightline.errors import DataError

PIXELS = 3 * 32 * 32
FOLDERS = ("cifar-10-batches-bin", "cifar-100-binary")
KNOWN_BY = ("test_batch.bin", "fine_label_names.txt")
PICKLED = ("batches.meta", "data_batch_1", "meta")


class Cifar(NamedTuple):
    """The pictures of both splits.

    Args:
        images: bytes of the training pictures and, behind them, of the test pictures.
        labels: classes of all pictures.
        train: how many are for training.
        classes: names.
        name: `CIFAR-10` or `CIFAR-100`.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    train: int
    classes: tuple[str, ...]
    name: str


def find_cifar(folder: Path) -> Path | None:
    """Where CIFAR's binary files lie, in the folder or in one of the usual name below it; None where they do not.

    Raises:
        DataError: the folder holds the pickled version.
    """
    for place in (folder, *(folder / name for name in FOLDERS)):
        if any(is_there(place / name, "file of CIFAR", error=DataError) for name in KNOWN_BY):
            return place
    if any((folder / name).is_file() for name in PICKLED) and not (folder / "train").is_dir():
        raise DataError(
            f"{str(folder)!r} holds CIFAR's version for Python, which is pickled and would run code when read; "
            "download the binary version (cifar-10-binary.tar.gz, cifar-100-binary.tar.gz)"
        )
    return None


def read_cifar(folder: Path) -> Cifar:
    """Read CIFAR-10 (`data_batch_*.bin`, `test_batch.bin`) or CIFAR-100 (`train.bin`, `test.bin`).

    Raises:
        DataError: a file is missing or cut short, or has a label without a name.
    """
    hundred = (folder / "fine_label_names.txt").is_file()
    parts = [folder / "train.bin"] if hundred else sorted(folder.glob("data_batch_*.bin"))
    last = folder / ("test.bin" if hundred else "test_batch.bin")
    names = folder / ("fine_label_names.txt" if hundred else "batches.meta.txt")
    for path in (*parts, last, names):
        if not is_there(path, "file of CIFAR", error=DataError):
            raise DataError(f"{str(path)!r} is not there, which belongs to CIFAR's binary version; unpack it again")
    if not parts:
        raise DataError(f"{str(folder)!r} has no data_batch_1.bin of CIFAR's binary version; unpack it again")
    classes = tuple(line for _, line in read_lines(names, "list of classes", error=DataError))
    if not classes:
        raise DataError(f"{str(names)!r} names no class; unpack it again")
    blocks = [_records(path, 2 if hundred else 1, len(classes)) for path in (*parts, last)]
    labels = np.concatenate([block[:, -PIXELS - 1] for block in blocks]).astype(np.int64)
    images = np.concatenate([block[:, -PIXELS:].reshape(-1, 3, 32, 32) for block in blocks])
    return Cifar(images, labels, sum(map(len, blocks[:-1])), classes, "CIFAR-100" if hundred else "CIFAR-10")


def _records(path: Path, labels: int, classes: int) -> NDArray[np.uint8]:
    """One row per picture: its labels, the finest last, then red, green and blue."""
    content = np.fromfile(path, np.uint8)
    length = labels + PIXELS
    if not len(content) or len(content) % length:
        raise DataError(
            f"{str(path)!r} has {len(content)} bytes, which is not a multiple of {length} as in CIFAR's binary "
            "version; the file is incomplete, unpack it again"
        )
    rows = content.reshape(-1, length)
    if (worst := int(rows[:, labels - 1].max())) >= classes:
        raise DataError(f"{str(path)!r} has the label {worst}, but there are {classes} names of classes")
    return rows
