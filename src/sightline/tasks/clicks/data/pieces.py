"""A log in pieces: columns of some tens of thousands of rows at a time, each row with the number of its line."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightline.common.text import clipped
from sightline.errors import DataError
from sightline.tasks.clicks.data.lines import arrow, stream
from sightline.tasks.clicks.data.made import made_columns
from sightline.tasks.clicks.data.schema import Schema
from sightline.tasks.clicks.data.sides import Joined, joined

BLOCK = 2**20
"""Bytes of text that are parsed at a time; pyarrow reads several blocks ahead, so that large ones cost memory."""
BYTES = 2**23
"""Bytes of columns that make a piece."""
ROWS = 2**16
"""Rows at a time, at most."""


@dataclass(frozen=True)
class Piece:
    """Some rows of a log.

    Args:
        path: the file.
        first: number of its first row, from 0.
        header: lines before the first row; None where rows have no lines.
        columns: pyarrow's arrays by name.
    """

    path: Path
    first: int
    header: int | None
    columns: Mapping[str, Any]

    def __len__(self) -> int:
        """Number of rows."""
        return len(next(iter(self.columns.values())))

    def at(self, row: int) -> str:
        """Where a row is, for an error text.

        Args:
            row: within the piece.
        """
        place = self.first + row + 1
        return f"row {place}" if self.header is None else f"line {place + self.header}"


def pieces(path: Path, schema: Schema) -> Iterator[Piece]:
    """All rows of a log, with what is joined to them and made of them.

    Raises:
        DataError: a row has too many or too few columns, or the file is damaged; the text names the line.
    """
    read = _parquet if not schema.delimiter and schema.layout.endswith("Parquet") else _text
    if not schema.delimiter and not schema.layout.endswith("Parquet"):
        read = _libsvm
    sides = [joined(Path(side), key, schema.layout) for side, key in schema.sides]
    try:
        for piece in read(path, schema):
            yield _completed(piece, sides, schema)
    except (OSError, arrow().ArrowInvalid) as problem:
        text = clipped(" ".join(str(problem).split()), 200)
        raise DataError(f"the log {str(path)!r} is damaged or not UTF-8 text ({text})") from problem


def _completed(piece: Piece, sides: list[Joined], schema: Schema) -> Piece:
    columns = dict(piece.columns)
    for side in sides:
        columns |= side.rows(columns[side.key])
    columns |= made_columns(schema, columns)
    return Piece(piece.path, piece.first, piece.header, columns)


def _text(path: Path, schema: Schema) -> Iterator[Piece]:
    pa = arrow()
    from pyarrow import csv

    refusals: list[str] = []

    def refused(row: Any) -> str:
        refusals.append(
            f"the log {str(path)!r}, line {row.number}: expected {row.expected_columns} columns, found "
            f"{row.actual_columns}; correct that line"
        )
        return "error"

    pair = schema.delimiter.encode() if len(schema.delimiter) > 1 else b""
    options = {
        "read_options": csv.ReadOptions(
            use_threads=False, block_size=BLOCK, column_names=list(schema.columns), skip_rows=int(schema.header)
        ),
        "parse_options": csv.ParseOptions(
            delimiter="\t" if pair else schema.delimiter,
            quote_char=False if pair or schema.delimiter == "\t" else '"',
            invalid_row_handler=refused,
            ignore_empty_lines=False,
        ),
        "convert_options": csv.ConvertOptions(
            column_types=dict.fromkeys(schema.columns, pa.string()), strings_can_be_null=False
        ),
    }
    first, quoted = 0, not pair and schema.delimiter != "\t"
    try:
        for batch in _gathered(csv.open_csv(stream(path, pair=pair), **options)):
            columns = {name: pa.compute.utf8_trim_whitespace(batch.column(name)) for name in schema.columns}
            piece = Piece(path, first, int(schema.header), columns)
            if quoted:
                _check_quotes(piece)
            yield from _without_blanks(piece)
            first += batch.num_rows
    except pa.ArrowInvalid as problem:
        if not refusals:
            raise
        raise DataError(refusals[0]) from problem


def _gathered(batches: Iterable[Any]) -> Iterator[Any]:
    """Small batches put together: the categories of a piece are looked up once for all its rows."""
    kept: list[Any] = []
    for batch in batches:
        kept.append(batch)
        if sum(own.num_rows for own in kept) >= ROWS or sum(own.nbytes for own in kept) >= BYTES:
            yield from arrow().Table.from_batches(kept).combine_chunks().to_batches()
            kept = []
    if kept:
        yield from arrow().Table.from_batches(kept).combine_chunks().to_batches()


def _check_quotes(piece: Piece) -> None:
    """A cell of several lines: a quote that nothing closes takes in all rows up to the next quote.

    Raises:
        DataError: there is one; the text names its line.
    """
    pa = arrow()
    for name, column in piece.columns.items():
        rows = pa.compute.match_substring(column, "\n")
        if pa.compute.any(rows).as_py():
            row = pa.compute.index(rows, True).as_py()
            raise DataError(
                f"the log {str(piece.path)!r}, {piece.at(row)}: {name} goes over several lines; close the "
                "quote there, or take line breaks out of the cells"
            )


def _without_blanks(piece: Piece) -> Iterator[Piece]:
    """Blank lines are left out; the pieces between them keep the numbers of their lines."""
    import numpy as np

    pa = arrow()
    blank = np.ones(len(piece), bool)
    for column in piece.columns.values():
        if not blank.any():
            break
        blank &= pa.compute.equal(column, "").to_numpy(zero_copy_only=False)
    edges = np.flatnonzero(np.diff(np.concatenate([[True], blank, [True]]).astype(np.int8)))
    for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        part = {name: column.slice(start, end - start) for name, column in piece.columns.items()}
        yield Piece(piece.path, piece.first + start, piece.header, part)


def _libsvm(path: Path, schema: Schema) -> Iterator[Piece]:
    pa = arrow()
    numbers = set(schema.numbers)
    places = [-1 if name in numbers else -2 for name in schema.columns[1:]]  # value or index of an entry
    rows: list[list[str]] = []
    first = 0
    with stream(path) as file:
        for line, text in enumerate(io.TextIOWrapper(io.BufferedReader(_Raw(file)), "utf-8"), 1):
            entries = text.split()
            if not entries:
                continue
            if len(entries) != len(schema.columns):
                raise DataError(
                    f"the log {str(path)!r}, line {line}: expected {len(places)} entries after the label, found "
                    f"{len(entries) - 1}; rows of different lengths are not a table of fields"
                )
            rows.append([entries[0], *_values(path, line, entries[1:], places)])
            if len(rows) == ROWS:
                yield Piece(path, first, 0, _turned(pa, schema, rows))
                first, rows = line, []
    if rows:
        yield Piece(path, first, 0, _turned(pa, schema, rows))


def _values(path: Path, line: int, entries: list[str], places: list[int]) -> list[str]:
    try:
        return [entry.split(":")[place] for entry, place in zip(entries, places, strict=True)]
    except IndexError as problem:
        bad = next(entry for entry in entries if ":" not in entry)
        raise DataError(
            f"the log {str(path)!r}, line {line}: {clipped(bad)} is not index:value; correct that line"
        ) from problem


def _turned(pa: Any, schema: Schema, rows: list[list[str]]) -> dict[str, Any]:
    return {name: pa.array(column) for name, column in zip(schema.columns, zip(*rows, strict=True), strict=True)}


class _Raw(io.RawIOBase):
    """pyarrow's stream as Python's."""

    def __init__(self, source: Any) -> None:
        self.source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = self.source.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)


def _parquet(path: Path, schema: Schema) -> Iterator[Piece]:
    import pyarrow.parquet as pq

    pa = arrow()
    first = 0
    wanted = [name for name in schema.columns if name not in schema.left_out]
    for batch in pq.ParquetFile(path).iter_batches(batch_size=ROWS, columns=wanted):
        columns = {}
        for name in wanted:
            column = batch.column(name)
            column = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
            columns[name] = column
        yield Piece(path, first, None, columns)
        first += batch.num_rows
