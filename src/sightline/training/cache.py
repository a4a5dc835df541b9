"""An array of bytes that is made once and kept in a file, such as the decoded pictures of a data set."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def kept(
    path: Path,
    shape: tuple[int, ...],
    draw: Callable[[int], NDArray[np.uint8]],
    report: Callable[[int], None] = lambda done: None,
) -> NDArray[np.uint8]:
    """An array from its file, which is filled first if it is not there; written under another name, then renamed.

    Args:
        path: of the file.
        shape: of the array.
        draw: one row by its position.
        report: told how many rows are there.
    """
    if not path.is_file():
        half = path.with_name(f"{path.name}.{os.getpid()}")
        new = np.lib.format.open_memmap(half, mode="w+", dtype=np.uint8, shape=shape)
        try:
            for i in range(shape[0]):
                new[i] = draw(i)
                report(1)
            new.flush()
        except BaseException:
            half.unlink()
            raise
        half.replace(path)
    else:
        report(shape[0])
    table: NDArray[np.uint8] = np.load(path, mmap_mode="c")
    return table
