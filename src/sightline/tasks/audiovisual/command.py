"""The verbs of events: `sightline train events`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import typer

from sightline.common.settings import setting
from sightline.tasks.audiovisual.recipe import EventRecipe
from sightline.terminal.config import Config, command_line
from sightline.terminal.guard import WEIGHTS, RunOptions, training
from sightline.terminal.screen import picture_bar, say, say_json


@dataclass(frozen=True, kw_only=True)
class EventRun(RunOptions):
    """Where this training writes."""

    out: Path = setting(Path("events.safetensors"), WEIGHTS)


def events(ctx: typer.Context, run: EventRun, recipe: EventRecipe, config: Config = None) -> None:
    """Train a network that names events in video with sound, and shows where and when (drawn scenes).

    Interrupted? The same command goes on after the last finished epoch, to the same weights bit for bit.
    """
    with training(run.folder):
        from sightline.tasks.audiovisual.train import train_events
        from sightline.terminal.lines import EpochLines
        from sightline.training.reporter import Reporter

        chosen = recipe.toy() if run.toy else recipe
        lines = EpochLines(chosen.loop.epochs, {"loss": "train/loss", "accuracy": "val/accuracy"})
        reporter = Reporter(picture_bar, lines, sys.stderr.isatty(), command_line(ctx))
        judged = train_events(run.out, chosen, run.folder, reporter=reporter)
    if judged is None:
        return
    from sightline.tasks.audiovisual.metrics.measure import record
    from sightline.tasks.audiovisual.report.card import verdict

    files = [run.out, run.out.with_suffix(".md"), run.out.with_suffix(".html")]
    if run.as_json:
        say_json({**record(judged), "files": [str(path) for path in files]})
        return
    say(verdict(judged))
    for one in judged.negative[1:]:
        say(f"sound {one.sound}: mass on the former source {one.mass.mean:.3f}, its area {one.area:.3f}")
    say(f"{', '.join(map(str, files))} written")
