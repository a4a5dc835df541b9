"""The page of Markdown that lies beside the weights of an attribute network, made from measured figures."""

from __future__ import annotations

import datetime
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sightline.common.statistics.intervals import wilson
from sightline.common.text import markdown
from sightline.tasks.attributes.data.pictures import Pictures
from sightline.tasks.attributes.metrics.evaluate import TestReport
from sightline.tasks.attributes.metrics.scores import Choice
from sightline.tasks.attributes.metrics.speech import TextReport
from sightline.tasks.attributes.network.net import AttributeNet
from sightline.tasks.attributes.recipe import EatRecipe
from sightline.training.standing import described

if TYPE_CHECKING:
    from sightline.tasks.attributes.train.experiment import Trained

_PAGE = """# A network with attributes

Names {classes} classes and reads {attributes} attributes. This page was written by the command that trained it; all
figures are of {judged_on}.
{alarm}
| | |
|---|---|
{facts}

## Attributes
*By class* is what somebody says who never looks at the picture but knows its true class: a head that does no better
has learnt the class, not the attribute. *Within classes* compares pictures of one class only, of which one has an
attribute and the other has not, and asks which of them the network gives the higher probability: 0.5 for whoever
knows the class alone.

{within}

{tables}

## Texts
What `sightline explain` says of its decisions on {spoken} of these pictures. An attribute is called seen only where
the network beat both controls on {shown_on}; the controls here name as
many attributes of each picture.

{texts}

## Limits
{limits}
"""
SECTION_WORDS = {
    "Groups of attributes": "Exactly one value is right: share of pictures, of those where the value is known. "
    "By class: what a guess reaches that knows the true class and does not look at the picture.",
    "Other attributes": "The control of the average precision is the share of pictures that have the attribute, that "
    "of the area under the curve is 0.5.",
    "Ranks and numbers": "Mean distance from the truth, as a share of the whole scale. Controls: always the middle "
    "value, and the mean of the true class; their error less ours is above 0 where the network is nearer. Kappa has "
    "quadratic weights: 1 is perfect, 0 is chance.",
}


def facts(judged: TestReport, pictures: Pictures, recipe: EatRecipe, epochs: str) -> dict[str, str]:
    """What the card and the run page say in a table, by name."""
    low, high = judged.interval
    energy = judged.energy
    evidence = {
        "parts": "by the object's part masks",
        "points": "by the object's key points and box",
        "mask": "by the object's masks",
        "box": "by the object's boxes",
        "": "the object is not marked, so it is not known where the network looks",
    }[pictures.where]
    where = evidence if energy is None else f"{energy}, {evidence}"
    return {
        "class accuracy": f"{judged.accuracy:.4f} (95 % interval {low:.4f} to {high:.4f}, {judged.pictures} pictures"
        f"; always the most frequent class: {judged.chance / max(1, judged.pictures):.4f})",
        "foreground energy": where,
        "calibration error": f"{judged.calibration:.4f} (without calibration {judged.uncalibrated:.4f})",
        "texts": truthfulness(judged.texts),
        **how_trained(pictures, recipe, epochs),
    }


