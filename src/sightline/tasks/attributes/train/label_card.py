"""The card of an attribute network of several labels, made from measured figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sightline.common.text import markdown, markdown_row
from sightline.tasks.attributes.data.pictures import Pictures
from sightline.tasks.attributes.recipe import EatRecipe
from sightline.tasks.attributes.report import (
    SECTION_WORDS,
    attribute_sections,
    how_trained,
    limits,
    shown_on,
    text_table,
    truthfulness,
    within,
)
from sightline.training.labels.report import kept_text, label_facts, table_words
from sightline.training.labels.report import tables as label_tables
from sightline.training.labels.scores import MultiLabelled

if TYPE_CHECKING:
    from sightline.tasks.attributes.train.experiment import Trained

KNOWN = (
    "*By class* in these tables is somebody who knows all labels of a picture and never looks at it: logistic "
    "regression of each attribute on the labels, from training pictures. *Within classes* compares pictures with the "
    "same labels."
)
_PAGE = """# A network with attributes and several labels

Finds {labels} labels, of which a picture can have any number or none, and reads {attributes} attributes. This page
was written by the command that trained it; figures are of {judged_on}, and thresholds were chosen on validation
pictures, which are others.
{alarm}
| | |
|---|---|
{facts}

{label_sections}

## Attributes
{known}

{within}

{tables}

## Texts
What `sightline explain` says of the labels that it flags on {spoken} of these pictures; nothing where it flags none.
An attribute is called seen only where the network beat both controls on {shown_on}:
how frequent it is, and what the flagged labels imply. The controls here name as many attributes of each picture.

{texts}

## Limits
{limits}
"""


def facts(outcome: Trained, pictures: Pictures, recipe: EatRecipe) -> dict[str, str]:
    """What the card and the run page say in a table, by name."""
    labels, own = _labels(outcome), outcome.judged
    return {
        **label_facts(labels, recipe.operating.aim),
        "calibration error": f"{own.calibration:.4f} (without calibration {own.uncalibrated:.4f})",
        "texts": truthfulness(own.texts),
        "within classes": within(own).partition(": ")[2],
        **how_trained(pictures, recipe, f"{outcome.epochs} epochs, {kept_text(labels)}"),
    }


def words(labels: MultiLabelled) -> dict[str, str]:
    """What the columns of all tables mean, by their heading."""
    return {**table_words(labels), **{name: f"{text} {KNOWN}" for name, text in SECTION_WORDS.items()}}


def card(outcome: Trained, pictures: Pictures, recipe: EatRecipe, about: dict[str, str], command: str) -> str:
    """Everything that a user of the weights should know.

    Args:
        outcome: its figures.
        pictures: its data.
        recipe: how it was trained.
        about: facts of the training, as `facts` returns them.
        command: command line that trained the network.
    """
    labels, own = _labels(outcome), outcome.judged
    meanings = table_words(labels)
    table = {**about, "command": f"`{command}`"}
    sections = [f"## {name}\n\n{meanings[name]}\n\n{markdown(rows)}" for name, rows in label_tables(labels).items()]
    return _PAGE.format(
        labels=len(labels.scores),
        attributes=len(pictures.vocabulary),
        judged_on=outcome.judged_on,
        alarm=f"\n**{labels.alarm}**\n" if labels.alarm else "",
        facts="\n".join(markdown_row(row) for row in table.items()),
        label_sections="\n\n".join(sections),
        known=KNOWN,
        within=within(own),
        tables=attribute_sections(own),
        spoken=own.texts.pictures,
        shown_on=shown_on(pictures, recipe),
        texts=text_table(own.texts),
        limits=limits(pictures, outcome.notes),
    )


def _labels(outcome: Trained) -> MultiLabelled:
    if outcome.labels is None:
        raise TypeError("a card of labels is of a training with several labels")
    return outcome.labels
