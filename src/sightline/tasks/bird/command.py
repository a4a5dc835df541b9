"""`sightline train birdnet`: the bundled model again from nothing."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import typer

from sightline.common.settings import setting
from sightline.tasks.bird.recipe import BirdRecipe
from sightline.terminal.config import Config, command_line
from sightline.terminal.guard import WEIGHTS, RunOptions, training
from sightline.terminal.screen import picture_bar, say, say_json


@dataclass(frozen=True, kw_only=True)
class BirdRun(RunOptions):
    """Where this training writes."""

    out: Path = setting(Path("birdnet.safetensors"), WEIGHTS)


def birdnet(ctx: typer.Context, run: BirdRun, recipe: BirdRecipe, config: Config = None) -> None:
    """Draw scenes, train, measure on held-out scenes, write weights and model card.

    Interrupted? The same command goes on after the last finished epoch.
    """
    with training(run.folder):
        from sightline.tasks.bird.train import train_birdnet
        from sightline.terminal.lines import EpochLines
        from sightline.training.reporter import Reporter

        chosen = recipe.toy() if run.toy else recipe
        lines = EpochLines(chosen.loop.epochs, {"loss": "train/loss"})
        reporter = Reporter(picture_bar, lines, sys.stderr.isatty(), command_line(ctx))
        measures = train_birdnet(run.out, chosen, run.work, reporter=reporter)
    if measures is None:
        return
    files = [run.out, run.out.with_suffix(".md"), run.out.with_suffix(".html")]
    low, high = measures.interval
    if run.as_json:
        figures = {"accuracy": measures.accuracy, "interval": [low, high], "scenes": measures.scenes}
        words = {"attribute_accuracy": measures.attribute_accuracy, "attribute_base": measures.attribute_base}
        say_json({**figures, **words, "files": [str(path) for path in files]})
        return
    say(f"class accuracy {measures.accuracy:.4f} ({low:.4f}-{high:.4f}) on {measures.scenes} held-out scenes")
    base = f"most frequent value: {measures.attribute_base:.4f}"
    say(f"attribute accuracy, attributes by chance {measures.attribute_accuracy:.4f} ({base})")
    say(f"{', '.join(map(str, files))} written")
