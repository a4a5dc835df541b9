"""How far readings of ranks and numbers are from the truth, beside controls that never look.

An ordinal or continuous attribute is a number in 0..1, and being off by one rank is a smaller mistake than by three:
so the distance counts, not whether a reading is right.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.common.statistics.bootstrap import Interval, ratio
from sightline.tasks.attributes.data import Vocabulary


@dataclass(frozen=True)
class Distance:
    """How one ordinal or continuous attribute is read.

    Args:
        name: name of the attribute.
        error: mean absolute error, as a share of the whole scale.
        median: the error of always saying the middle value of these pictures.
        over_median: that error less ours, paired over pictures.
        by_class: the error of saying the mean of the true class's training pictures.
        over_class: that error less ours, paired over pictures; above 0 the network is nearer to the truth.
        kappa: agreement with quadratic weights: 1 for perfect, 0 for chance.
        total: pictures in which it is known.
    """

    name: str
    error: Interval
    median: float
    over_median: Interval
    by_class: float
    over_class: Interval
    kappa: float
    total: int


def distances(
    readings: Float[Tensor, "n k"],
    by_class: Float[Tensor, "n k"],
    targets: Float[Tensor, "n k"],
    weights: Float[Tensor, "n k"],
    words: Vocabulary,
) -> tuple[Distance, ...]:
    """Every ordinal and continuous attribute that is known in at least two pictures and not always the same.

    Args:
        readings: what the network says, 0..1.
        by_class: what the true class says, 0..1.
        targets: what is true, 0..1.
        weights: 0 for unknown.
        words: the vocabulary.
    """
    out = []
    for k, word in enumerate(words.attributes):
        known = weights[:, k] > 0
        truth = targets[known, k].double()
        if word.kind == "binary" or len(truth) < 2 or float(truth.max()) == float(truth.min()):
            continue
        said, control = (table[known, k].double() for table in (readings, by_class))
        error, other = (said - truth).abs(), (control - truth).abs()
        middle = (truth.median() - truth).abs()
        ones = torch.ones_like(error)
        out.append(
            Distance(
                word.name,
                error=ratio(error, ones),
                median=float(middle.mean()),
                over_median=ratio(middle - error, ones),
                by_class=float(other.mean()),
                over_class=ratio(other - error, ones),
                kappa=quadratic_kappa(_ranks(said, truth) if word.kind == "ordinal" else said, truth),
                total=len(truth),
            )
        )
    return tuple(out)


def quadratic_kappa(readings: Float[Tensor, " n"], truth: Float[Tensor, " n"]) -> float:
    r"""$1 - \sum_i (r_i - t_i)^2 / \frac1n \sum_{ij} (r_i - t_j)^2$: Cohen's kappa with quadratic weights.

    Of numbers rather than ranks this is Lin's concordance.

    Example:
        >>> quadratic_kappa(torch.tensor([0.0, 1.0]), torch.tensor([0.0, 1.0]))
        1.0
    """
    chance = (readings[:, None] - truth).square().mean()
    return 1.0 if float(chance) == 0 else float(1 - (readings - truth).square().mean() / chance)


def _ranks(readings: Float[Tensor, " n"], truth: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """The nearest rank that occurs."""
    return truth[(readings[:, None] - truth).abs().argmin(1)]
