"""`OperatingPoint`: from which probability on a label counts as present, chosen on validation, judged on test.

Pure functions of probabilities and truths; the engine of every task with yes-or-no labels. It knows no network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.common.statistics.intervals import wilson
from sightline.common.statistics.ranking import interval_of, resampled
from sightline.training.recipe import OperatingConfig

FEW = 10
"""Fewer validation pictures of a kind than this make a threshold that can be far off, which is said."""
HALF = 0.5
Share = tuple[float, float, float]
"""A share with the ends of its 95 % interval."""
Answers = tuple[Float[Tensor, "n k"], Float[Tensor, "n k"]]
"""Probabilities of pictures, and their truth: 1, 0, or NaN for unknown."""


@dataclass(frozen=True)
class OperatingPoint:
    """A label's threshold.

    Args:
        label: the label.
        threshold: probability from which on it counts as present.
        aim: what the threshold was chosen for, in words; empty where validation pictures gave no choice.
        positives: positive validation pictures that it was chosen on.
        negatives: negative ones.
        sensitivity: share of the positive test pictures that are found, with its interval; None without any.
        specificity: share of the negative test pictures that are cleared, likewise.
    """

    label: str
    threshold: float
    aim: str
    positives: int
    negatives: int
    sensitivity: Share | None
    specificity: Share | None

    @property
    def remark(self) -> str:
        """What a reader should know of the choice; empty where there is nothing to say."""
        if not self.aim:
            return "no choice: validation lacks positive or negative pictures"
        least = min(self.positives, self.negatives)
        return f"chosen on only {least} of a kind" if least < FEW else ""


def chosen_point(
    label: str, probabilities: Float[Tensor, "n"], truth: Float[Tensor, "n"], config: OperatingConfig
) -> OperatingPoint:
    """The threshold of a label, chosen on validation pictures.

    A wanted sensitivity takes the highest threshold that reaches it, a wanted specificity the lowest; otherwise F1 is
    highest. A threshold lies midway between two probabilities, so that it does not depend on rounding.

    Args:
        label: the label.
        probabilities: of the validation pictures.
        truth: 1, 0, or NaN for unknown.
        config: what is wanted.
    """
    known = torch.isfinite(truth)
    values, own = probabilities[known].double(), truth[known].bool()
    positives, negatives = int(own.sum()), int((~own).sum())
    if not positives or not negatives:
        return OperatingPoint(label, HALF, "", positives, negatives, None, None)
    steps = torch.unique(values)
    middles = (steps[1:] + steps[:-1]) / 2
    candidates = torch.cat([steps[:1] / 2, middles, (steps[-1:] + 1) / 2])
    found = (values[None] >= candidates[:, None]).double()
    hits = found @ own.double()
    alarms = found @ (~own).double()
    at = _best(hits, alarms, positives, negatives, config)
    return OperatingPoint(label, float(candidates[at]), config.aim, positives, negatives, None, None)


def judged(
    point: OperatingPoint,
    probabilities: Float[Tensor, "n"],
    truth: Float[Tensor, "n"],
    groups: Sequence[str] = (),
) -> OperatingPoint:
    """The point with its sensitivity and specificity on test pictures.

    Args:
        point: as it was chosen.
        probabilities: of the test pictures.
        truth: 1, 0, or NaN for unknown.
        groups: group of each picture; intervals then are of resampled groups, otherwise Wilson's.
    """
    flagged = (probabilities >= point.threshold).double()
    return replace(
        point,
        sensitivity=_share(flagged, (truth == 1).double(), groups),
        specificity=_share(1 - flagged, (truth == 0).double(), groups),
    )


def judged_points(
    labels: Sequence[str], validation: Answers, test: Answers, config: OperatingConfig, groups: Sequence[str] = ()
) -> tuple[OperatingPoint, ...]:
    """The threshold of every label, chosen on validation pictures and judged on test pictures.

    Args:
        labels: the labels.
        validation: what thresholds are chosen on.
        test: what they are judged on.
        config: what is wanted.
        groups: group of each test picture, as `judged` takes them.
    """
    points = []
    for at, label in enumerate(labels):
        (chosen, known), (tested, truth) = ((p[:, at], own[:, at]) for p, own in (validation, test))
        points.append(judged(chosen_point(label, chosen, known, config), tested, truth, groups))
    return tuple(points)


def share_text(share: Share | None) -> str:
    """A share with its interval, or that there is none.

    Example:
        >>> share_text((0.9, 0.81, 0.95)), share_text(None)
        ('0.90 [0.81, 0.95]', 'not measured')
    """
    return "not measured" if share is None else f"{share[0]:.2f} [{share[1]:.2f}, {share[2]:.2f}]"


def _best(hits: Tensor, alarms: Tensor, positives: int, negatives: int, config: OperatingConfig) -> int:
    """Which candidate, these being in rising order."""
    if config.sensitivity is not None:
        reached = torch.nonzero(hits / positives >= config.sensitivity - 1e-9).flatten()
        return int(reached[-1])
    if config.specificity is not None:
        reached = torch.nonzero(1 - alarms / negatives >= config.specificity - 1e-9).flatten()
        return int(reached[0])
    return int((2 * hits / (hits + alarms + positives)).argmax())


def _share(hits: Tensor, among: Tensor, groups: Sequence[str]) -> Share | None:
    total, count = int(among.sum()), int((hits * among).sum())
    if not total:
        return None
    if not groups:
        return count / total, *wilson(count, total)
    if count in (0, total):  # resamples of equal values would give an interval without width
        own = len({group for group, one in zip(groups, among.tolist(), strict=True) if one})
        return count / total, *wilson(own if count else 0, own)
    draws = resampled(lambda counts: counts @ (hits * among) / (counts @ among), len(hits), groups=groups)
    interval = interval_of(count / total, draws, total)
    return count / total, interval.low, interval.high
