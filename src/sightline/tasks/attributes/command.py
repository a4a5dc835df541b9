"""`sightline train eat`: a network that is taught attributes."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from sightline.common.settings import Settings, setting
from sightline.tasks.attributes.recipe import EatRecipe
from sightline.terminal.config import Config, command_line
from sightline.terminal.guard import WEIGHTS, RunOptions, training
from sightline.terminal.screen import picture_bar, say, say_alarm, say_json, say_note, say_table

if TYPE_CHECKING:
    from sightline.tasks.attributes.train.experiment import Trained
    from sightline.training.labels.scores import MultiLabelled


@dataclass(frozen=True, kw_only=True)
class EatRun(RunOptions):
    """Where this training writes."""

    out: Path = setting(Path("eat.safetensors"), WEIGHTS)


@dataclass(frozen=True, kw_only=True)
class Source(Settings):
    """Where the pictures are."""

    PANEL = "Data"

    data: Path | None = setting(
        None, "Photos with attributes: a drawn world, CUB, AwA2, SUN, CSV. Default: the aviary, drawn."
    )


SHOWN = {
    "loss": "train/loss",
    "validation loss": "val/loss",
    "accuracy": "val/accuracy",
    "mean AUROC": "val/mean AUROC",
    "attribute score": "val/attribute score",
}
"""Figures of an epoch's line."""


def eat(ctx: typer.Context, run: EatRun, source: Source, recipe: EatRecipe, config: Config = None) -> None:
    """Teach any classifier attributes as a second task, so that it can say in words what it decides by.

    Interrupted? The same command goes on after the last finished epoch, to the same weights bit for bit.
    """
    with training(run.folder):
        from sightline.tasks.attributes.train.experiment import train_eat
        from sightline.terminal.lines import EpochLines
        from sightline.training.reporter import Reporter

        chosen = recipe.toy() if run.toy else recipe
        lines = EpochLines(chosen.loop.epochs, SHOWN)
        reporter = Reporter(picture_bar, lines, sys.stderr.isatty(), command_line(ctx))
        outcome = train_eat(source.data, run.out, chosen, run.folder, reporter=reporter)
    if outcome is not None:
        _tell(outcome, as_json=run.as_json)


def _tell(outcome: Trained, *, as_json: bool) -> None:
    """The figures for people or for programs."""
    if as_json:
        _tell_programs(outcome)
        return
    for note in outcome.notes:
        say_note(note)
    if outcome.labels is not None:
        _tell_labels(outcome.labels)
    else:
        _tell_classes(outcome)
    _tell_attributes(outcome)
    say(f"epoch {outcome.best} of {outcome.epochs} kept; {', '.join(map(str, outcome.files))} written")


def _tell_programs(outcome: Trained) -> None:
    """All figures as JSON."""
    judged, labels = outcome.judged, outcome.labels
    record: dict[str, Any] = {name: value for name, value in asdict(judged).items() if name != "right"}
    if labels is not None:
        own = {name: value for name, value in asdict(labels).items() if name not in ("files", "notes")}
        record |= {"labels": own, "alarm": labels.alarm}
    else:
        record |= {"accuracy": judged.accuracy, "interval": list(judged.interval)}
        record |= {"probe": outcome.control.accuracy, "alarm": outcome.control.alarm}
    run = {
        "judged_on": outcome.judged_on,
        "epochs": outcome.epochs,
        "best": outcome.best,
        "notes": list(outcome.notes),
        "files": [str(path) for path in outcome.files],
    }
    say_json({**record, **run})


def _tell_labels(labels: MultiLabelled) -> None:
    """How labels are told apart, and their thresholds."""
    from sightline.training.labels.report import narrow_tables, verdict

    for columns, *rows in narrow_tables(labels):
        say_table(columns, rows)
    say(verdict(labels))
    if labels.alarm:
        say_alarm(labels.alarm)


def _tell_classes(outcome: Trained) -> None:
    """How classes are named."""
    judged = outcome.judged
    low, high = judged.interval
    say(f"class accuracy {judged.accuracy:.4f} ({low:.4f}-{high:.4f}) on {judged.pictures} {outcome.judged_on}")
    say(f"always the most frequent class: {judged.chance / max(1, judged.pictures):.4f}")
    if outcome.control.fact:
        say(f"linear probe {outcome.control.fact}")
    if outcome.control.alarm:
        say_alarm(outcome.control.alarm)


def _tell_attributes(outcome: Trained) -> None:
    """How attributes are read and spoken of."""
    from sightline.tasks.attributes.report import truthfulness

    judged = outcome.judged
    known = "class" if outcome.labels is None else "labels"
    if judged.choices:
        shares = [[100 * c.right / max(1, c.total) for c in read] for read in (judged.choices, judged.by_class)]
        base = sum(100 * c.base / max(1, c.total) for c in judged.choices)
        means = [sum(column) / len(judged.choices) for column in shares]
        say(
            f"attribute groups read right {means[0]:.1f} % (most frequent value {base / len(judged.choices):.1f} %, "
            f"predicted from the true {known} {means[1]:.1f} %)"
        )
    if judged.rankings:
        means = [sum(r.precision for r in read) / len(read) for read in (judged.rankings, judged.ranked_by_class)]
        share = sum(r.share for r in judged.rankings) / len(judged.rankings)
        say(f"average precision {means[0]:.3f} (share {share:.3f}, predicted from the true {known} {means[1]:.3f})")
    for own in judged.distances:
        say(
            f"{own.name}: mean error {own.error} of the scale (middle value {own.median:.3f}, less ours "
            f"{own.over_median}; true {known} {own.by_class:.3f}, less ours {own.over_class}), "
            f"quadratic kappa {own.kappa:.3f}"
        )
    if judged.within is not None:
        say(f"within classes {judged.within} of {judged.pairs} pairs ranked right (class alone: 0.5)")
    if judged.energy is not None:
        say(
            f"class map on the object {judged.energy.inside} (object's area {judged.energy.area:.3f}, mean map of "
            f"the other pictures {judged.energy.mean_map:.3f}, difference {judged.energy.over_mean_map})"
        )
    say(f"texts: {truthfulness(judged.texts)}")
