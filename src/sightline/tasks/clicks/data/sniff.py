"""Which format a log is in, found by reading its first lines."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from sightline.common.reading import check_file
from sightline.errors import DataError
from sightline.tasks.clicks.data.layouts import LABELS, LAYOUTS, TIMES, USERS, Look
from sightline.tasks.clicks.data.lines import arrow, first_lines
from sightline.tasks.clicks.data.pieces import pieces
from sightline.tasks.clicks.data.schema import Field, Schema
from sightline.tasks.clicks.data.sets import likely_separator

DELIMITERS = "\t,;|"
LIBSVM = re.compile(r"[-+]?\d+(\.\d+)?( +\d+:\S+)+ *")
NUMERIC = re.compile(r"[-+]?\d*\.?\d+([eE][-+]?\d+)?|[0-9a-f]{8}|")


def recognise(path: Path) -> Schema:
    """What the columns of a log are.

    Args:
        path: a file of text, compressed or not, or a Parquet file.

    Raises:
        DataError: it is not a log.
    """
    check_file(path, "log", error=DataError)
    with path.open("rb") as file:
        if file.read(4) == b"PAR1":
            return of_parquet(path)
    lines = first_lines(path)
    if all(LIBSVM.fullmatch(line.strip()) for line in lines[:20]):
        return of_libsvm(lines)
    look = look_at(path, lines)
    schemas = (layout(look) for layout in LAYOUTS)
    return next(schema for schema in schemas if schema is not None)


def look_at(path: Path, lines: list[str]) -> Look:
    """Delimiter, cells and header of the first lines.

    Raises:
        DataError: nothing parts the columns.
    """
    if lines[0].count("::") >= 2:
        return Look(path, "::", [line.split("::") for line in lines], header=False)
    delimiter = max(DELIMITERS, key=lines[0].count)
    if not lines[0].count(delimiter):
        raise DataError(
            f"the log {str(path)!r} has one column only: no tab, comma, semicolon or bar in its first line; is it a "
            "log of clicks?"
        )
    cells = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter)]
    return Look(path, delimiter, cells, header=not all(NUMERIC.fullmatch(cell) for cell in cells[0]))


def of_libsvm(lines: list[str]) -> Schema:
    """Libsvm and libFM, `label index:value`; libffm, `label field:index:value`: the place in the row is the field."""
    rows = [line.split()[1:] for line in lines]
    aware = rows[0][0].count(":") == 2
    names = [entry.split(":")[0] if aware else str(place) for place, entry in enumerate(rows[0])]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        names = [str(place) for place in range(len(names))]
    columns = tuple(f"field_{name}" for name in names)
    fields = []
    for place, name in enumerate(columns):
        entries = [row[place].split(":") for row in rows if place < len(row)]
        same_index = len({entry[-2] for entry in entries}) == 1
        valued = any(float(entry[-1]) != 1 for entry in entries)
        fields.append(Field(name=name, kind="number" if same_index and valued else "category"))
    layout = "libffm" if aware else "libFM or libsvm"
    return Schema(
        layout=layout,
        columns=("label", *columns),
        fields=tuple(fields),
        label="label",
        header=False,
        notes=("the place in the row is the field",),
    )


def of_parquet(path: Path) -> Schema:
    """Parquet: types say what is a number; FuxiCTR's `feature_map.json` is heeded where it lies beside."""
    pa = arrow()
    import pyarrow.parquet as pq

    types = {own.name: own.type for own in pq.read_schema(path)}
    nested = {name: kind for name, kind in types.items() if pa.types.is_nested(kind)}
    sets = {name for name, kind in nested.items() if _is_of_tokens(pa, kind)}
    listed = nested.keys() - sets
    feature_map = path.with_name("feature_map.json")
    label = next((name for name in types if name.lower() in LABELS), "")
    kinds = {name: "number" if pa.types.is_floating(kind) else "category" for name, kind in types.items()}
    kinds |= dict.fromkeys(sets, "set")
    notes: tuple[str, ...] = ()
    if feature_map.is_file():
        content = json.loads(feature_map.read_text(encoding="utf-8"))
        label = (content.get("labels") or [label])[0]
        said = {name: own.get("type", "") for entry in content["features"] for name, own in entry.items()}
        kinds |= {name: "number" for name, kind in said.items() if kind == "numeric"}
        kinds |= {name: "category" for name, kind in said.items() if kind == "categorical"}
        notes = ("kinds are those of feature_map.json",)
    time = next((name for name in types if name.lower() in TIMES), "")
    fields = [name for name in types if name not in (label, time) and name not in listed]
    return Schema(
        layout="FuxiCTR Parquet" if notes else "Parquet",
        columns=tuple(types),
        fields=tuple(Field(name=name, kind=kinds[name]) for name in fields),
        label=label,
        positive=4.0 if label == "rating" else None,
        group=next((name for name in types if name.lower() in USERS), ""),
        time=time,
        left_out=dict.fromkeys(sorted(listed), "a list of numbers in every row"),
        notes=notes,
    )


def _is_of_tokens(pa: Any, kind: Any) -> bool:
    """Whether cells are lists of words or of whole numbers."""
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)):
        return False
    inside = kind.value_type
    return bool(pa.types.is_string(inside) or pa.types.is_large_string(inside) or pa.types.is_integer(inside))


def with_separators(schema: Schema, path: Path) -> Schema:
    """The schema with a separator for every set that has none yet, found by reading the first rows.

    Args:
        schema: what the columns are.
        path: the log.
    """
    open_ones = {own.name for own in schema.fields if own.kind == "set" and not own.separator}
    if not open_ones:
        return schema
    columns = next(pieces(path, schema)).columns
    known = {
        name: ""
        if arrow().types.is_nested(columns[name].type)
        else likely_separator([str(cell) for cell in columns[name].slice(0, 1000).to_pylist()])
        for name in open_ones
    }
    return replace(
        schema, fields=tuple(replace(own, separator=known.get(own.name, own.separator)) for own in schema.fields)
    )
