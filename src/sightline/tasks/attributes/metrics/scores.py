"""How well attributes are read, as pure functions of what was said and what is true; unknown answers do not count.

A choice is scored by accuracy, anything else by ranking. Knows tensors and vocabularies only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.tasks.attributes.data import Vocabulary


def scores(
    probabilities: Float[Tensor, "n k"],
    targets: Float[Tensor, "n k"],
    weights: Float[Tensor, "n k"],
    words: Vocabulary,
) -> dict[str, float]:
    """One figure for each kind of attribute, and their mean over questions.

    `choices`: mean accuracy over exclusive groups; `precision`, `auc`: mean average precision and mean area under the
    curve over all other attributes that are there and not there at least once; `attribute score`: the mean over
    choices and other attributes together, with average precision for the latter. What nobody can judge is left out.
    """
    choices = [g.right / g.total for g in choices_of(probabilities, targets, weights, words) if g.total]
    ranked = rankings(probabilities, targets, weights, words)
    precision, auc = [one.precision for one in ranked], [one.auc for one in ranked]
    figures = {"choices": choices, "precision": precision, "auc": auc, "attribute score": choices + precision}
    return {name: sum(values) / len(values) for name, values in figures.items() if values}


@dataclass(frozen=True)
class Choice:
    """How an exclusive group is read.

    Args:
        name: name of the group.
        right: pictures whose value was read right.
        total: pictures in which it is known.
        base: right if the value that is most frequent there is always said.
    """

    name: str
    right: int
    total: int
    base: int


def choices_of(
    probabilities: Float[Tensor, "n k"],
    targets: Float[Tensor, "n k"],
    weights: Float[Tensor, "n k"],
    words: Vocabulary,
) -> tuple[Choice, ...]:
    """Every exclusive group, over the pictures in which its value is known."""
    choices = []
    for group in words.groups:
        if group.exclusive:
            at = list(group.members)
            answered = (weights[:, at] > 0).all(1)
            truth = targets[answered][:, at].argmax(1)
            right = int((probabilities[answered][:, at].argmax(1) == truth).sum())
            base = int(torch.bincount(truth, minlength=1).max())
            choices.append(Choice(group.name, right, len(truth), base))
    return tuple(choices)


@dataclass(frozen=True)
class Ranking:
    """How pictures are ranked by an attribute that is no part of a choice.

    Args:
        name: name of the attribute.
        precision: average precision.
        auc: area under the curve of true against false positives; 0.5 for chance.
        share: share of pictures that have it, which is the average precision of chance.
        total: pictures in which it is known.
    """

    name: str
    precision: float
    auc: float
    share: float
    total: int


def rankings(
    probabilities: Float[Tensor, "n k"],
    targets: Float[Tensor, "n k"],
    weights: Float[Tensor, "n k"],
    words: Vocabulary,
) -> tuple[Ranking, ...]:
    """Every attribute outside exclusive groups that is known to be there and not there at least once."""
    from torchmetrics.functional.classification import binary_auroc, binary_average_precision

    ranked = []
    for k in (at for group in words.groups if not group.exclusive for at in group.members):
        labelled = weights[:, k] > 0
        truth = (targets[labelled, k] >= 0.5).long()
        if 0 < int(truth.sum()) < len(truth):
            values = probabilities[labelled, k].float()
            precision, auc = float(binary_average_precision(values, truth)), float(binary_auroc(values, truth))
            ranked.append(Ranking(words.names[k], precision, auc, float(truth.float().mean()), len(truth)))
    return tuple(ranked)


def within_classes(
    probabilities: Float[Tensor, "n k"],
    targets: Float[Tensor, "n k"],
    weights: Float[Tensor, "n k"],
    labels: Int[Tensor, " n"],
) -> tuple[Float[Tensor, " y"], Float[Tensor, " y"]]:
    """Per class: over all attributes, pairs of its pictures of which one has the attribute, and those ranked right.

    Ties count half. A head that knows the class and nothing else ranks half of them right.

    Returns:
        Pairs ranked right, and pairs, of every class.
    """
    classes = int(labels.max()) + 1
    right, pairs = torch.zeros(classes), torch.zeros(classes)
    for y in range(classes):
        rows = labels == y
        r, labelled, present = probabilities[rows], weights[rows] > 0, targets[rows] >= 0.5
        yes, no = labelled & present, labelled & ~present
        above = (r[:, None] > r[None]).float() + 0.5 * (r[:, None] == r[None]).float()
        both = yes[:, None] & no[None]
        right[y], pairs[y] = (above * both).sum(), both.sum()
    return right, pairs


def attribute_calibration_error(
    probabilities: Float[Tensor, "n k"], targets: Float[Tensor, "n k"], weights: Float[Tensor, "n k"], bins: int = 15
) -> float:
    """Expected calibration error of all known attributes together; NaN where none is known."""
    from torchmetrics.functional.classification import binary_calibration_error

    labelled = weights > 0
    if not bool(labelled.any()):
        return math.nan
    return float(
        binary_calibration_error(probabilities[labelled].float(), (targets[labelled] >= 0.5).long(), n_bins=bins)
    )
