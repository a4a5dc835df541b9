"""`sightline train clicks`: a network of clicks on a log of one's own."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from sightline.common.settings import Settings, setting
from sightline.tasks.clicks.recipe import ClickRecipe
from sightline.terminal.config import Config, command_line
from sightline.terminal.guard import WEIGHTS, RunOptions, training
from sightline.terminal.screen import picture_bar, say, say_alarm, say_json, say_note

if TYPE_CHECKING:
    from sightline.tasks.clicks.metrics.outcome import ClickFigures

SHOWN = {"loss": "train/loss", "validation loss": "val/loss", "validation AUC": "val/AUC"}
"""Figures of an epoch's line."""


@dataclass(frozen=True, kw_only=True)
class ClickRun(RunOptions):
    """Where this training writes."""

    out: Path = setting(Path("clicks.safetensors"), WEIGHTS)


@dataclass(frozen=True, kw_only=True)
class ClickSource(Settings):
    """Where the log is."""

    PANEL = "Data"

    data: Path | None = setting(
        None,
        "Log: Criteo, Avazu, MovieLens, RecBole, FuxiCTR, Open Bandit, libsvm, libffm, or any CSV, TSV or Parquet "
        "file, also .gz and .zst. Default: a simulated log.",
    )
    test_data: Path | None = setting(None, "Log of the same columns to test on. Default: a share of the log.")


def clicks(
    ctx: typer.Context, run: ClickRun, source: ClickSource, recipe: ClickRecipe, config: Config = None
) -> None:
    """Train a network of clicks: any classical click model, as a case of one interaction layer.

    What the columns are is found by reading the log and shown first. Interrupted? The same command goes on after the
    last finished epoch.
    """
    settings = recipe.toy() if run.toy else recipe
    with training(run.folder):
        from sightline.tasks.clicks.train.experiment import schema_of, train_clicks
        from sightline.terminal.lines import EpochLines
        from sightline.training.reporter import Reporter

        if source.data is not None:
            for name, value in schema_of(source.data, settings.data).rows():
                say_note(f"{name}: {value}")
        lines = EpochLines(settings.loop.epochs, SHOWN)
        reporter = Reporter(picture_bar, lines, sys.stderr.isatty(), command_line(ctx))
        outcome = train_clicks(source.data, run.out, settings, run.folder, test=source.test_data, reporter=reporter)
    if outcome is not None:
        _report(outcome, as_json=run.as_json)


def _report(outcome: ClickFigures, *, as_json: bool) -> None:
    """The figures for people or for programs."""
    from sightline.tasks.clicks.report import estimates_table, verdict

    if as_json:
        record = {**asdict(outcome), "alarm": outcome.alarm, "files": [str(path) for path in outcome.files]}
        if outcome.logistic is not None:
            record["logistic"].pop("files")
        say_json(record)
        return
    for note in outcome.notes:
        say_note(note)
    say(verdict(outcome))
    for row in estimates_table(outcome)[1:]:
        say(", ".join(row))
    say(f"calibration error {outcome.error:.4f}; epoch {outcome.best} of {outcome.epochs} was kept")
    if outcome.alarm:
        say_alarm(outcome.alarm)
    say(f"{', '.join(map(str, outcome.files))} written")
