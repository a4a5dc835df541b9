"""The page of Markdown that lies beside a classifier's weights, made from measured figures."""

from __future__ import annotations

import datetime
import os
from typing import TYPE_CHECKING

from sightline.common.statistics.intervals import wilson
from sightline.tasks.classification.data.pictures import Pictures
from sightline.tasks.classification.recipe import ClassifyRecipe

if TYPE_CHECKING:
    from sightline.tasks.classification.train import Classified

OPTIMISTIC = "optimistic: the test pictures themselves chose the epoch"
_PAGE = """# A classifier of {classes} classes

This page was written by the command that trained it; the figures are of its test pictures.

| | |
|---|---|
{facts}

The interval is over test pictures, for this one training. Another seed gives another network: whether a gate helps
can only be said from several paired seeds, beside a plain network and a constant gate.

## Limits
{limits}
"""


def facts(found: Classified, pictures: Pictures, recipe: ClassifyRecipe) -> dict[str, str]:
    """What card and run page say in a table, by name."""
    low, high = found.interval
    base = wilson(found.frequent, found.total)
    return {
        "test accuracy, last epoch": f"{found.accuracy:.4f} (95 % interval {low:.4f} to {high:.4f}, "
        f"{found.total} pictures)",
        "always the most frequent class": f"{found.frequent / found.total:.4f} ({base[0]:.4f} to {base[1]:.4f})",
        "best over epochs": f"{found.best:.4f} in epoch {found.best_epoch} ({OPTIMISTIC})",
        "data": f"{pictures.source}: {len(pictures.train)} to learn from, {len(pictures.test)} to test; "
        f"{recipe.size} px",
        "network": _network(found, recipe),
        "gate": _gate(found, recipe),
        "training": f"{found.epochs} epochs, batch {recipe.batch}, SGD {recipe.rate:g}, momentum "
        f"{recipe.momentum:g}, times {recipe.factor:g} after {', '.join(map(str, recipe.milestones))}, "
        f"decay {recipe.decay:g}, "
        f"augmentation {recipe.augment}, seed {recipe.seed}, precision {recipe.precision}",
        "machine": f"{os.cpu_count()} CPU cores, {recipe.devices} device(s), accelerator {recipe.accelerator}",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def card(found: Classified, pictures: Pictures, about: dict[str, str], command: str) -> str:
    """Everything that a user of the weights should know.

    Args:
        found: the figures.
        pictures: the data.
        about: from `facts`.
        command: that trained it.
    """
    table = {**about, "command": f"`{command}`"}
    return _PAGE.format(
        classes=len(pictures.classes),
        facts="\n".join(f"| {name} | {_cell(fact)} |" for name, fact in table.items()),
        limits="\n".join(f"- {note}" for note in found.notes) or "Only as good as its data.",
    )


def _cell(text: str) -> str:
    """A scheme's bars must not end a cell."""
    return text.replace("|", "\\|")


def _network(found: Classified, recipe: ClassifyRecipe) -> str:
    said = "".join(f", {name}={value}" for name, value in recipe.model_args.items())
    left = "".join(
        f", without {what}" for what, has in (("shortcuts", recipe.skip), ("norms", recipe.norm)) if not has
    )
    return f"{recipe.model}{said}{left}, weights {recipe.weights}; {found.parameters} parameters"


def _gate(found: Classified, recipe: ClassifyRecipe) -> str:
    if not found.scheme:
        return "none"
    own = "" if recipe.reduction is None else f", reduction {recipe.reduction}"
    return f"{recipe.gate}{own}, shared by {recipe.share}, scheme {found.scheme}, start {recipe.start}"
