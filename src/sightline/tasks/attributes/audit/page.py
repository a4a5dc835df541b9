"""The audit page: weaknesses of a network and of its data, each with its evidence, interval and command.

It takes plain records, so that it knows neither detectors nor tensors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sightline.reports.document import document
from sightline.reports.output import write_page


class Picture(Protocol):
    """A photo of a finding."""

    @property
    def source(self) -> str:
        """The picture as a `data:` address."""

    @property
    def name(self) -> str:
        """Name of the photo."""

    @property
    def words(self) -> str:
        """What it shows."""


@dataclass(frozen=True)
class Row:
    """One weakness.

    Args:
        id: identifier of the record.
        where: class, attribute, picture or pair.
        says: the weakness in a sentence.
        effect, low, high: its size with the 95 % interval.
        null: the size without the weakness.
        p: p-value of an exact test, or None.
        evidence: the numbers behind it.
        pictures: photos that show it.
    """

    id: str
    where: str
    says: str
    effect: float
    low: float
    high: float
    null: float
    p: float | None
    evidence: Mapping[str, str | int | float]
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True)
class Section:
    """What one detector found.

    Args:
        kind: its name.
        subject: `network` or `data`.
        question: what it answers.
        measure: what its effects are, in words.
        rule: when something is reported.
        tested: how many places were looked at.
        found: how many were reported.
        skipped: why nothing was looked at, or empty.
        summary: numbers about all that was looked at.
        command: what prints it again.
        rows: the strongest findings.
        says: what all of it comes to; empty where the findings say it.
        table: one line per place that was looked at; its first line names the columns. Empty where there is none.
    """

    kind: str
    subject: str
    question: str
    measure: str
    rule: str
    tested: int
    found: int
    skipped: str
    summary: Mapping[str, str | int | float]
    command: str
    rows: tuple[Row, ...]
    says: str = ""
    table: tuple[tuple[str, ...], ...] = ()


def audit_page(
    sections: Sequence[Section], *, title: str, verdict: str, facts: Mapping[str, str], notes: Sequence[str] = ()
) -> str:
    """One self-contained HTML page.

    Args:
        sections: the detectors, in their order.
        title: heading.
        verdict: what matters most, in words.
        facts: network, data, pictures and the like.
        notes: what was noticed in the data, a sentence each.
    """
    subjects = [
        (name, [(one, _axis(one)) for one in sections if one.subject == name]) for name in ("network", "data")
    ]
    return document(
        "page.html.j2",
        title=title,
        package="sightline.tasks.attributes.audit",
        styles=["bars.css", "page.css"],
        filters={"number": worded},
        verdict=verdict,
        facts=facts,
        notes=notes,
        first=[(one, one.rows[0]) for one in sections if one.rows],
        subjects=[(name, some) for name, some in subjects if some],
        command="sightline audit eat",
    )


def save_audit(
    sections: Sequence[Section],
    path: str | Path,
    *,
    title: str,
    verdict: str,
    facts: Mapping[str, str],
    notes: Sequence[str] = (),
) -> Path:
    """Write the page, whole or not at all.

    Raises:
        ResultError: the file cannot be written.
    """
    return write_page(path, audit_page(sections, title=title, verdict=verdict, facts=facts, notes=notes))


def worded(value: str | int | float | None) -> str:
    """A number in at most four digits, anything else as it is.

    Example:
        >>> worded(0.123456), worded(12), worded("few")
        ('0.1235', '12', 'few')
    """
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def lines_of(records: Sequence[Mapping[str, str | int | float]]) -> tuple[tuple[str, ...], ...]:
    """Records as a table whose first line names the columns; a value and its interval stand in one cell.

    Example:
        >>> lines_of([{"skill": 0.5, "skill, from": 0.4, "skill, to": 0.6, "pictures": 9}])
        (('skill', 'pictures'), ('0.50 [0.40, 0.60]', '9'))
    """
    if not records:
        return ()
    columns = [name for name in records[0] if not name.endswith((", from", ", to"))]
    return (tuple(columns), *(tuple(_cell(record, name) for name in columns) for record in records))


def _cell(record: Mapping[str, str | int | float], name: str) -> str:
    ends = [record.get(f"{name}, {end}") for end in ("from", "to")]
    value = record[name]
    if isinstance(value, float) and all(isinstance(end, float) for end in ends):
        return f"{value:.2f} [{ends[0]:.2f}, {ends[1]:.2f}]"
    return worded(value)


def _axis(section: Section) -> list[tuple[Row, float, float, float, float]]:
    """Every row with the places of its interval, its effect and its null on the section's axis, in percent."""
    values = [v for row in section.rows for v in (row.low, row.high, row.null, row.effect) if math.isfinite(v)]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    margin = 0.03 * ((high - low) or 1.0)
    low, high = low - margin, high + margin

    def at(value: float) -> float:
        return round(100 * (min(max(value, low), high) - low) / (high - low), 2)

    return [(row, at(row.low), at(row.high), at(row.effect), at(row.null)) for row in section.rows]
