"""The table of a comparison: Parquet shards as the work goes on, one table at the end; a run can be resumed."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightline.common.files import digest, make_folder, write_bytes
from sightline.common.runs import begin, plain, read_record
from sightline.compare.measure import Row
from sightline.errors import MissingExtraError, ResultError

RUN = "run.json"
TABLE = "table.parquet"
COLUMNS = {"layer": "stage"}
"""Fields of a row that have another name in the saved table, which keeps its own."""
RENAMED = {"relevance": "lrp"}
"""Methods that had another name when a table was saved."""
SHARDS = "shards"
PAGE = "comparison.html"


@dataclass(frozen=True)
class Table:
    """A folder that holds a comparison.

    Args:
        folder: where it is.
    """

    folder: Path

    def begin(self, about: dict[str, Any]) -> None:
        """Take up this folder's run, or start one.

        Raises:
            ResultError: it holds a run with other settings, or cannot be written.
        """
        _arrow()
        check_folder(self.folder)
        about = plain(about)
        make_folder(self.folder)
        facts = {"digest": digest(json.dumps(about, sort_keys=True).encode()), **about}
        begin(
            self.folder / RUN,
            facts,
            begun=(self.folder / RUN).is_file(),
            holds="a comparison",
            cure="give another --out, or remove it",
            error=ResultError,
            upgrade=lambda before: {**_renamed(before), "digest": facts["digest"]},
        )
        make_folder(self.folder / SHARDS)

    def has(self, shard: int) -> bool:
        """Whether a shard is finished."""
        return self._shard(shard).is_file()

    def add(self, shard: int, rows: Sequence[Row]) -> None:
        """Write a finished shard, whole or not at all."""
        write_bytes(self._shard(shard), _to_parquet(rows))

    def rows(self, shards: int) -> list[Row]:
        """All rows of the first `shards` shards."""
        return [row for shard in range(shards) for row in read_table(self._shard(shard))]

    def finish(self, rows: Sequence[Row]) -> Path:
        """Write the one table."""
        write_bytes(self.folder / TABLE, _to_parquet(rows))
        return self.folder / TABLE

    def _shard(self, number: int) -> Path:
        return self.folder / SHARDS / f"{number:05d}.parquet"


def check_folder(folder: Path) -> None:
    """Refuse before any work a folder that holds files of a comparison's names without one's record.

    Raises:
        ResultError: see above.
    """
    if {"digest", "settings"} <= (read_record(folder / RUN) or {}).keys():
        return
    foreign = [folder / name for name in (RUN, SHARDS, TABLE, PAGE) if os.path.lexists(folder / name)]
    if foreign:
        raise ResultError(
            f"{str(foreign[0])!r} was not written by sightline, and is left alone; choose another folder"
        )


def _renamed(before: dict[str, Any]) -> dict[str, Any]:
    """The settings of an older run, its methods by the names that they have now."""
    settings = before.get("settings")
    if not isinstance(settings, dict):
        return before
    methods = [RENAMED.get(name, name) for name in settings.get("methods", ())]
    return {**before, "settings": {**settings, "methods": methods}}


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as problem:
        raise MissingExtraError("pyarrow", "audit", "a comparison's table") from problem
    return pyarrow, pyarrow.parquet


def _to_parquet(rows: Sequence[Row]) -> bytes:
    arrow, parquet = _arrow()
    sink = arrow.BufferOutputStream()
    names = list(Row.__dataclass_fields__)
    columns = {COLUMNS.get(name, name): [getattr(row, name) for row in rows] for name in names}
    parquet.write_table(arrow.table(columns), sink)
    return bytes(sink.getvalue().to_pybytes())


def read_table(path: Path) -> list[Row]:
    """All rows of a shard or of a finished table.

    Raises:
        ResultError: the file is damaged.
    """
    arrow, parquet = _arrow()
    try:
        return [_row(record) for record in parquet.read_table(path).to_pylist()]
    except (OSError, arrow.ArrowInvalid, KeyError) as problem:
        raise ResultError(f"the shard {str(path)!r} is damaged: {problem}; remove it and run again") from problem


def _row(record: dict[str, Any]) -> Row:
    values = {name: record[COLUMNS.get(name, name)] for name in Row.__dataclass_fields__}
    return Row(**{**values, "method": RENAMED.get(values["method"], values["method"])})
