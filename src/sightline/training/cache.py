"""An array of bytes that is made once and kept in a file, such as the decoded pictures of a data set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sightline.common.files import whole_file


def cached_rows(
    path: Path,
    shape: tuple[int, ...],
    draw: Callable[[int], NDArray[np.uint8]],
    report: Callable[[int], None] = lambda done: None,
) -> NDArray[np.uint8]:
    """An array from its file, which is filled first if it is not there, whole or not at all.

    Args:
        path: file of the array.
        shape: shape of the array.
        draw: one row by its position.
        report: told how many rows are there.
    """
    if path.is_file():
        report(shape[0])
    else:
        # Row by row and not through memory that is mapped: on a full disk that would kill the process.
        with whole_file(path) as temporary, temporary.open("wb") as file:
            layout = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, layout)
            for i in range(shape[0]):
                file.write(np.ascontiguousarray(np.broadcast_to(draw(i), shape[1:]), np.uint8).tobytes())
                report(1)
    table: NDArray[np.uint8] = np.load(path, mmap_mode="c")
    return table
