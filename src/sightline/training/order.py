"""The order of pictures: it depends on seed and epoch only, however many processes share a batch."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from sightline.errors import TrainingError
from sightline.training.birdnet import EpochOrder


class SharedOrder(EpochOrder):
    """`EpochOrder` whose every batch is dealt out to all processes: process r of n takes pictures r, r + n, ...

    So the pictures of a step are the same for any number of processes.

    Args:
        count: pictures.
        batch: pictures per step over all processes together.
        seed: of the order.

    Raises:
        TrainingError: on iterating, if the processes cannot share a batch evenly.
    """

    def __iter__(self) -> Iterator[list[int]]:
        """Positions of this process's share, batch by batch."""
        rank, processes = _place()
        if self.batch % processes:
            raise TrainingError(
                f"a batch of {self.batch} pictures cannot be shared evenly by {processes} devices; ask for a --batch "
                f"that is a multiple of {processes}"
            )
        for batch in super().__iter__():
            yield batch[rank::processes]


def _place() -> tuple[int, int]:
    """Which process this is, and of how many."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1