def how_trained(pictures: Pictures, recipe: EatRecipe, epochs: str) -> dict[str, str]:
    """Data, network and training in a table, by name.

    Args:
        pictures: the data.
        recipe: how it was trained.
        epochs: how many epochs there were, and which was kept.
    """
    own, device = recipe.network, recipe.machine
    return {
        "data": pictures.source,
        "pictures": f"{len(pictures.train)} to learn from, {len(pictures.validation)} to choose the epoch, "
        f"{0 if pictures.test is None else len(pictures.test)} to judge; {own.side} px; which attributes may be "
        f"named is decided on {shown_on(pictures, recipe)}",
        "network": f"{own.backbone}, join {own.join}, pool {own.pool}, stride {own.stride}"
        + (f", attributes read at stride {own.attribute_stride}" if own.attribute_stride else ""),
        "loss": _loss(recipe),
        "training": f"{epochs}, batch {recipe.loop.batch_size}, AdamW {recipe.optim.lr:g}, "
        f"{described(recipe.tuning)}, augmentation {recipe.augmentation.augment}, seed {device.seed}, "
        f"{device.precision}",
        "machine": f"{os.cpu_count()} CPU cores, {device.devices} device(s), {device.device}",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def shown_on(pictures: Pictures, recipe: EatRecipe) -> str:
    """Which pictures calibrate the network and decide what it may say, in words."""
    if recipe.holds_attributes(len(pictures.train), pictures.independent):
        count = len(pictures.train) + len(pictures.validation)
        return f"{count} training and validation pictures, each read by heads that were fitted without it"
    return f"{len(pictures.validation)} validation pictures"


def card(
    net: AttributeNet, outcome: Trained, pictures: Pictures, recipe: EatRecipe, about: dict[str, str], command: str
) -> str:
    """Everything that a user of the weights should know.

    Args:
        net: the network.
        outcome: its figures.
        pictures: its data.
        recipe: how it was trained.
        about: facts of the training, as `facts` returns them.
        command: command line that trained the network.
    """
    table = {**about, "command": f"`{command}`"}
    return _PAGE.format(
        classes=len(net.spec.classes),
        attributes=len(net.spec.vocabulary),
        judged_on=pictures.judged_on,
        facts="\n".join(f"| {name} | {fact} |" for name, fact in table.items()),
        alarm=f"\n**{outcome.control.alarm}**\n" if outcome.control.alarm else "",
        within=within(outcome.judged),
        tables=attribute_sections(outcome.judged),
        spoken=outcome.judged.texts.pictures,
        shown_on=shown_on(pictures, recipe),
        texts=text_table(outcome.judged.texts),
        limits=limits(pictures, outcome.notes),
    )


def attribute_sections(judged: TestReport) -> str:
    """The tables of all attributes with what their columns mean, in Markdown."""
    own = tables(judged)
    return "\n\n".join(f"### {name}\n\n{SECTION_WORDS[name]}\n\n{markdown(rows)}" for name, rows in own.items())


def truthfulness(texts: TextReport) -> str:
    """How true the texts are, in a sentence."""
    can = f"{texts.readable} attributes can be called seen, {texts.usual} typical of the class only"
    if not texts.seen.named:
        return f"{can}; nothing was called seen in {texts.pictures} pictures"
    return (
        f"{can}; of {texts.seen.named} attributes called seen {texts.seen.precision} are true (usual for the class "
        f"{texts.by_class.precision}, most frequent {texts.frequent.precision}); silent on {texts.silent}"
    )


def text_table(texts: TextReport) -> str:
    """What was named and how much of it is true, as a table, and the difference that decides."""
    rows = [["", "named", "true", "of what is there"]]
    names = ("seen", "control: most frequent", "control: usual for the predicted class", "typical of the class")
    for name, one in zip(names, (texts.seen, texts.frequent, texts.by_class, texts.typical), strict=True):
        shares = [str(one.precision), str(one.recall)] if one.named else ["-", "-"]
        rows.append([name, str(one.named), *shares])
    more = f" Seen less class control: {texts.over_class}." if texts.seen.named else ""
    return (
        f"{markdown(rows)}\n\nThe network may call {texts.readable} attributes seen and {texts.usual} typical of the "
        f"class. Silent on {texts.silent} of the pictures.{more}"
    )


def verdict(judged: TestReport) -> str:
    """What came of the training, beside a guess that never looks at an image."""
    if not judged.pictures:
        return within(judged)
    low, high = judged.interval
    guess = judged.chance / judged.pictures
    text = (
        f"The network names the class of {judged.accuracy:.1%} of {judged.pictures} test images (95 % interval "
        f"{low:.1%} to {high:.1%}). Always naming the most frequent class would reach {guess:.1%}"
    )
    text += "." if low > guess else ": no more than that guess is shown, so do not use its classes."
    return f"{text} {within(judged)}"


def headline(judged: TestReport) -> list[tuple[str, str, str]]:
    """Figures to look at first: name, value, and what it means."""
    figures = []
    if judged.pictures:
        low, high = judged.interval
        words = f"share of test images whose class is right; 95 % interval {low:.1%} to {high:.1%}"
        figures.append(("class accuracy", f"{judged.accuracy:.1%}", words))
    groups = [one for one in judged.choices if one.total]
    if groups:
        right, base, oracle = (
            sum(getattr(one, name) / one.total for one in some) / len(some)
            for name, some in (("right", groups), ("base", groups), ("right", _totals(judged.by_class)))
        )
        words = f"mean over groups; the most frequent value reaches {base:.1%}, the true class alone {oracle:.1%}"
        figures.append(("attribute groups read right", f"{right:.1%}", words))
    if judged.within is not None:
        words = f"pairs of one class ranked right, of {judged.pairs}; a network that knows only the class reaches 0.5"
        figures.append(("within classes", f"{judged.within.mean:.3f}", words))
    if judged.energy is not None:
        words = (
            f"share of the class map on the object, which covers {judged.energy.area:.1%} of the image; the mean map "
            f"of all other images has {judged.energy.mean_map:.1%} there"
        )
        figures.append(("evidence on the object", f"{judged.energy.inside.mean:.1%}", words))
    return figures


def _totals(choices: Sequence[Choice]) -> list[Choice]:
    return [one for one in choices if one.total]


def within(judged: TestReport) -> str:
    """The figure that a mere recogniser of classes cannot reach, in a sentence."""
    if judged.within is None:
        return "Within classes: no two pictures of one class differ in an attribute, so this cannot be measured."
    verdict = (
        "the head sees more than the class"
        if judged.within.low > 0.5
        else "no more is shown than that it knows the class"
    )
    return f"Within classes: {judged.within} over {judged.pairs} pairs (chance 0.5): {verdict}."


def _loss(recipe: EatRecipe) -> str:
    own = recipe.loss
    # the first two, of the class and of the attributes, are in the sentence already
    weights = list(own.by_loss().items())[2:]
    guides = "".join(f", {name} {weight:g}" for name, weight in weights if weight)
    return f"cross-entropy + {own.attribute_weight:g} x attributes{guides}"


def tables(judged: TestReport) -> dict[str, list[list[str]]]:
    """Every attribute in words, for card and page alike; the first row of a table is its header."""
    sections = {
        "Groups of attributes": [["group", "right", "95 % interval", "most frequent value", "by class", "pictures"]],
        "Other attributes": [
            ["attribute", "average precision", "by class", "share", "area under the curve", "by class", "pictures"]
        ],
        "Ranks and numbers": [
            ["attribute", "mean error", "middle value", "less ours", "by class", "less ours", "kappa", "pictures"]
        ],
    }
    for choice, control in zip(judged.choices, judged.by_class, strict=True):
        low, high = wilson(choice.right, choice.total)
        right, base, oracle = (
            f"{count / max(1, choice.total):.3f}" for count in (choice.right, choice.base, control.right)
        )
        row = [choice.name, right, f"{low:.3f} to {high:.3f}", base, oracle, str(choice.total)]
        sections["Groups of attributes"].append(row)
    for one, other in zip(judged.rankings, judged.ranked_by_class, strict=True):
        figures = (one.precision, other.precision, one.share, one.auc, other.auc)
        sections["Other attributes"].append([one.name, *(f"{value:.3f}" for value in figures), str(one.total)])
    for own in judged.distances:
        middle = (f"{own.median:.3f}", str(own.over_median))
        controls = (*middle, f"{own.by_class:.3f}", str(own.over_class), f"{own.kappa:.3f}")
        sections["Ranks and numbers"].append([own.name, str(own.error), *controls, str(own.total)])
    return {name: rows for name, rows in sections.items() if len(rows) > 1}


def limits(pictures: Pictures, remarks: Sequence[str]) -> str:
    """What a reader must not expect."""
    drawn = "Trained and measured on drawings only; it knows nothing of photographs." if pictures.drawn else ""
    notes = [f"- {note}" for note in remarks]
    same = (
        ""
        if pictures.test is not None
        else "Measured on the pictures by which the epoch was chosen: too good by that."
    )
    return "\n".join(line for line in (drawn, same, *notes) if line) or "Only as good as its data."
