"""Batches out of Parquet: some row groups are in memory at a time, shuffled within and among themselves.

The order depends on seed and epoch only, so that a training that goes on sees what it would have seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from sightline.training.sampling import place_among

WINDOW = 8
"""Row groups in memory at a time: half a million rows."""


@dataclass(frozen=True)
class Rows:
    """Rows as tensors.

    Args:
        ids: rows of the embedding tables.
        values: numbers.
        labels: 1 for a click.
        group: users as numbers.
        position: positions; empty where the log has none.
        propensity: probability of being shown; empty where the log has none.
        case: equal for the alternatives of one choice; empty where rows are apart.
    """

    ids: Int[Tensor, "b n"]
    values: Float[Tensor, "b m"]
    labels: Float[Tensor, " b"]
    group: Int[Tensor, " b"]
    position: Float[Tensor, " p"]
    propensity: Float[Tensor, " q"]
    case: Int[Tensor, " c"]

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.labels)


def rows_of(table: Any) -> Rows:
    """A table of pyarrow, as `encoded` makes it, as tensors."""
    names = table.column_names

    def matrix(prefix: str, kind: type) -> Any:
        count = sum(name.startswith(prefix) and name[len(prefix) :].isdigit() for name in names)
        result = np.empty((table.num_rows, count), kind)
        for place in range(count):
            result[:, place] = table[f"{prefix}{place}"].to_numpy()
        return torch.from_numpy(result)

    def vector(name: str, kind: type) -> Any:
        column = table[name].to_numpy() if name in names else np.empty(0)
        return torch.from_numpy(np.array(column, kind))  # a copy: pyarrow's own memory cannot be written

    return Rows(
        matrix("id", np.int32),
        matrix("value", np.float32),
        vector("label", np.float32),
        vector("group", np.int64),
        vector("position", np.float32),
        vector("propensity", np.float32),
        vector("case", np.int64),
    )


class Part(Dataset[tuple[Tensor, ...]]):
    """A Parquet file of encoded rows.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet as pq

        self.path = path
        own = pq.ParquetFile(path).metadata
        self.sizes = [own.row_group(place).num_rows for place in range(own.num_row_groups)]
        self._groups: tuple[int, ...] = ()
        self._rows: Rows | None = None

    def __len__(self) -> int:
        """Number of rows."""
        return sum(self.sizes)

    def rows(self, groups: tuple[int, ...]) -> Rows:
        """Row groups as tensors; the last ones asked for are kept."""
        if self._rows is None or groups != self._groups:
            import pyarrow.parquet as pq

            self._rows = None  # two windows are never in memory together
            self._rows = rows_of(pq.ParquetFile(self.path).read_row_groups(list(groups)))
            self._groups = groups
        return self._rows

    def __getitem__(self, place: tuple[tuple[int, ...], Tensor]) -> tuple[Tensor, ...]:
        """A batch: ids, values, labels, and where rows have them cases.

        Args:
            place: row groups, and positions in them.
        """
        groups, positions = place
        rows = self.rows(groups)
        batch = rows.ids[positions].long(), rows.values[positions], rows.labels[positions]
        return (*batch, rows.case[positions]) if len(rows.case) else batch

    def case_starts(self) -> list[NDArray[np.int64]] | None:
        """Where each case of each row group begins, and its end; None where rows are apart."""
        import pyarrow.parquet as pq

        file = pq.ParquetFile(self.path)
        if "case" not in file.schema_arrow.names:
            return None
        columns = (file.read_row_group(place, ["case"])["case"].to_numpy() for place in range(len(self.sizes)))
        return [np.flatnonzero(np.r_[True, own[1:] != own[:-1], True]) for own in columns]

    def in_turn(self) -> Iterator[Rows]:
        """All rows in their order, a row group at a time."""
        for group in range(len(self.sizes)):
            yield self.rows((group,))


class WindowOrder(Sampler[tuple[tuple[int, ...], Tensor]]):
    """Batches of a part in an order that depends on seed and epoch only, each process its own share of each batch.

    Args:
        part: the file.
        batch: rows per step, over all processes together.
        seed: of the order.
    """

    def __init__(self, part: Part, batch: int, seed: int) -> None:
        self.sizes, self.batch, self.seed, self.epoch = part.sizes, batch, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before every epoch."""
        self.epoch = epoch

    def _windows(self) -> tuple[torch.Generator, list[tuple[int, ...]]]:
        order = torch.Generator().manual_seed(self.seed * 100_003 + self.epoch)
        groups = torch.randperm(len(self.sizes), generator=order).tolist()
        return order, [tuple(groups[at : at + WINDOW]) for at in range(0, len(groups), WINDOW)]

    def __len__(self) -> int:
        """Batches per epoch."""
        return sum(self._steps(groups) for groups in self._windows()[1])

    def _steps(self, groups: tuple[int, ...]) -> int:
        rows = sum(self.sizes[group] for group in groups)
        rest = rows % self.batch
        # every process takes equally many steps, each of at least one row
        return int(rows // self.batch + (rest >= place_among()[1]))

    def __iter__(self) -> Iterator[tuple[tuple[int, ...], Tensor]]:
        """Row groups and positions, batch by batch."""
        rank, world = place_among()
        order, windows = self._windows()
        for groups in windows:
            positions = torch.randperm(sum(self.sizes[group] for group in groups), generator=order)
            for step in range(self._steps(groups)):
                yield groups, positions[step * self.batch : (step + 1) * self.batch][rank::world]
