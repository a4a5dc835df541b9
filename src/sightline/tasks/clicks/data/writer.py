"""`PartWriter`: encoded rows into a Parquet file, in row groups that hold whole choices."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sightline.errors import DataError
from sightline.tasks.clicks.data.lines import arrow

GROUP_ROWS = 2**16
"""Rows of a row group: what is read at a time."""


class PartWriter:
    """Writes row groups of equal size; where rows have cases, of whole cases.

    Args:
        path: a Parquet file.
        log: where the rows are from, for error texts.
    """

    def __init__(self, path: Path, log: Path) -> None:
        self.path, self.log, self.waiting, self.rows, self.clicks = path, log, 0, 0, 0
        self.outside = False
        self.kept: list[Any] = []
        self.writer: Any = None

    def add(self, table: Any) -> None:
        """Take rows; write when there are enough for a row group."""
        self.kept.append(table)
        self.waiting += table.num_rows
        self.rows += table.num_rows
        self.clicks += int(arrow().compute.sum(table["label"]).as_py() or 0)
        if self.waiting >= GROUP_ROWS:
            self._flush(whole=False)

    def _flush(self, *, whole: bool) -> None:
        import pyarrow.parquet as pq

        table = arrow().concat_tables(self.kept).combine_chunks()
        if self.writer is None:
            self.writer = pq.ParquetWriter(self.path, table.schema, compression="zstd")
        for part in self._groups(table, whole=whole):
            self.writer.write_table(part, row_group_size=max(1, part.num_rows))
            table = table.slice(part.num_rows)
        self.kept = [table]
        self.waiting = table.num_rows

    def _groups(self, table: Any, *, whole: bool) -> Iterator[Any]:
        """The row groups that can be written now."""
        first, total = 0, table.num_rows
        starts = np.arange(total + 1) if "case" not in table.column_names else self._starts(table)
        while total - first >= GROUP_ROWS or (whole and first < total):
            until = int(starts[np.searchsorted(starts, first + GROUP_ROWS, side="right") - 1])
            if until == total and not whole and "case" in table.column_names:  # the last case may go on
                until = int(starts[-2])
            if until <= first:
                break
            yield table.slice(first, until - first)
            first = until

    def _starts(self, table: Any) -> NDArray[np.int64]:
        """Where each case begins, and the end.

        Raises:
            DataError: the rows of a case are apart, or it has two clicks.
        """
        cases, clicks = table["case"].to_numpy(), table["label"].to_numpy()
        if not len(cases):
            return np.zeros(1, np.int64)
        starts = np.flatnonzero(np.concatenate([[True], cases[1:] != cases[:-1]]))
        per_case = np.add.reduceat(clicks.astype(np.int64), starts)
        wrong = {
            "more than one click": per_case > 1,
            "rows in several places; sort the log by it": _again(cases[starts]),
        }
        for what, where in wrong.items():
            if where.any():
                row = int(table["row"][int(starts[where.argmax()])].as_py()) + 1
                raise DataError(f"the log {str(self.log)!r}, row {row}: this case (--case) has {what}")
        self.outside |= bool((per_case[:-1] == 0).any())  # the last may go on
        return np.concatenate([starts, [len(cases)]])

    def close(self) -> None:
        """Write what is left."""
        if self.kept:
            if "case" in self.kept[-1].column_names:
                last = self._last_case()["label"]
                self.outside |= bool(len(last)) and not arrow().compute.sum(last).as_py()
            self._flush(whole=True)
        if self.writer is not None:
            self.writer.close()

    def _last_case(self) -> Any:
        table = arrow().concat_tables(self.kept).combine_chunks()
        return table.slice(int(self._starts(table)[-2])) if table.num_rows else table


def _again(cases: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which cases have been there before."""
    _, first = np.unique(cases, return_index=True)
    again = np.ones(len(cases), bool)
    again[first] = False
    return again
