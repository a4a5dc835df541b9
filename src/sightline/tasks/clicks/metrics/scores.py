"""Figures of predicted clicks: pure functions of probabilities and labels.

AUC takes the midrank of equal scores; where all labels are the same it does not exist, and None says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from sightline.common.statistics.intervals import NOMINAL
from sightline.common.statistics.ranking import auroc

Floats = NDArray[np.float64]
LEAST = 1e-15
"""Probabilities are kept this far from 0 and 1, so that one surprise does not make a log loss infinite."""
BINS = 15
"""Bins of calibration, with equally many rows each."""


def auc(scores: Floats, labels: Floats) -> float | None:
    """Probability that a click scores above a non-click, ties counted half; None where there are not both."""
    value = float(auroc(torch.from_numpy(scores), torch.from_numpy((labels > 0).astype(np.float64))))
    return None if math.isnan(value) else value


def auc_interval(scores: Floats, labels: Floats) -> tuple[float, float] | None:
    """95 % interval of the AUC over rows, by DeLong's variance [delong1988comparing]."""
    from scipy.stats import norm, rankdata

    clicks = labels > 0
    ones, zeros = scores[clicks], scores[~clicks]
    value = auc(scores, labels)
    if value is None or len(ones) < 2 or len(zeros) < 2:
        return None
    ranks = rankdata(np.concatenate([ones, zeros]))
    above = (ranks[: len(ones)] - rankdata(ones)) / len(zeros)
    below = 1 - (ranks[len(ones) :] - rankdata(zeros)) / len(ones)
    half = norm.ppf((1 + NOMINAL) / 2) * float(
        np.sqrt(above.var(ddof=1) / len(ones) + below.var(ddof=1) / len(zeros))
    )
    return max(0.0, value - half), min(1.0, value + half)


def group_auc(scores: Floats, labels: Floats, groups: NDArray[np.int64]) -> tuple[float, int] | None:
    """AUC within each group, weighted by its rows, and the number of groups that have clicks and non-clicks."""
    order = np.argsort(groups, kind="stable")
    edges = np.flatnonzero(np.diff(groups[order])) + 1
    total, weight, count = 0.0, 0, 0
    for rows in np.split(order, edges):
        value = auc(scores[rows], labels[rows])
        if value is not None:
            total, weight, count = total + value * len(rows), weight + len(rows), count + 1
    return (total / weight, count) if count else None


def log_losses(probabilities: Floats, labels: Floats) -> Floats:
    """`-ln` of what was given to what happened, row by row."""
    p = np.clip(probabilities, LEAST, 1 - LEAST)
    return -np.where(labels > 0, np.log(p), np.log1p(-p))


def normalised_entropy(loss: float, rate: float) -> float | None:
    """Log loss over that of always predicting the rate; below 1 is better. None where nothing is uncertain."""
    if not 0 < rate < 1:
        return None
    return loss / float(-(rate * np.log(rate) + (1 - rate) * np.log(1 - rate)))


@dataclass(frozen=True)
class Bin:
    """Rows of similar probability.

    Args:
        predicted: their mean probability.
        observed: share that was clicked.
        rows: how many.
    """

    predicted: float
    observed: float
    rows: int


def reliability(probabilities: Floats, labels: Floats, bins: int = BINS) -> tuple[Bin, ...]:
    """Predicted and observed rates in bins of equally many rows."""
    order = np.argsort(probabilities, kind="stable")
    parts = [part for part in np.array_split(order, min(bins, len(order))) if len(part)]
    return tuple(
        Bin(float(probabilities[part].mean()), float((labels[part] > 0).mean()), len(part)) for part in parts
    )


def calibration_error(bins: tuple[Bin, ...]) -> float:
    """Mean distance of predicted and observed rate, weighted by rows: ECE."""
    total = sum(own.rows for own in bins)
    return sum(own.rows * abs(own.predicted - own.observed) for own in bins) / max(1, total)


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval.

    Args:
        name: what it is of.
        value: the estimate.
        low: lower end.
        high: upper end.
        rows: rows it is from.
    """

    name: str
    value: float
    low: float
    high: float
    rows: int


def position_rates(labels: Floats, positions: Floats) -> tuple[Estimate, ...]:
    """Click rate at every position, with Wilson's intervals: how far place alone makes clicks."""
    from sightline.common.statistics.intervals import wilson

    rates = []
    for place in np.unique(positions):
        own = labels[positions == place] > 0
        low, high = wilson(int(own.sum()), len(own))
        rates.append(Estimate(f"position {place:g}", float(own.mean()), low, high, len(own)))
    return tuple(rates)


def off_policy(name: str, rewards: Floats, weights: Floats) -> tuple[Estimate, Estimate]:
    """Value of another policy from this log: inverse propensity weighting, plain and self-normalised.

    Args:
        name: the policy.
        rewards: 1 for a click.
        weights: probability of what was shown under the policy, over that under which it was shown.

    Returns:
        IPS, and SNIPS; intervals are normal ones over rows, of the ratio by its linearisation.
    """
    from scipy.stats import norm

    count = len(rewards)
    z = float(norm.ppf((1 + NOMINAL) / 2)) / np.sqrt(count)
    terms = weights * rewards
    ips, ratio = float(terms.mean()), float(terms.sum() / weights.sum())
    half = z * float(terms.std(ddof=1))
    spread = z * float(((terms - ratio * weights) / weights.mean()).std(ddof=1))
    return (
        Estimate(f"{name}, IPS", ips, ips - half, ips + half, count),
        Estimate(f"{name}, SNIPS", ratio, ratio - spread, ratio + spread, count),
    )
