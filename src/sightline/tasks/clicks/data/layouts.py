"""Layouts: formats that are known by their header or by their first lines; any other is read as a table.

Each function takes what the first lines look like and gives a schema, or None where it is another format.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sightline.errors import DataError, near
from sightline.tasks.clicks.data.schema import MISSING, Field, Schema
from sightline.tasks.clicks.data.sets import separator_of

LABELS = ("label", "click", "clk", "clicked", "is_click", "isclick", "y", "target", "conversion", "rating")
USERS = ("user_id", "userid", "user", "uid", "visitor_id", "customer_id")
TIMES = ("timestamp", "time_stamp", "time", "datetime", "date", "ts")
ROW_NUMBERS = ("id", "row_id", "rowid", "index", "")
GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
"""Columns of MovieLens-100K's `u.item`, in their order."""
GENRE_SET = Field(name="genres", kind="set", separator="|")
"""MovieLens' genres of a film."""


@dataclass(frozen=True)
class Look:
    """What the first lines look like.

    Args:
        path: the file.
        delimiter: what parts the columns.
        cells: of every line.
        header: whether the first line names the columns.
    """

    path: Path
    delimiter: str
    cells: Sequence[Sequence[str]]
    header: bool

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns: those of the header, or c0, c1 and so on."""
        first = self.cells[0]
        return tuple(first) if self.header else tuple(f"c{number}" for number in range(len(first)))

    def column(self, place: int) -> list[str]:
        """Cells of a column below the header that are known."""
        rows = self.cells[1:] if self.header else self.cells
        return [row[place] for row in rows if place < len(row) and row[place] not in MISSING]


def criteo(look: Look) -> Schema | None:
    """Criteo's logs: a label, 13 numbers and 26 hashes, with or without a header."""
    numbers, categories = [f"I{n}" for n in range(1, 14)], [f"C{n}" for n in range(1, 27)]
    by_name = {name.lower(): name for name in look.names}
    if not look.header and len(look.cells[0]) == 40 and look.cells[0][0] in ("0", "1"):
        columns: tuple[str, ...] = ("label", *numbers, *categories)
        label = "label"
    elif {"i1", "i13", "c1", "c26", "label"} <= set(by_name):
        columns, label = look.names, by_name["label"]
    else:
        return None
    fields = [Field(name=n, kind="number") for n in columns if n in numbers] + [
        Field(name=n) for n in columns if n in categories
    ]
    rest = {n: "a number for every row" for n in columns if n.lower() in ROW_NUMBERS}
    return _schema(look, "Criteo", columns, tuple(fields), label, left_out=rest)


def avazu(look: Look) -> Schema | None:
    """Avazu's logs: `hour` is YYMMDDHH, from which the hour of the day, the weekday and the weekend are made."""
    if not {"click", "hour", "banner_pos", "site_id", "device_ip"} <= set(look.names):
        return None
    fields = [name for name in look.names if name not in ("id", "click", "hour")]
    made = ("hour_of_day", "weekday", "weekend")
    return _schema(
        look,
        "Avazu",
        look.names,
        tuple(Field(name=name) for name in (*fields, *made)),
        "click",
        time="hour",
        left_out={"id": "a number for every row"} if "id" in look.names else {},
        notes=("hour is split into hour_of_day, weekday and weekend",),
    )


def movielens(look: Look) -> Schema | None:
    """MovieLens' ratings: four columns of numbers without a header, with users and items from the files beside."""
    first = look.cells[0]
    if look.header or len(first) != 4 or not all(re.fullmatch(r"\d+(\.\d+)?", cell) for cell in first):
        return None
    rows = [row for row in look.cells if len(row) == 4]
    if not all(0.5 <= float(row[2]) <= 5 and float(row[3]) > 1e8 for row in rows):
        return None
    columns = ("user_id", "item_id", "rating", "timestamp")
    fields = ["user_id", "item_id"]
    sides = []
    for name, key, more in (
        ("u.user", "user_id", ("age", "gender", "occupation", "zip")),
        ("users.dat", "user_id", ("gender", "age", "occupation", "zip")),
        ("u.item", "item_id", ("genres",)),
        ("movies.dat", "item_id", ("genres",)),
    ):
        if (look.path.parent / name).is_file():
            sides.append((str(look.path.parent / name), key))
            fields += more
    return _schema(
        look,
        "MovieLens",
        columns,
        tuple(GENRE_SET if name == GENRE_SET.name else Field(name=name) for name in fields),
        "rating",
        positive=4.0,
        group="user_id",
        time="timestamp",
        sides=tuple(sides),
        notes=("a rating of 4 or 5 counts as a click; --positive changes it",),
    )


