"""`sightline explain clicks`: why one row of a log has its probability."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from sightline.common.settings import Settings, setting
from sightline.terminal.screen import say, say_json


@dataclass(frozen=True, kw_only=True)
class ExplainRow(Settings):
    """What is explained, of which network."""

    PANEL = "What to explain"

    row: int = setting(1, "Row of the log, from 1, without the header.", low=1)
    weights: Path = setting(Path("clicks.safetensors"), "Weights that `sightline train clicks` wrote.")
    out: Path = setting(Path("clicks-row"), "Folder of the page; page.html and summary.json are written into it.")
    as_json: bool = setting(False, "The parts as JSON on standard output.", "--json")


def explain(
    log: Annotated[Path, typer.Argument(help="Log of the columns that the network was trained on.")],
    options: ExplainRow,
) -> None:
    """Explain one row of a log: which fields and pairs of fields make its probability, and what would change it."""
    from sightline.tasks.clicks.explain.run import explain_row

    story, record = explain_row(log, options.weights, options.row, options.out)
    if options.as_json:
        say_json(record)
        return
    for text in (story.sentence, *story.change_sentences):
        say(text)
    for name, cells, value in story.part_rows(8):
        say(f"  {value:+.3f}  {name}  ({cells})")
    say(f"{options.out / 'page.html'} written")
