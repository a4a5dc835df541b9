"""The order of batches of whole choices (cases): every case's alternatives are in one batch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sightline.tasks.clicks.data.batches import Part, WindowOrder
from sightline.training.sampling import place_among


class CaseOrder(WindowOrder):
    """Batches of whole cases in an order that depends on seed and epoch only, each process its own share.

    Args:
        part: the file; its row groups hold whole cases.
        batch: about how many rows a step has, over all processes together.
        seed: of the order.
        starts: where each case of each row group begins, and its end.
    """

    def __init__(self, part: Part, batch: int, seed: int, starts: list[NDArray[np.int64]]) -> None:
        super().__init__(part, batch, seed)
        self.starts = starts
        cases = sum(len(own) - 1 for own in starts)
        self.count = max(1, round(batch * cases / max(1, len(part))))

    def _steps(self, groups: tuple[int, ...]) -> int:
        cases = sum(len(self.starts[group]) - 1 for group in groups)
        return int(cases // self.count + (cases % self.count >= place_among()[1]))

    def __iter__(self) -> Iterator[tuple[tuple[int, ...], Tensor]]:
        """Row groups and positions, batch by batch."""
        rank, world = place_among()
        order, windows = self._windows()
        for groups in windows:
            firsts, lengths = self._cases(groups)
            cases = torch.randperm(len(firsts), generator=order).numpy()
            for step in range(self._steps(groups)):
                own = cases[step * self.count : (step + 1) * self.count][rank::world]
                yield groups, torch.from_numpy(_rows(firsts[own], lengths[own]))

    def _cases(self, groups: tuple[int, ...]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First row and length of each case of a window."""
        before = np.cumsum([0, *(self.sizes[group] for group in groups)])
        firsts = [self.starts[group][:-1] + at for group, at in zip(groups, before[:-1], strict=True)]
        lengths = [np.diff(self.starts[group]) for group in groups]
        return np.concatenate(firsts), np.concatenate(lengths)


def _rows(firsts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """All rows of cases, one case after the other."""
    offsets = np.repeat(firsts - np.r_[0, lengths.cumsum()[:-1]], lengths)
    return np.asarray(offsets + np.arange(len(offsets)), np.int64)


def order_of(part: Part, batch: int, seed: int) -> WindowOrder:
    """The order of a part: of whole cases where it has them, else of rows."""
    starts = part.case_starts()
    return WindowOrder(part, batch, seed) if starts is None else CaseOrder(part, batch, seed, starts)
