"""The card and the run page of a network of several labels, made from measured figures."""

from __future__ import annotations

import datetime
import os

from sightline.common.text import markdown, markdown_row
from sightline.tasks.classification.multilabel.pictures import LabelledPictures
from sightline.tasks.classification.recipe import ClassifyRecipe
from sightline.tasks.classification.report import descent
from sightline.training.labels.report import kept_text, label_facts, table_words, tables
from sightline.training.labels.scores import MultiLabelled
from sightline.training.standing import described

_PAGE = """# A network of {count} labels

This page was written by the command that trained it. A picture can have any number of these labels, or none. The
figures are of test pictures; thresholds were chosen on validation pictures, which are others.
{alarm}
| | |
|---|---|
{facts}

{sections}

## Limits
{limits}
"""


def facts(outcome: MultiLabelled, pictures: LabelledPictures, recipe: ClassifyRecipe) -> dict[str, str]:
    """What card and run page say in a table, by name."""
    own, device = recipe.network, recipe.machine
    return {
        **label_facts(outcome, recipe.operating.aim),
        "data": f"{pictures.source}: {len(pictures.train)} to learn from, {len(pictures.val)} for thresholds, "
        f"{len(pictures.test)} to test; {recipe.data.side} px",
        "network": f"{own.model}, weights {own.begins_with}; {outcome.parameters} parameters",
        "training": f"{outcome.epochs} epochs, {kept_text(outcome)}, batch {recipe.loop.batch_size}, "
        f"{descent(recipe)}, {described(recipe.tuning)}, augmentation {recipe.data.augment}, seed {device.seed}",
        "machine": f"{os.cpu_count()} CPU cores, {device.devices} device(s), {device.device}",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def card(outcome: MultiLabelled, about: dict[str, str], command: str) -> str:
    """Everything that a user of the weights should know.

    Args:
        outcome: the figures.
        about: from `facts`.
        command: that trained it.
    """
    words = table_words(outcome)
    return _PAGE.format(
        count=len(outcome.scores),
        alarm=f"\n**{outcome.alarm}**\n" if outcome.alarm else "",
        facts="\n".join(markdown_row((name, text)) for name, text in {**about, "command": f"`{command}`"}.items()),
        sections="\n\n".join(
            f"## {name}\n\n{words[name]}\n\n{markdown(rows)}" for name, rows in tables(outcome).items()
        ),
        limits="\n".join(f"- {note}" for note in outcome.notes) or "Only as good as its data.",
    )
