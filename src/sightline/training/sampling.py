"""The order of pictures: it depends on seed and epoch only, however many processes share a batch."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.utils.data import Sampler

from sightline.errors import TrainingError


class EpochOrder(Sampler[list[int]]):
    """Whole batches in an order that depends on seed and epoch only; what fills no batch waits.

    Every batch is dealt out to all processes: process r of n takes pictures r, r + n, ... So the pictures of a step
    are the same for any number of processes.

    Args:
        count: pictures.
        batch: pictures per step over all processes together.
        seed: seed of the order.

    Raises:
        TrainingError: on iterating, if the processes cannot share a batch evenly.
    """

    def __init__(self, count: int, batch: int, seed: int) -> None:
        self.count, self.batch, self.seed, self.epoch = count, batch, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before every epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Batches per epoch."""
        return self.count // self.batch

    def __iter__(self) -> Iterator[list[int]]:
        """Positions of this process's share, batch by batch."""
        rank, processes = _place()
        if self.batch % processes:
            raise TrainingError(
                f"a batch of {self.batch} pictures cannot be shared evenly by {processes} devices; ask for a "
                f"--batch-size that is a multiple of {processes}"
            )
        # More than any number of epochs, so that the epochs of one seed never meet those of the next.
        order = torch.Generator().manual_seed(self.seed * 100_003 + self.epoch)
        shuffled = torch.randperm(self.count, generator=order)
        for part in torch.split(shuffled, self.batch)[: len(self)]:
            yield part.tolist()[rank::processes]


def _place() -> tuple[int, int]:
    """Which process this is, and of how many."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1
