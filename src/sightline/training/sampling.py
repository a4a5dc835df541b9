"""The order of pictures: it depends on seed and epoch only, however many processes share a batch."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Int
from torch import Tensor
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
        labels: class of each picture, where every class is to be shown equally often.
        parts: parts in which each batch is handed out, one behind the other.
        passes: times that an epoch shows every picture, each time in another order.

    Raises:
        TrainingError: on iterating, if the processes or parts cannot share a batch evenly.
    """

    def __init__(
        self,
        count: int,
        batch: int,
        seed: int,
        *,
        labels: Int[Tensor, " n"] | None = None,
        parts: int = 1,
        passes: int = 1,
    ) -> None:
        self.count, self.batch, self.seed, self.epoch = count, batch, seed, 0
        self.labels, self.parts, self.passes = labels, parts, passes

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before every epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Batches per epoch, each part of one counted."""
        return self.steps * self.parts

    @property
    def steps(self) -> int:
        """Steps of the optimiser per epoch."""
        return self.count // self.batch * self.passes

    def __iter__(self) -> Iterator[list[int]]:
        """Positions of this process's share, batch by batch."""
        rank, processes = place_among()
        if self.batch % processes:
            raise TrainingError(
                f"a batch of {self.batch} pictures cannot be shared evenly by {processes} devices; ask for a "
                f"--batch-size that is a multiple of {processes}"
            )
        if self.batch % (processes * self.parts):
            raise TrainingError(
                f"a batch of {self.batch} pictures cannot be computed in {self.parts} equal parts; ask for a "
                f"--batch-size that is a multiple of {processes * self.parts}, or another --accumulate"
            )
        # More than any number of epochs, so that the epochs of one seed never meet those of the next.
        order = torch.Generator().manual_seed(self.seed * 100_003 + self.epoch)
        for _ in range(self.passes):
            shuffled = torch.randperm(self.count, generator=order)
            if self.labels is not None:
                shuffled = balanced(shuffled, self.labels, order)
            for batch in torch.split(shuffled, self.batch)[: self.count // self.batch]:
                for part in torch.chunk(batch, self.parts):
                    yield part.tolist()[rank::processes]


def balanced(order: Int[Tensor, " n"], labels: Int[Tensor, " n"], draw: torch.Generator) -> Int[Tensor, " n"]:
    """As many positions as before, every class equally often: frequent ones are cut short, rare ones come again.

    Args:
        order: positions, shuffled.
        labels: class of every position; negative for none, which are left out.
        draw: random numbers for the last shuffle.
    """
    own = [order[labels[order] == label] for label in torch.unique(labels[labels >= 0])]
    share = -(-len(order) // len(own))
    rows = torch.cat([part.repeat(-(-share // len(part)))[:share] for part in own])
    return rows[torch.randperm(len(rows), generator=draw)][: len(order)]


def place_among() -> tuple[int, int]:
    """Which process this is, and of how many."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1
