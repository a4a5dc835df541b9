"""From a log to three Parquet files of numbers: for training, validation and test. Memory does not grow with the log.

Two passes: the first learns the encoder on training rows, the second writes. Rows are dealt out by their number, by
time, or by their order in the file.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sightline.common.files import cannot_write, digest, make_folder, whole_file
from sightline.errors import DataError, ResultError
from sightline.tasks.clicks.data.encoder import Encoder, Learner, coded, hashed
from sightline.tasks.clicks.data.lines import arrow
from sightline.tasks.clicks.data.numbers import floats, labels, times, usable
from sightline.tasks.clicks.data.pieces import Piece, pieces
from sightline.tasks.clicks.data.schema import Field, Schema
from sightline.tasks.clicks.data.writer import PartWriter
from sightline.training.reporter import Report

NEWER = ("case", "available", "outside")
"""Names of a schema that the first logs did not have."""
PARTS = ("train", "validation", "test")
SAMPLED = 2**22
"""Times that are kept to find the moments at which a log is cut."""


@dataclass(frozen=True, kw_only=True)
class Dealing:
    """How rows are dealt out.

    Args:
        split: `random`, `time` or `order`.
        validation: share of the rows for validation.
        test: share for test; 0 where the test rows are a file of their own.
        seed: of the random split.
        cuts: the two moments (or row numbers) from which on rows are for validation and for test.
    """

    split: str = "random"
    validation: float = 0.1
    test: float = 0.1
    seed: int = 0
    cuts: tuple[float, float] = (0.0, 0.0)

    def parts(self, piece: Piece, schema: Schema) -> NDArray[np.int8]:
        """Place of each row's part in `PARTS`."""
        rows = np.arange(piece.first, piece.first + len(piece), dtype=np.uint64)
        if schema.case:
            rows = _hashes(piece, schema, schema.case).astype(np.uint64)
        if self.split == "random":
            shares = chance(rows, self.seed)
            inner = np.where(shares < self.test + self.validation, 1, 0)
            return np.where(shares < self.test, 2, inner).astype(np.int8)
        moments = times(piece, schema) if self.split == "time" else rows.astype(np.float64)
        return np.searchsorted(np.array(self.cuts), moments, side="right").astype(np.int8)


def chance(rows: NDArray[np.uint64], seed: int) -> NDArray[np.float64]:
    """A number in 0..1 for every row number, the same in every process: SplitMix64."""
    with np.errstate(over="ignore"):
        x = (rows + np.uint64(1 + seed * 2**40 % 2**64)) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (x ^ (x >> np.uint64(31))).astype(np.float64) / 2.0**64


@dataclass(frozen=True)
class Prepared:
    """A log as numbers.

    Args:
        folder: where its Parquet files are.
        encoder: how it was encoded.
        rows: number of rows of each part.
        clicks: number of clicks of each part.
        fingerprint: another for every other log or encoding.
    """

    folder: Path
    encoder: Encoder
    rows: dict[str, int] = field(default_factory=dict)
    clicks: dict[str, int] = field(default_factory=dict)
    fingerprint: str = ""

    def path(self, part: str) -> Path:
        """The file of a part."""
        return self.folder / f"{part}.parquet"

    def rate(self, part: str) -> float:
        """Share of rows that were clicked."""
        return self.clicks[part] / max(1, self.rows[part])


def prepare(
    log: Path, encoder: Encoder, dealing: Dealing, folder: Path, *, test: Path | None, min_count: int, report: Report
) -> Prepared:
    """Encode a log, or read what was encoded before.

    Args:
        log: the file.
        encoder: schema, transform and buckets.
        dealing: how rows are dealt out.
        folder: where to write.
        test: a file of its own for test rows.
        min_count: how often training must show a category.
        report: called with the rows that are done.

    Raises:
        DataError: a row cannot be read, or a part has no row.
    """
    make_folder(folder)
    key = _key(log, test, encoder, dealing, min_count)
    if (known := _known(folder, key, encoder)) is not None:
        return known
    schema = encoder.schema
    if schema.case and dealing.split != "random":
        raise DataError("--case deals out whole choices, which needs --split-by random")
    if dealing.split != "random":
        dealing = _cut(log, schema, dealing)
    learner = Learner(encoder)
    for piece in pieces(log, schema):
        learner.see(piece, (dealing.parts(piece, schema) == 0) & usable(piece, schema))
        report(len(piece))
    encoder = learner.learnt(min_count)
    try:
        counts, outside = _write(log, encoder, dealing, folder, test, report)
    except OSError as problem:  # a full disk
        raise ResultError(cannot_write(problem.filename or folder, problem)) from problem
    encoder = replace(encoder, schema=replace(schema, outside=outside))
    result = Prepared(folder, encoder, counts[0], counts[1], key)
    if not any(result.rows.values()):
        raise DataError(f"the log {str(log)!r} has no row below its header; is it the right file?")
    if not result.rows["train"] or not result.rows["validation"] or not result.rows["test"]:
        raise DataError(
            f"the log {str(log)!r} gives {result.rows} rows; every part needs some: change --validation-share, "
            "--test-share or --split-by"
        )
    record = {"key": key, "rows": counts[0], "clicks": counts[1], "encoder": encoder_record(encoder)}
    with whole_file(folder / "log.json") as temporary:
        temporary.write_text(json.dumps(record), encoding="utf-8")
    return result