def recbole(look: Look) -> Schema | None:
    """RecBole's atomic files: `name:type` in the header; `.user` and `.item` beside an `.inter` are joined."""
    pairs = [name.rpartition(":") for name in look.names]
    if not look.header or not all(kind in ("token", "token_seq", "float", "float_seq") for _, _, kind in pairs):
        return None
    sides, more = [], []
    for ending in (".user", ".item"):
        side = look.path.with_suffix(ending)
        if look.path.suffix == ".inter" and side.is_file():
            header = side.open(encoding="utf-8").readline().rstrip("\r\n").split("\t")
            sides.append((str(side), header[0].rpartition(":")[0]))
            more += [name.rpartition(":") for name in header[1:]]
    label = next((name for name, _, _ in pairs if name.lower() in LABELS), "")
    time = next((name for name, _, _ in pairs if name.lower() in TIMES), "")
    inputs = [(name, kind) for name, _, kind in (*pairs, *more) if name not in (label, time) and kind != "float_seq"]
    return _schema(
        look,
        "RecBole atomic file",
        tuple(name for name, _, _ in pairs),
        tuple(ATOMIC[kind](name) for name, kind in inputs),
        label,
        positive=4.0 if label == "rating" else None,
        group=next((name for name, _, _ in pairs if name.lower() in USERS), ""),
        time=time,
        sides=tuple(sides),
    )


ATOMIC: dict[str, Callable[[str], Field]] = {
    "token": lambda name: Field(name=name),
    "float": lambda name: Field(name=name, kind="number"),
    "token_seq": lambda name: Field(name=name, kind="set", separator=" "),
}
"""RecBole's types of columns; lists of numbers are left out."""


def open_bandit(look: Look) -> Schema | None:
    """Open Bandit's logs: position and true propensity; the items' context is joined where it lies beside."""
    if not {"click", "propensity_score", "position", "item_id"} <= set(look.names):
        return None
    fields = [Field(name="item_id")]
    fields += [Field(name=name) for name in look.names if name.startswith("user_feature")]
    fields += [Field(name=name, kind="number") for name in look.names if "affinity" in name]
    context = look.path.parent / "item_context.csv"
    if context.is_file():
        fields.append(Field(name="item_feature_0", kind="number"))
        fields += [Field(name=f"item_feature_{number}") for number in (1, 2, 3)]
    columns = tuple(name or "row" for name in look.names)
    return _schema(
        look,
        "Open Bandit",
        columns,
        tuple(fields),
        "click",
        time="timestamp",
        position="position",
        propensity="propensity_score",
        left_out={"row": "a number for every row"} if "row" in columns else {},
        sides=((str(context), "item_id"),) if context.is_file() else (),
        notes=("position is not an input: it is known only after the list is made; figures are given per position",),
    )


def named(look: Look) -> Schema:
    """Any table: columns that are decimals are numbers, every other is a category."""
    columns = tuple(name or "row" for name in look.names)
    by_name = {name.lower(): name for name in reversed(columns)}
    label = next((by_name[name] for name in LABELS if name in by_name), "")
    time = next((by_name[name] for name in TIMES if name in by_name), "")
    left_out = {name: "a number for every row" for name in columns if name.lower() in (*ROW_NUMBERS, "row")}
    others = [name for name in columns if name.lower() in LABELS and name != label]
    left_out |= dict.fromkeys(others, "another label: it is known only after the click")
    fields, notes = [], []
    for place, name in enumerate(columns):
        if name in (label, time) or name in left_out:
            continue
        cells = look.column(place)
        separator = separator_of(cells, look.delimiter)
        kind = "number" if _is_number(name, cells) else "set" if separator else "category"
        if kind == "category" and (odd := _odd_one(name, cells)):
            notes.append(f"{name} is read as a category, since a cell is {odd!r}; --number {name} names its line")
        fields.append(Field(name=name, kind=kind, separator=separator))
    return _schema(
        look,
        "table",
        columns,
        tuple(fields),
        label,
        positive=4.0 if label == "rating" else None,
        group=next((by_name[name] for name in USERS if name in by_name), ""),
        time=time,
        position=by_name.get("position", ""),
        left_out=left_out,
        notes=tuple(notes),
    )


