"""`sightline train contrastive`: an image encoder."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import typer

from sightline.common.settings import setting
from sightline.tasks.contrastive.recipe import ContrastiveRecipe
from sightline.terminal.config import Config, command_line
from sightline.terminal.guard import WEIGHTS, RunOptions, training
from sightline.terminal.screen import picture_bar, say, say_json


@dataclass(frozen=True, kw_only=True)
class ContrastiveRun(RunOptions):
    """Where this training writes."""

    out: Path = setting(Path("encoder.safetensors"), WEIGHTS)


def contrastive(ctx: typer.Context, run: ContrastiveRun, recipe: ContrastiveRecipe, config: Config = None) -> None:
    """Train an image encoder with InfoNCE on the aviary: two scenes of one species belong together.

    Interrupted? The same command goes on after the last finished epoch.
    """
    with training(run.folder):
        from sightline.tasks.contrastive.train import train_contrastive
        from sightline.terminal.lines import EpochLines
        from sightline.training.reporter import Reporter

        chosen = recipe.toy() if run.toy else recipe
        lines = EpochLines(chosen.loop.epochs, {"loss": "train/loss"})
        reporter = Reporter(picture_bar, lines, sys.stderr.isatty(), command_line(ctx))
        retrieval = train_contrastive(run.out, chosen, run.work, reporter=reporter)
    if retrieval is None:
        return
    files = [run.out, run.out.with_suffix(".md"), run.out.with_suffix(".html")]
    low, high = retrieval.interval
    if run.as_json:
        figures = {"accuracy": retrieval.accuracy, "interval": [low, high], **asdict(retrieval)}
        say_json({**figures, "files": [str(path) for path in files]})
        return
    base = f"chance {retrieval.chance:.4f}, untrained {retrieval.untrained / retrieval.queries:.4f}"
    share = f"{retrieval.accuracy:.4f} ({low:.4f}-{high:.4f})"
    say(f"retrieval accuracy@1 {share} of {retrieval.queries} queries; {base}")
    say(f"{', '.join(map(str, files))} written")
