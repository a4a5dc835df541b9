"""Card and run page of a network of clicks, made from measured figures."""

from __future__ import annotations

from typing import Any

from sightline.common.settings import option_texts
from sightline.reports.curves import COLOURS, INK, svg
from sightline.reports.run_page import Run
from sightline.tasks.clicks.data.prepare import PARTS, Prepared
from sightline.tasks.clicks.metrics.outcome import ClickFigures
from sightline.tasks.clicks.metrics.scores import Bin
from sightline.tasks.clicks.network.presets import PRESETS
from sightline.tasks.clicks.recipe import ClickRecipe

CONTROLS = ("always the click rate", "logistic regression")
Facts = dict[str, str]


def control_names(outcome: ClickFigures) -> tuple[str, str]:
    """What the figures stand beside."""
    return ("equal shares", "linear utility") if outcome.cases else CONTROLS


def auc_words(figures: ClickFigures) -> str:
    """The AUC with its interval."""
    if figures.auc is None:
        return "does not exist: all labels are the same"
    if figures.interval is None:
        return f"{figures.auc:.4f}"
    return f"{figures.auc:.4f} ({figures.interval[0]:.4f} to {figures.interval[1]:.4f}, 95 %)"


def verdict(outcome: ClickFigures) -> str:
    """What came of it, beside the simplest models."""
    if outcome.cases:
        return _choice_verdict(outcome)
    text = (
        f"On {outcome.rows} test rows with {outcome.clicks} clicks the log loss is {outcome.loss:.4f} and the AUC "
        f"{auc_words(outcome)}. Always the click rate has a log loss of {outcome.constant:.4f}"
    )
    if outcome.logistic is None:
        return f"{text}."
    return f"{text}, logistic regression {outcome.logistic.loss:.4f} and an AUC of {auc_words(outcome.logistic)}."


def _choice_verdict(outcome: ClickFigures) -> str:
    """The same of choices."""
    text = (
        f"On {outcome.cases} test choices among {outcome.rows} alternatives the log loss is {outcome.loss:.4f}, and "
        f"the likeliest alternative was chosen in {outcome.hits:.1%}. Equal shares have a log loss of "
        f"{outcome.constant:.4f}"
    )
    if outcome.logistic is None:
        return f"{text}."
    return f"{text}, a linear utility {outcome.logistic.loss:.4f} and {outcome.logistic.hits:.1%}."


def facts(outcome: ClickFigures, data: Prepared, recipe: ClickRecipe, command: str) -> Facts:
    """All final figures."""
    always, linear = control_names(outcome)
    own = {"log loss": f"{outcome.loss:.4f}", f"log loss, {always}": f"{outcome.constant:.4f}"}
    if outcome.logistic is not None:
        own[f"log loss, {linear}"] = f"{outcome.logistic.loss:.4f}"
    if outcome.cases:
        own["choices"] = str(outcome.cases)
        own["likeliest alternative was chosen"] = f"{outcome.hits:.4f}"
    else:
        own["AUC"] = auc_words(outcome)
        if outcome.logistic is not None:
            own["AUC, logistic regression"] = auc_words(outcome.logistic)
    if outcome.group_auc is not None:
        value, count = outcome.group_auc
        within = "choices" if outcome.cases else "users"
        own[f"AUC within {within}"] = f"{value:.4f} over {count} {within} with clicks and non-clicks"
    if outcome.entropy is not None:
        own["normalised entropy"] = f"{outcome.entropy:.4f} (1 is always the click rate of these rows)"
    own |= {
        "calibration error (ECE)": f"{outcome.error:.4f}",
        "predicted and observed click rate": f"{outcome.predicted:.4f} and {outcome.rate:.4f}",
        **{name: f"{data.rows[name]} rows, {data.clicks[name]} clicks" for name in PARTS},
        "model": f"{recipe.network.model}: {PRESETS[recipe.network.model].title}, d = {recipe.network.width}",
        "epoch": f"{outcome.best} of {outcome.epochs}, chosen on validation rows",
        "seed": str(recipe.machine.seed),
        "command": f"`{command}`",
    }
    return own


def estimates_table(outcome: ClickFigures) -> list[tuple[str, ...]]:
    """Rates by position and values of other policies; empty where the log has neither."""
    if not outcome.estimates:
        return []
    rows = [(e.name, f"{e.value:.4f}", f"{e.low:.4f} to {e.high:.4f}", str(e.rows)) for e in outcome.estimates]
    return [("click rate", "estimate", "95 % interval", "rows"), *rows]


def run_of(outcome: ClickFigures, data: Prepared, recipe: ClickRecipe, *, title: str, command: str) -> Run:
    """What the run page says beside its curves."""
    tables: dict[str, Any] = {"What the columns are": [("", ""), *data.encoder.schema.rows()]}
    if rows := estimates_table(outcome):
        tables["Positions and policies"] = rows
    control = outcome.logistic
    headline = [
        ("log loss", f"{outcome.loss:.4f}", "lower is better"),
        (control_names(outcome)[0], f"{outcome.constant:.4f}", "log loss of the control that knows nothing of a row"),
    ]
    if control is not None:
        linear = control_names(outcome)[1]
        headline.append((linear, f"{control.loss:.4f}", "log loss of the model without interactions"))
    return Run(
        title=title,
        verdict=verdict(outcome),
        headline=headline,
        facts=facts(outcome, data, recipe, command),
        recipe=option_texts(recipe),
        notes=outcome.notes,
        best=outcome.best,
        tables=tables,
        command=command,
        alarm=outcome.alarm,
        drawings=[
            (
                "Calibration",
                reliability_svg(outcome.bins),
                f"Predicted and observed click rate in {len(outcome.bins)} bins of equally many test rows; they "
                "are the same on the dashed line.",
            )
        ],
    )


def reliability_svg(bins: tuple[Bin, ...]) -> str:
    """Observed over predicted rates, with the line on which they are the same."""

    def draw(axes: Any) -> None:
        top = max(max(own.predicted, own.observed) for own in bins)
        axes.plot([0, top], [0, top], color=INK, linestyle="--", linewidth=0.8, alpha=0.6)
        predicted, observed = [own.predicted for own in bins], [own.observed for own in bins]
        axes.plot(predicted, observed, color=COLOURS[0], marker="o", markersize=3.5)
        axes.set_xlabel("predicted click rate")
        axes.set_ylabel("observed")

    return svg("calibration", draw, name="observed over predicted click rate")


def card(outcome: ClickFigures, data: Prepared, recipe: ClickRecipe, command: str) -> str:
    """What a user of the weights should know."""
    rows = "\n".join(f"| {name} | {value} |" for name, value in facts(outcome, data, recipe, command).items())
    columns = "\n".join(f"| {name} | {value} |" for name, value in data.encoder.schema.rows())
    alarm = f"\n**{outcome.alarm}**\n" if outcome.alarm else ""
    table = estimates_table(outcome)
    extra = ""
    if table:
        lines = ["| " + " | ".join(row) + " |" for row in table]
        extra = "\n## Positions and policies\n\n" + "\n".join([lines[0], "|---|---|---|---|", *lines[1:]]) + "\n"
    return f"""# A network of clicks

{verdict(outcome)} The interval is over test rows, for this one training; another seed gives another network. A click
rate that was predicted holds for logs like this one only.
{alarm}
| | |
|---|---|
{rows}
{extra}
## What the columns are

| | |
|---|---|
{columns}
"""