LAYOUTS: tuple[Callable[[Look], Schema | None], ...] = (criteo, avazu, open_bandit, recbole, movielens, named)
"""Formats, the most particular first; the last takes every table."""


def _is_number(name: str, cells: Sequence[str]) -> bool:
    """Decimals, or integers under a name that says so."""
    if not cells or not all(re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", cell) for cell in cells):
        return False
    return any("." in cell for cell in cells) or re.match(r"I\d+$|(num|dense|price|cost)", name) is not None


def _odd_one(name: str, cells: Sequence[str]) -> str:
    """The cell that keeps a column of decimals from being read as numbers; empty where it is none of those."""
    odd = [cell for cell in cells if not _is_number("price", [cell])]
    mostly = 0 < len(odd) <= 0.1 * len(cells)
    decimals = _is_number(name, [cell for cell in cells if cell not in odd])
    return odd[0][:40] if mostly and decimals else ""


def _schema(
    look: Look, layout: str, columns: tuple[str, ...], fields: tuple[Field, ...], label: str, **more: object
) -> Schema:
    return Schema(
        layout=layout,
        columns=columns,
        fields=fields,
        label=label,
        delimiter=look.delimiter,
        header=look.header,
        **more,  # type: ignore[arg-type]
    )


ROLES = {"group": "user"}
"""Roles whose option has another name."""
KINDS = {"number": "number", "category": "category", "tokens": "set"}
"""What an option makes of the columns that it names."""


def changed(schema: Schema, path: Path, **roles: object) -> Schema:
    """The schema with what the user says of it.

    Args:
        schema: as it was recognised.
        path: the file, for error texts.
        roles: `label`, `positive`, `group`, `time`, `case`, `available`; `drop`, `number`, `category` and `tokens`
            are names of columns.

    Raises:
        DataError: there is no such column, no label, or no field is left.
    """
    known = (*schema.columns, *schema.names)
    for role in ("label", "group", "time", "case", "available"):
        if (name := str(roles.get(role) or "")) and name not in known:
            raise DataError(
                f"the log {str(path)!r} has no column {name!r} for --{ROLES.get(role, role)}; {near(name, known)}"
            )
    label = str(roles.get("label") or schema.label)
    if not label:
        raise DataError(
            f"which column of {str(path)!r} says whether it was clicked? Name it with --label; its columns are "
            f"{', '.join(schema.columns[:40])}"
        )
    sets = {name: set(roles.get(name) or ()) for name in ("drop", "number", "category", "tokens")}  # type: ignore[call-overload]
    for option, names in sets.items():
        for name in names - set(known):
            raise DataError(f"the log {str(path)!r} has no column {name!r} for --{option}; {near(name, known)}")
    kinds = {name: KINDS[option] for option in KINDS for name in sets[option]}
    no_inputs = {label, *sets["drop"], *(str(roles.get(role) or "") for role in ("case", "available"))}
    inputs = [own for own in schema.fields if own.name not in no_inputs]
    inputs += [Field(name=name) for name in kinds if name not in schema.names and name != label]
    if not inputs:
        raise DataError(f"the log {str(path)!r} has no column left to predict a click from; it was read as {known}")
    positive = roles.get("positive")
    return replace(
        schema,
        label=label,
        fields=tuple(_of_kind(own, kinds.get(own.name, own.kind)) for own in inputs),
        positive=schema.positive if positive is None and label == schema.label else positive,  # type: ignore[arg-type]
        group=str(roles.get("group") or schema.group),
        time=str(roles.get("time") or schema.time),
        case=str(roles.get("case") or ""),
        available=str(roles.get("available") or ""),
        notes=tuple(note for note in schema.notes if note.partition(" ")[0] not in kinds),
        left_out={**schema.left_out, **dict.fromkeys(sets["drop"], "--drop")},
    )


def _of_kind(own: Field, kind: str) -> Field:
    """The field as another kind; what is no set has no separator."""
    return replace(own, kind=kind, separator=own.separator if kind == "set" else "")