def _known(folder: Path, key: str, encoder: Encoder) -> Prepared | None:
    """What an earlier run wrote, where it was of the same log."""
    file = folder / "log.json"
    if not file.is_file():
        return None
    record = json.loads(file.read_text(encoding="utf-8"))
    if record["key"] != key or not all((folder / f"{part}.parquet").is_file() for part in PARTS):
        return None
    return Prepared(folder, encoder_of(record["encoder"]), record["rows"], record["clicks"], key)


def encoder_record(encoder: Encoder) -> dict[str, Any]:
    """An encoder as JSON's kinds."""
    return asdict(encoder)


def encoder_of(record: dict[str, Any]) -> Encoder:
    """The encoder of a record.

    Raises:
        KeyError: a name is missing.
    """
    own = dict(record["schema"])
    own["fields"] = tuple(Field(**one) for one in own["fields"])
    own["sides"] = tuple(tuple(side) for side in own["sides"])
    for name in ("columns", "notes"):
        own[name] = tuple(own[name])
    scales = {name: tuple(pair) for name, pair in record["scales"].items()}
    slots = record.get("slots", {})  # written since there are sets of categories
    return Encoder(Schema(**own), record["transform"], record["buckets"], record["vocabularies"], scales, slots)


def _key(log: Path, test: Path | None, encoder: Encoder, dealing: Dealing, min_count: int) -> str:
    places = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in (log, test) if path]
    return digest(json.dumps([places, _plain(asdict(encoder)), asdict(dealing), min_count]).encode())


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    """An encoder's record without what is newer than the first logs and says nothing there: their key stays."""
    fields = [{k: v for k, v in own.items() if k != "separator" or v} for own in record["schema"]["fields"]]
    rest = {name: value for name, value in record.items() if name != "slots" or value}
    schema = {name: value for name, value in record["schema"].items() if name not in NEWER or value}
    return {**rest, "schema": {**schema, "fields": fields}}


def _cut(log: Path, schema: Schema, dealing: Dealing) -> Dealing:
    """Where the rows of validation and test begin."""
    if dealing.split == "time" and not schema.time:
        raise DataError(f"--split-by time needs a column of times, and {str(log)!r} has none; name it with --time")
    kept: list[NDArray[np.float64]] = []
    step, total = 1, 0
    for piece in pieces(log, schema):
        total += len(piece)
        if dealing.split == "time":
            kept.append(times(piece, schema)[::step])
            if sum(map(len, kept)) > SAMPLED:
                kept, step = [np.concatenate(kept)[::2]], step * 2
    shares = (1 - dealing.validation - dealing.test, 1 - dealing.test)
    if dealing.split == "order":
        return replace(dealing, cuts=(shares[0] * total, shares[1] * total if dealing.test else np.inf))
    first, second = np.quantile(np.concatenate(kept), shares)
    return replace(dealing, cuts=(float(first), float(second) if dealing.test else np.inf))


def _write(
    log: Path, encoder: Encoder, dealing: Dealing, folder: Path, test: Path | None, report: Report
) -> tuple[tuple[dict[str, int], dict[str, int]], bool]:
    writers = {part: PartWriter(folder / f"{part}.parquet", log) for part in PARTS}
    for piece in pieces(log, encoder.schema):
        table, parts = encoded(piece, encoder), dealing.parts(piece, encoder.schema)
        can = usable(piece, encoder.schema)
        for place, part in enumerate(PARTS):
            writers[part].add(table.filter(arrow().array((parts == place) & can)))
        report(len(piece))
    for piece in pieces(test, encoder.schema) if test else ():
        writers["test"].add(encoded(piece, encoder).filter(arrow().array(usable(piece, encoder.schema))))
    for writer in writers.values():
        writer.close()
    rows, clicks = ({part: getattr(own, what) for part, own in writers.items()} for what in ("rows", "clicks"))
    return (rows, clicks), any(own.outside for own in writers.values())


def encoded(piece: Piece, encoder: Encoder, *, labelled: bool = True) -> Any:
    """A table of pyarrow: ids and values of the fields, label, group, position, propensity, row.

    Args:
        piece: rows.
        encoder: how.
        labelled: whether labels are known.
    """
    pa = arrow()
    schema, ids, values = encoder.schema, encoder.ids(piece), encoder.values(piece)
    columns: dict[str, Any] = {f"id{place}": pa.array(ids[:, place]) for place in range(ids.shape[1])}
    columns |= {f"value{place}": pa.array(values[:, place]) for place in range(values.shape[1])}
    columns["label"] = pa.array(labels(piece, schema) if labelled else np.zeros(len(piece), np.int8))
    columns["row"] = pa.array(np.arange(piece.first, piece.first + len(piece)))
    columns["group"] = pa.array(_hashes(piece, schema, schema.group))
    if schema.case:
        columns["case"] = pa.array(_hashes(piece, schema, schema.case))
    for name, column in (("position", schema.position), ("propensity", schema.propensity)):
        if column:
            columns[name] = pa.array(floats(piece, column))
    return pa.table(columns)


def _hashes(piece: Piece, schema: Schema, column: str) -> NDArray[np.int64]:
    """A number for each cell, equal for equal ones; 0 where there is no column."""
    if not column:
        return np.zeros(len(piece), np.int64)
    names, codes = coded(piece, column, Encoder(schema, "none"))
    return np.array([hashed(name) for name in names], np.int64)[codes]
