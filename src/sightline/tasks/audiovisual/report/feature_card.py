"""Run page and card of a network of events that learned from frozen features, made from measured figures."""

from __future__ import annotations

from sightline.common.settings import option_texts
from sightline.common.statistics.intervals import wilson
from sightline.reports.run_page import Run
from sightline.tasks.audiovisual.data.feature_set import FeatureSet
from sightline.tasks.audiovisual.metrics.features import FeatureFigures
from sightline.tasks.audiovisual.recipe import EventRecipe
from sightline.tasks.audiovisual.report.card import markdown
from sightline.training.probe import Probe

WHEN = (
    "On clips whose event leaves a part of them out: whether the curve peaks while the event lasts. Compare with "
    "plain loudness before you believe it."
)


def feature_verdict(figures: FeatureFigures, probe: Probe | None) -> str:
    """What came of the training, beside its controls."""
    low, high = figures.interval
    parts = [
        f"{figures.accuracy:.1%} of {len(figures.right)} held-out clips named right (95 % {low:.1%} to {high:.1%})",
        f"most frequent event {figures.majority:.1%}",
        f"picture alone {figures.picture:.1%}",
        f"sound alone {figures.sound:.1%}",
    ]
    if probe is not None:
        parts.append(f"linear probe {sum(probe.right) / len(probe.right):.1%}")
    text = "; ".join(parts) + "."
    return f"{text} {alarm_of(figures, probe)}".strip()


def alarm_of(figures: FeatureFigures, probe: Probe | None) -> str:
    """A sentence that should stop a reader; empty for none."""
    if figures.interval[0] <= figures.majority:
        return "No gain over the most frequent event is shown, so do not use these weights."
    if probe is not None and sum(figures.right) < sum(probe.right):
        return "A linear probe on the pooled features names more clips right."
    return ""


def feature_run(
    figures: FeatureFigures,
    data: FeatureSet,
    probe: Probe | None,
    *,
    recipe: EventRecipe,
    epochs: int,
    command: str,
) -> Run:
    """What the run page says beside its curves."""
    low, high = figures.interval
    share = f"{low:.1%} to {high:.1%} (95 %); most frequent event {figures.majority:.1%}"
    headline = [("accuracy", f"{figures.accuracy:.1%}", share)]
    if figures.precision:
        own, guess = figures.mean_precision
        headline.append(("mean average precision", f"{own:.3f}", f"a guess: {guess:.3f}"))
    if figures.when is not None and figures.chance is not None:
        headline.append(("when", f"{figures.when.mean:.1%}", f"chance {figures.chance.mean:.1%}"))
    return Run(
        title="Network of events, from frozen features",
        verdict=feature_verdict(figures, probe),
        headline=headline,
        facts=_facts(figures, data, probe),
        recipe=option_texts(recipe),
        notes=data.notes,
        best=epochs,
        tables={"Each event": _events(figures)} if figures.precision else {},
        words={
            "Each event": "Average precision over held-out clips; a guess reaches the share of clips that have it."
        },
        command=command,
        alarm=alarm_of(figures, probe),
    )


def _facts(figures: FeatureFigures, data: FeatureSet, probe: Probe | None) -> dict[str, str]:
    own = data.facts
    facts = {
        "clips": f"{len(data.train)} to learn from, {len(data.held)} held out; {len(data.classes)} events",
        "labels": "several of a clip" if data.multi else "one of a clip",
        "features": f"{own.encoder}, layer {own.layer}, {own.pixels}" if own.encoder else "of files, maker not known",
        "picture alone": f"{figures.picture:.4f}",
        "sound alone": f"{figures.sound:.4f}",
        "most frequent event": f"{figures.majority:.4f}",
    }
    if probe is not None:
        low, high = wilson(sum(probe.right), len(probe.right))
        facts["linear probe"] = f"{sum(probe.right) / len(probe.right):.4f} ({low:.4f} to {high:.4f})"
    if figures.when is not None:
        facts["when"] = f"{figures.when}; chance {figures.chance}. {WHEN}"
    return facts


def _events(figures: FeatureFigures) -> list[list[str]]:
    rows = [["event", "average precision", "share of clips"]]
    names = sorted(figures.precision, key=lambda name: -figures.precision[name])
    return rows + [[name, f"{figures.precision[name]:.3f}", f"{figures.prevalence[name]:.3f}"] for name in names]


def feature_card(run: Run) -> str:
    """What a user of the weights should know."""
    facts = markdown([["", ""], *([name, value] for name, value in run.facts.items())])
    tables = "\n\n".join(
        f"## {name}\n\n{run.words[name]}\n\n{markdown([*map(list, rows)])}" for name, rows in run.tables.items()
    )
    notes = "\n".join(f"- {note}" for note in run.notes)
    return f"""# A network of events

It learned from frozen features of clips. This page was written by the command that trained it.

{run.verdict}

{facts}

{tables}

{notes}

`{run.command}`

The network follows the abstract of "Where and When" (arXiv 2105.01517); its equations and figures are not public, so
nothing here reproduces that paper.
"""
