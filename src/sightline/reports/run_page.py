"""The run page: one self-contained HTML file with a training's result, its curves, its figures and its recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sightline.reports.curves import Row, drawn, panels_of
from sightline.reports.document import document

__all__ = ["Row", "Run", "run_page"]


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a training's page says beside its curves.

    Args:
        title: heading.
        verdict: what came of it, in a sentence or two, beside what a guess would have reached.
        headline: figures to look at first: name, value, and what it means.
        facts: all final figures, by name.
        recipe: options and their values.
        notes: what was noticed in the data.
        best: the epoch that was kept, from 1; 0 where it was the start.
        tables: further tables by their heading; the first row is the header.
        words: for a table's heading, what its columns mean.
        command: command line that trained the network.
        alarm: a sentence that should stop a reader; empty for none.
        drawings: further drawings: heading, SVG text as `curves.svg` makes it, and what is seen.
    """

    title: str
    verdict: str
    facts: Mapping[str, str]
    recipe: Mapping[str, str]
    best: int
    headline: Sequence[tuple[str, str, str]] = ()
    notes: Sequence[str] = ()
    tables: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)
    command: str = "sightline train"
    alarm: str = ""
    drawings: Sequence[tuple[str, str, str]] = ()


def run_page(rows: Sequence[Row], run: Run) -> str:
    """The page as text.

    Args:
        rows: figures of every epoch.
        run: everything else.
    """
    from markupsafe import Markup

    panels = [(panel, Markup(drawn(panel, run.best))) for panel in panels_of(rows)]  # noqa: S704 - our own drawing
    names = list(dict.fromkeys(name for row in rows for name in row))
    epochs = [(str(epoch), *(_cell(row.get(name)) for name in names)) for epoch, row in enumerate(rows, 1)]
    return document(
        "run.html.j2",
        title=run.title,
        inline_styles=True,
        run=run,
        panels=panels,
        drawings=[(title, Markup(text), words) for title, text, words in run.drawings],  # noqa: S704 - likewise
        count=len(rows),
        names=("epoch", *names),
        epochs=epochs,
        command=run.command.partition(" --")[0],
    )


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
