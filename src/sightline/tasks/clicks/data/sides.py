"""Tables that lie beside a log and are joined to it: users, items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightline.errors import DataError
from sightline.tasks.clicks.data.layouts import GENRES
from sightline.tasks.clicks.data.lines import arrow

PLAIN = {
    "u.user": ("|", ("user_id", "age", "gender", "occupation", "zip")),
    "users.dat": ("::", ("user_id", "gender", "age", "occupation", "zip")),
    "movies.dat": ("::", ("item_id", "title", "genres")),
}
"""Files without a header: delimiter and columns."""


@dataclass(frozen=True)
class Joined:
    """A table by its key.

    Args:
        key: the column that it shares with the log.
        rows_of: place of each key's row.
        columns: cells of every other column.
    """

    key: str
    rows_of: Mapping[str, int]
    columns: Mapping[str, list[str]]

    def rows(self, keys: Any) -> dict[str, Any]:
        """Its columns for every key of a piece; empty where a key is not in it.

        Args:
            keys: an array of pyarrow.
        """
        pa = arrow()
        coded = keys.dictionary_encode()
        places = [self.rows_of.get(str(name), -1) for name in coded.dictionary.to_pylist()]
        return {
            name: pa.array(["" if place < 0 else cells[place] for place in places], pa.string()).take(coded.indices)
            for name, cells in self.columns.items()
        }


def joined(path: Path, key: str, layout: str) -> Joined:
    """Read a table that is joined.

    Args:
        path: its file.
        key: the column that it shares with the log.
        layout: the log's format.

    Raises:
        DataError: it cannot be read.
    """
    if path.name == "u.item":
        return _genres(path)
    delimiter, columns = PLAIN.get(path.name, ("\t" if layout.startswith("RecBole") else ",", ()))
    lines = path.read_text(encoding="latin-1" if columns else "utf-8").split("\n")
    rows = [line.rstrip("\r").split(delimiter) for line in lines if line.strip()]
    if not columns:
        columns, rows = tuple(name.partition(":")[0] for name in rows[0]), rows[1:]
    bad = next((place for place, row in enumerate(rows) if len(row) != len(columns)), None)
    if bad is not None:
        raise DataError(f"the table {str(path)!r}, row {bad + 1}: expected {len(columns)} columns as {key!r} has")
    at = columns.index(key)
    cells = {name: [row[place] for row in rows] for place, name in enumerate(columns) if place != at}
    return Joined(key, {row[at]: place for place, row in enumerate(rows)}, cells)


def _genres(path: Path) -> Joined:
    """MovieLens-100K's items: of the 19 columns of genres the names of those that are 1."""
    rows = [line.split("|") for line in path.read_text(encoding="latin-1").split("\n") if line.strip()]
    genres = ["|".join(name for name, cell in zip(GENRES, row[-19:], strict=True) if cell == "1") for row in rows]
    return Joined("item_id", {row[0]: place for place, row in enumerate(rows)}, {"genres": genres})
