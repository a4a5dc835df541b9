"""Features of many pictures, computed once, kept in files by the hundred, and mapped rather than read.

A run that stops goes on with the files that are whole. Knows rows and tensors, not what computes them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sightline.common.files import make_folder, whole_file

CHUNK = 128
"""Pictures in a file."""
PASSES = 10
"""Times that an epoch shows every picture where only heads learn: a step costs next to nothing there."""


class FeatureTable(torch.utils.data.Dataset[Tensor]):
    """Features by row.

    Args:
        chunks: arrays of `CHUNK` rows each, the last perhaps shorter.
    """

    def __init__(self, chunks: Sequence[np.ndarray]) -> None:
        self.chunks = tuple(chunks)

    def __len__(self) -> int:
        """Number of pictures."""
        return sum(map(len, self.chunks))

    def __getitem__(self, rows: Sequence[int] | Tensor) -> Tensor:
        """Features of some pictures, `[b, ...]`, in float32."""
        own = [self.chunks[int(row) // CHUNK][int(row) % CHUNK] for row in rows]
        return torch.from_numpy(np.stack(own)).float()


def feature_table(
    folder: Path | None,
    count: int,
    compute: Callable[[Tensor], Tensor],
    report: Callable[[int], None] = lambda done: None,
) -> FeatureTable:
    """The features of pictures 0 to `count`, from files where they are there.

    Args:
        folder: folder of the files, of one network and one set of pictures; None keeps all in memory.
        count: number of pictures.
        compute: from rows to their features, `[b, ...]`; called for `CHUNK` rows at a time.
        report: told how many more pictures are there.
    """
    if folder is not None:
        make_folder(folder)
    chunks = []
    for number, rows in enumerate(torch.split(torch.arange(count), CHUNK)):
        path = None if folder is None else folder / f"{number:05d}.npy"
        if path is None:
            chunks.append(compute(rows).detach().cpu().numpy())
        else:
            if not path.is_file():
                with whole_file(path) as temporary, temporary.open("wb") as file:
                    np.save(file, compute(rows).detach().cpu().numpy())
            chunks.append(np.load(path, mmap_mode="r"))
        report(len(rows))
    return FeatureTable(chunks)
