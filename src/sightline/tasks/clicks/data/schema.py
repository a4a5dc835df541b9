"""`Schema`: what every column of a log is; it is shown before training and kept with the weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MISSING = ("", "NA", "NaN", "nan", "null", "None", "\\N")
"""What stands for a number that is not known."""
Side = tuple[str, str]
"""A table that is joined: its file's path, and the column that it shares with the log."""


@dataclass(frozen=True, kw_only=True)
class Field:
    """A column that a network reads.

    Args:
        name: its column.
        kind: `category`, `number`, or `set`: several categories in a cell.
        separator: what parts the categories of a set in a text; empty where cells are lists.
    """

    name: str
    kind: str = "category"
    separator: str = ""


@dataclass(frozen=True, kw_only=True)
class Schema:
    """What the columns of a log are.

    Args:
        layout: the format, as it was recognised.
        columns: all columns in the order of the file.
        fields: those that a network reads.
        label: the column that says whether it was clicked.
        positive: value of the label from which on it counts as a click; None where labels are 0 and 1 (or -1 and 1).
        group: the column of users, for gAUC; empty for none.
        time: the column of times; empty for none.
        position: the column of positions in the list; empty for none.
        propensity: the column of the probability with which the item was shown; empty for none.
        case: the column that is the same for all alternatives of one choice; empty where rows are apart.
        available: the column that is 0 where an alternative could not be chosen; empty for none.
        outside: whether a case may end without a choice; learnt from the log.
        left_out: columns that are not read, and why.
        delimiter: what parts the columns; empty for Parquet and libsvm.
        header: whether the first line names them.
        sides: tables that are joined.
        notes: what a reader should know of how it was recognised.
    """

    layout: str
    columns: tuple[str, ...]
    fields: tuple[Field, ...]
    label: str
    positive: float | None = None
    group: str = ""
    time: str = ""
    position: str = ""
    propensity: str = ""
    case: str = ""
    available: str = ""
    outside: bool = False
    left_out: Mapping[str, str] = field(default_factory=dict)
    delimiter: str = ""
    header: bool = True
    sides: tuple[Side, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def numbers(self) -> tuple[str, ...]:
        """Names of the fields that are numbers."""
        return tuple(own.name for own in self.fields if own.kind == "number")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all fields."""
        return tuple(own.name for own in self.fields)

    def rows(self) -> list[tuple[str, str]]:
        """What is shown of it: pairs of words."""
        categories = [own.name for own in self.fields if own.kind == "category"]
        sets = [own.name for own in self.fields if own.kind == "set"]
        rule = "1 (0, or -1, is not)" if self.positive is None else f"{self.positive:g} or more"
        rows = [
            ("format", self.layout),
            ("click", f"{self.label!r} is {rule}"),
            (f"categories ({len(categories)})", _listed(categories)),
            (f"numbers ({len(self.numbers)})", _listed(self.numbers)),
            (f"sets of categories ({len(sets)})", _listed(sets)),
        ]
        aside = self.time in self.columns and self.time not in self.names
        time = f"{self.time} (no input; --number {self.time} makes it one)" if aside else self.time
        roles = {"users": self.group, "time": time, "position": self.position, "propensity": self.propensity}
        roles |= {"choices (cases)": self.case, "available": self.available}
        rows += [(role, name) for role, name in roles.items() if name]
        rows += [(f"left out: {name}", reason) for name, reason in self.left_out.items()]
        rows += [("joined", f"{path} by {key}") for path, key in self.sides]
        return [(name, value) for name, value in rows if value] + [("note", note) for note in self.notes]


def _listed(names: tuple[str, ...] | list[str], most: int = 12) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
