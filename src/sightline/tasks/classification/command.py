"""`sightline train classify`: any classifier with any gate, on pictures of one's own, CIFAR, or drawn scenes."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sightline.common.settings import Settings, setting
from sightline.tasks.classification.recipe import CONFIGS, ClassifyRecipe
from sightline.terminal.config import command_line, reading
from sightline.terminal.guard import WEIGHTS, RunOptions, training
from sightline.terminal.screen import picture_bar, say, say_alarm, say_json, say_note

if TYPE_CHECKING:
    from sightline.tasks.classification.metrics import Classified
    from sightline.training.labels.scores import MultiLabelled

NAMED = ", ".join(sorted(path.stem for path in CONFIGS.glob("*.toml")))
Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        callback=reading(CONFIGS),
        is_eager=True,
        help=f"TOML file of these options, or a published recipe: {NAMED}. The command line beats it.",
    ),
]


@dataclass(frozen=True, kw_only=True)
class ClassifyRun(RunOptions):
    """Where this training writes."""

    out: Path = setting(Path("classifier.safetensors"), WEIGHTS)


@dataclass(frozen=True, kw_only=True)
class Source(Settings):
    """Where the pictures are."""

    PANEL = "Data"

    data: str = setting(
        "aviary",
        "Folder: train/CLASS/* with test/CLASS/* or val/CLASS/*, CLASS/*, pictures with labels.csv (one class or "
        "several labels each), CIFAR's binary version. 'aviary' draws scenes.",
    )


SHOWN = {
    "loss": "train/loss",
    "accuracy": "train/accuracy",
    "held-out accuracy": "val/accuracy",
    "validation AUROC": "val/mean AUROC",
}
"""Figures of an epoch's line."""


def classify(
    ctx: typer.Context, run: ClassifyRun, source: Source, recipe: ClassifyRecipe, config: Config = None
) -> None:
    """Train a classifier, plain or with an attention module, and test it.

    Interrupted? The same command goes on after the last finished epoch, to the same weights bit for bit.
    """
    with training(run.folder):
        from sightline.tasks.classification.train import train_classify
        from sightline.terminal.lines import EpochLines
        from sightline.training.reporter import Reporter

        settings = recipe.toy() if run.toy else recipe
        lines = EpochLines(settings.loop.epochs, SHOWN)
        reporter = Reporter(picture_bar, lines, sys.stderr.isatty(), command_line(ctx))
        outcome = train_classify(source.data, run.out, settings, run.folder, reporter=reporter)
    if outcome is None:
        return
    from sightline.training.labels.scores import MultiLabelled

    if isinstance(outcome, MultiLabelled):
        _tell_labels(outcome, as_json=run.as_json)
    else:
        _tell(outcome, as_json=run.as_json)


def _tell_labels(outcome: MultiLabelled, *, as_json: bool) -> None:
    """The figures of several labels for people or for programs."""
    from sightline.terminal.screen import say_table
    from sightline.training.labels.report import narrow_tables, verdict

    if as_json:
        record = {**asdict(outcome), "files": [str(path) for path in outcome.files], "alarm": outcome.alarm}
        say_json(record)
        return
    for note in outcome.notes:
        say_note(note)
    for columns, *rows in narrow_tables(outcome):
        say_table(columns, rows)
    say(verdict(outcome))
    if outcome.alarm:
        say_alarm(outcome.alarm)
    say(f"{', '.join(map(str, outcome.files))} written")


def _tell(outcome: Classified, *, as_json: bool) -> None:
    """The figures for people or for programs."""
    from sightline.tasks.classification.report import OPTIMISTIC, PUT_ASIDE

    low, high = outcome.interval
    probe = {"probe": outcome.control.accuracy, "alarm": outcome.control.alarm}
    if as_json:
        record = {
            **{name: value for name, value in asdict(outcome).items() if name not in ("right", "control")},
            **probe,
            "accuracy": outcome.accuracy,
            "interval": [low, high],
            "remark": f"best: {OPTIMISTIC if outcome.kept is None else PUT_ASIDE}",
        }
        say_json({**record, "files": [str(path) for path in outcome.files]})
        return
    for note in outcome.notes:
        say_note(note)
    say(
        f"test accuracy, {outcome.when}: {outcome.accuracy:.4f} ({low:.4f}-{high:.4f}) on {outcome.total} pictures; "
        f"always the most frequent class: {outcome.frequent / outcome.total:.4f}"
    )
    if outcome.control.fact:
        say(f"linear probe {outcome.control.fact}")
    if outcome.control.alarm:
        say_alarm(outcome.control.alarm)
    if outcome.kept is None:
        say(f"best over {outcome.epochs} epochs {outcome.best:.4f} in epoch {outcome.best_epoch} ({OPTIMISTIC})")
    gated = f", gate at {outcome.scheme}" if outcome.scheme else ", no gate"
    say(f"{outcome.parameters} parameters{gated}; {', '.join(map(str, outcome.files))} written")
