"""Training rows by Ray Data, for logs that lie on a cluster: the same batches for any number of processes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from sightline.tasks.clicks.data.batches import WINDOW, Part, rows_of
from sightline.tasks.clicks.data.writer import GROUP_ROWS
from sightline.training.sampling import place_among

Batch = tuple[Tensor, ...]


class RayOrder(Sampler[Batch]):
    """Batches of a part as Ray Data reads it, shuffled within a buffer, by seed and epoch only.

    Every process reads the same batches and takes its own share of the rows. Ray must run.

    Args:
        part: the file.
        batch: rows per step, over all processes together.
        seed: of the order.
        buffer: rows that are shuffled among themselves.
    """

    def __init__(self, part: Part, batch: int, seed: int, *, buffer: int = WINDOW * GROUP_ROWS) -> None:
        self.part, self.batch, self.seed, self.buffer, self.epoch = part, batch, seed, buffer, 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before every epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Batches per epoch; the last may be smaller, and is left out where a process would have no row of it."""
        rows = len(self.part)
        return int(rows // self.batch + (rows % self.batch >= place_among()[1]))

    def __iter__(self) -> Iterator[Batch]:
        """Ids, values and labels, batch by batch."""
        rank, world = place_among()
        for step, table in enumerate(self._tables()):
            if step == len(self):
                break
            rows = rows_of(table)
            yield rows.ids[rank::world].long(), rows.values[rank::world], rows.labels[rank::world]

    def _tables(self) -> Any:
        import ray.data

        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.execution_options.preserve_order = True  # else the order depends on which worker is the first
        return ray.data.read_parquet(str(self.part.path.absolute())).iter_batches(
            batch_size=self.batch,
            batch_format="pyarrow",
            local_shuffle_buffer_size=max(self.buffer, self.batch),
            local_shuffle_seed=self.seed * 100_003 + self.epoch,
        )


class _Same(Dataset[Batch]):
    """Gives back the batch that it is asked for: the order has read it already."""

    def __getitem__(self, batch: Batch) -> Batch:
        return batch


def ray_batches(order: RayOrder) -> DataLoader[Any]:
    """A loader over Ray's batches."""
    return DataLoader(_Same(), batch_size=None, sampler=order)
