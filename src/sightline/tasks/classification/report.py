"""The page of Markdown that lies beside a classifier's weights, made from measured figures."""

from __future__ import annotations

import datetime
import os

from sightline.common.statistics.intervals import wilson
from sightline.tasks.classification.data.pictures import Pictures
from sightline.tasks.classification.metrics import Classified
from sightline.tasks.classification.recipe import ClassifyRecipe
from sightline.training.standing import described

OPTIMISTIC = "optimistic: the test pictures themselves chose the epoch"
PUT_ASIDE = "of the training pictures that were put aside"
_PAGE = """# A classifier of {classes} classes

This page was written by the command that trained it; the figures are of its test pictures.
{alarm}
| | |
|---|---|
{facts}

The interval is over test pictures, for this one training. Another seed gives another network: whether a gate helps
can only be judged from several paired seeds, beside a plain network and a constant gate.

## Limits
{limits}
"""


def facts(outcome: Classified, pictures: Pictures, recipe: ClassifyRecipe) -> dict[str, str]:
    """What card and run page say in a table, by name."""
    low, high = outcome.interval
    base = wilson(outcome.frequent, outcome.total)
    device = recipe.machine
    return {
        f"test accuracy, {outcome.when}": f"{outcome.accuracy:.4f} (95 % interval {low:.4f} to {high:.4f}, "
        f"{outcome.total} pictures)",
        "always the most frequent class": f"{outcome.frequent / outcome.total:.4f} ({base[0]:.4f} to {base[1]:.4f})",
        **({"linear probe": outcome.control.fact} if outcome.control.fact else {}),
        **(
            {"best over epochs": f"{outcome.best:.4f} in epoch {outcome.best_epoch} ({OPTIMISTIC})"}
            if outcome.kept is None
            else {}
        ),
        "data": f"{pictures.source}: {len(pictures.train)} to learn from, "
        f"{f'{len(pictures.val)} to choose the epoch, ' if len(pictures.val) else ''}{len(pictures.test)} to test; "
        f"{recipe.data.side} px",
        "network": _network(outcome, recipe),
        "gate": _gate(outcome, recipe),
        "training": f"{outcome.epochs} epochs, batch {recipe.loop.batch_size}, {descent(recipe)}, "
        f"{described(recipe.tuning)}, augmentation {recipe.data.augment}, seed {device.seed}, "
        f"precision {device.precision}",
        "machine": f"{os.cpu_count()} CPU cores, {device.devices} device(s), {device.device}",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def verdict(outcome: Classified) -> str:
    """What came of the training, beside a guess that never looks at an image."""
    low, high = outcome.interval
    guess = outcome.frequent / outcome.total
    text = (
        f"The network names the class of {outcome.accuracy:.1%} of {outcome.total} test images (95 % interval "
        f"{low:.1%} to {high:.1%}). Always naming the most frequent class would reach {guess:.1%}"
    )
    if low > guess:
        return f"{text}."
    return f"{text}: no more than that guess is shown, so do not use these weights."


def headline(outcome: Classified) -> list[tuple[str, str, str]]:
    """Figures to look at first: name, value, and what it means."""
    low, high = outcome.interval
    return [
        (
            "test accuracy",
            f"{outcome.accuracy:.1%}",
            f"share of test images whose class is right, {_after(outcome)}; 95 % interval {low:.1%} to {high:.1%} "
            "over images, for this one training",
        ),
        (
            "most frequent class",
            f"{outcome.frequent / outcome.total:.1%}",
            "the control: what naming one class every time reaches",
        ),
        *outcome.control.figures,
        _chosen(outcome),
        ("parameters", f"{outcome.parameters:,}", "numbers that were trained, gates included"),
    ]


def _after(outcome: Classified) -> str:
    return "after the last epoch" if outcome.kept is None else outcome.when


def _chosen(outcome: Classified) -> tuple[str, str, str]:
    """The best epoch: looked at where the last is kept, kept where validation pictures chose it."""
    if outcome.kept is None:
        words = f"in epoch {outcome.best_epoch}; {OPTIMISTIC}, so do not report it"
        return "best epoch", f"{outcome.best:.1%}", words
    words = f"of {outcome.epochs}: its loss on the images that were put aside is lowest; 0 is the start"
    return "kept epoch", str(outcome.kept), words


def card(outcome: Classified, pictures: Pictures, about: dict[str, str], command: str) -> str:
    """Everything that a user of the weights should know.

    Args:
        outcome: the figures.
        pictures: the data.
        about: from `facts`.
        command: that trained it.
    """
    table = {**about, "command": f"`{command}`"}
    return _PAGE.format(
        classes=len(pictures.classes),
        alarm=f"\n**{outcome.control.alarm}**\n" if outcome.control.alarm else "",
        facts="\n".join(f"| {name} | {_cell(fact)} |" for name, fact in table.items()),
        limits="\n".join(f"- {note}" for note in outcome.notes) or "Only as good as its data.",
    )


def _cell(text: str) -> str:
    """A scheme's bars must not end a cell."""
    return text.replace("|", "\\|")


def descent(recipe: ClassifyRecipe) -> str:
    """Optimiser, learning rate and decay, in words."""
    own = recipe.optim
    smoothing = f", labels smoothed by {own.label_smoothing:g}" if own.label_smoothing else ""
    if own.optimizer == "adamw":
        return f"AdamW {own.lr:g} on a cosine, decay {own.weight_decay:g}{smoothing}"
    falls = f"times {own.lr_gamma:g} after {', '.join(map(str, own.milestones(recipe.loop.epochs)))}"
    return f"SGD {own.lr:g}, momentum {own.momentum:g}, {falls}, decay {own.weight_decay:g}"


def _network(outcome: Classified, recipe: ClassifyRecipe) -> str:
    own = recipe.network
    arguments = "".join(f", {name}={value}" for name, value in own.model_args.items())
    lacks = "".join(f", without {what}" for what, has in (("shortcuts", own.skip), ("norms", own.norm)) if not has)
    return f"{own.model}{arguments}{lacks}, weights {own.begins_with}; {outcome.parameters} parameters"


def _gate(outcome: Classified, recipe: ClassifyRecipe) -> str:
    if not outcome.scheme:
        return "none"
    own = recipe.gating
    reduction = "" if own.reduction is None else f", reduction {own.reduction}"
    return f"{own.gate}{reduction}, shared by {own.share}, scheme {outcome.scheme}, start {own.start}"
