"""Whether what a network says of pictures is true, by the very text that `explain` gives, beside both controls.

Card, page and benchmark all measure here, at the thresholds that are stored with the network. It knows networks that
speak only by their protocol.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sightline.common.statistics.bootstrap import Interval, ratio_difference
from sightline.results import Decision
from sightline.tasks.attributes.explain.analysis import DecisionAnalysis
from sightline.tasks.attributes.explain.selection import Statement
from sightline.tasks.attributes.explain.speaking import PictureOutput, SpeakingModel
from sightline.tasks.attributes.metrics.texts import TextCounts, mention_table, text_counts
from sightline.tasks.attributes.network.skill import SEEN, TYPICAL

SEEN_ROLES = ("why", "contrast", "against", "doubt")
"""Roles of statements that something was seen in the picture."""


@dataclass(frozen=True, eq=False)
class Texts:
    """What the texts of many pictures name.

    Args:
        seen: attributes that each text says were seen, [n, k].
        typical: attributes that each text calls typical of the class, [n, k].
        predicted: predicted class of every picture.
    """

    seen: Bool[Tensor, "n k"]
    typical: Bool[Tensor, "n k"]
    predicted: Int[Tensor, " n"]


@dataclass(frozen=True)
class Truth:
    """How true a way to speak of pictures is.

    Args:
        precision: share of what was named, and can be judged, that is true; NaN where nothing was named.
        recall: share of what is there that was named.
        named: how many attributes were named, of all pictures together.
    """

    precision: Interval
    recall: Interval
    named: int


@dataclass(frozen=True)
class TextReport:
    """How true the texts of a network are.

    The controls name as many attributes of each picture as the network says it saw.

    Args:
        pictures: how many pictures the texts are about.
        silent: share of them of which nothing is called seen.
        seen: what was called seen.
        frequent: the control that names the most frequent attributes and never looks.
        by_class: the control that names what is usual for the predicted class.
        over_class: by how much a larger share of what was seen is true than of what the class control names.
        typical: what was called typical, held against the pictures.
        readable: how many attributes the network was shown to see.
        usual: how many it may call typical only.
    """

    pictures: int
    silent: Interval
    seen: Truth
    frequent: Truth
    by_class: Truth
    over_class: Interval
    typical: Truth
    readable: int
    usual: int


def texts_of(model: SpeakingModel, outputs: Iterable[PictureOutput]) -> Texts:
    """What a network says of its own decision on every picture.

    Args:
        model: the network.
        outputs: what it reads off every picture.
    """
    seen: list[set[int]] = []
    typical: list[set[int]] = []
    predicted: list[int] = []
    for output in outputs:
        top = int(output.scores.argmax())
        decision = Decision(model.labels[top], float(output.scores[top]), top)
        statements = DecisionAnalysis(model, output, decision).statements
        seen.append(named(statements, SEEN_ROLES))
        typical.append(named(statements, ("typical",)))
        predicted.append(top)
    count = len(model.vocabulary)
    return Texts(mention_table(seen, count), mention_table(typical, count), torch.tensor(predicted, dtype=torch.long))


def text_report(
    model: SpeakingModel,
    texts: Texts,
    truth: Float[Tensor, "n k"],
    knowable: Bool[Tensor, "n k"],
    frequency: Float[Tensor, " k"],
    implied: Float[Tensor, "n k"] | None = None,
) -> TextReport:
    """Hold texts against what the pictures show.

    Args:
        model: the network.
        texts: what it says.
        truth: what each picture shows, 0..1.
        knowable: whether that is known.
        frequency: how frequent each attribute is among training pictures.
        implied: what the predicted labels imply of each picture; None takes the prototypes of the predicted class.
    """
    words = model.vocabulary
    if implied is None:
        implied = torch.nan_to_num(model.calibration.prototypes)[texts.predicted]
    counts = texts.seen.sum(1)
    blind = as_many(frequency.nan_to_num().expand(len(counts), -1), counts)
    by_class = as_many(implied, counts)
    own, frequent, usual, typical = (
        text_counts(table, truth, knowable, words) for table in (texts.seen, blind, by_class, texts.typical)
    )
    standing = model.skill.standing
    return TextReport(
        pictures=len(counts),
        silent=own.silent(),
        seen=_truth(own),
        frequent=_truth(frequent),
        by_class=_truth(usual),
        over_class=ratio_difference((own.hits, own.judged), (usual.hits, usual.judged)),
        typical=_truth(typical),
        readable=int((standing == SEEN).sum()),
        usual=int((standing == TYPICAL).sum()),
    )


def _truth(counts: TextCounts) -> Truth:
    return Truth(counts.precision(), counts.recall(), int(counts.mentioned.sum()))


def as_many(scores: Float[Tensor, "n k"], counts: Int[Tensor, " n"]) -> Bool[Tensor, "n k"]:
    """The highest entries of every row, as many as asked for; of equal ones the first.

    Example:
        >>> as_many(torch.tensor([[0.1, 0.9, 0.5], [0.1, 0.9, 0.5]]), torch.tensor([2, 0])).tolist()
        [[False, True, True], [False, False, False]]
    """
    order = scores.argsort(dim=1, descending=True, stable=True)
    rank = torch.empty_like(order).scatter_(1, order, torch.arange(scores.shape[1]).expand_as(order).contiguous())
    return rank < counts[:, None]


def named(statements: Sequence[Statement], roles: Sequence[str]) -> set[int]:
    """Attributes that statements of some roles name."""
    return {at for one in statements if one.role in roles for at in one.members}
