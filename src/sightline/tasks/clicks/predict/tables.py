"""Predictions as a CSV or Parquet file, a piece at a time."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def write_tables(out: Path, temporary: Path, tables: Iterator[Any]) -> None:
    """Write tables of pyarrow one after another.

    Args:
        out: whose ending says the format.
        temporary: where to write.
        tables: of equal columns.
    """
    (_parquet if out.suffix == ".parquet" else _csv)(temporary, tables)


def _csv(path: Path, tables: Iterator[Any]) -> None:
    from pyarrow import csv

    with path.open("wb") as file:
        for number, table in enumerate(tables):
            content = io.BytesIO()
            csv.write_csv(table, content, csv.WriteOptions(include_header=number == 0))
            file.write(content.getvalue())


def _parquet(path: Path, tables: Iterator[Any]) -> None:
    import pyarrow.parquet as pq

    writer = None
    for table in tables:
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()
