"""`sightline predict clicks`: the probability of a click for every row of a log."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from sightline.common.settings import Settings, setting
from sightline.terminal.screen import picture_bar, say, say_json, say_note


@dataclass(frozen=True, kw_only=True)
class PredictOptions(Settings):
    """What is predicted by which network."""

    PANEL = "What to predict"

    weights: Path = setting(Path("clicks.safetensors"), "Weights that `sightline train clicks` wrote.")
    out: Path = setting(Path("clicks.csv"), "Table: row, probability, utility; .parquet writes Parquet.")
    as_json: bool = setting(False, "The figures as JSON on standard output.", "--json")


def predict(
    log: Annotated[Path, typer.Argument(help="Log of the columns that the network was trained on.")],
    options: PredictOptions,
) -> None:
    """Predict the probability of a click for every row of a log.

    Where the log has labels, log loss and AUC are shown too.
    """
    from sightline.tasks.clicks.predict.predictions import write_predictions

    with picture_bar() as report:
        figures = write_predictions(log, options.weights, options.out, report)
    if options.as_json:
        say_json({**figures, "files": [str(options.out)]})
        return
    _show(figures)
    say(f"{options.out} written")


def _show(figures: dict[str, Any]) -> None:
    if "choices" in figures:
        _show_choices(figures)
        return
    say(f"{figures['rows']} rows, mean probability {figures['predicted']:.4f}")
    if figures["loss"] is None:
        say_note("the log has no labels, so there is no log loss and no AUC")
        return
    value = "does not exist: all labels are the same" if figures["auc"] is None else f"{figures['auc']:.4f}"
    say(f"log loss {figures['loss']:.4f}, AUC {value}, observed click rate {figures['observed']:.4f}")


def _show_choices(figures: dict[str, Any]) -> None:
    say(f"{figures['choices']} choices among {figures['rows']} alternatives")
    if figures["loss"] is None:
        say_note("the log has no labels, so there is no log loss")
        return
    say(
        f"log loss {figures['loss']:.4f} (equal shares {figures['equal']:.4f}), the likeliest alternative was "
        f"chosen in {figures['hits']:.1%}"
    )
