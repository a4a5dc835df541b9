"""How well scores tell positives from negatives: AUROC and average precision, of all samples and of resampled ones.

A resample is a row of counts: how often it holds each sample. Whole groups are resampled where samples belong
together. Pure functions of numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.common.statistics.bootstrap import CHUNK, Interval

Statistic = Callable[[Float[Tensor, "d n"]], Float[Tensor, "d ..."]]
"""From counts of the samples to a statistic of each resample."""


def auroc(
    scores: Float[Tensor, "n"], truth: Float[Tensor, "n"], counts: Float[Tensor, "d n"] | None = None
) -> Float[Tensor, "d"]:
    """Area under the ROC curve: the chance that a positive scores above a negative, ties counted half.

    Args:
        scores: one for each sample.
        truth: 1 for positive, 0 for negative, NaN for unknown, which is left out.
        counts: how often each resample holds each sample; None takes all once.

    Returns:
        One area for each resample; NaN where it lacks positives or negatives.

    Example:
        >>> auroc(torch.tensor([0.1, 0.4, 0.4]), torch.tensor([0.0, 0.0, 1.0])).tolist()
        [0.75]
    """
    positive, negative = _by_score(scores, truth, counts)
    below = negative.cumsum(1) - negative
    wins = (positive * (below + negative / 2)).sum(1)
    return wins / (positive.sum(1) * negative.sum(1))


def average_precision(
    scores: Float[Tensor, "n"], truth: Float[Tensor, "n"], counts: Float[Tensor, "d n"] | None = None
) -> Float[Tensor, "d"]:
    """Mean of the precision at each positive, from the highest score down; equal scores are one step.

    What scores at random has the share of positives.

    Args:
        scores: as in `auroc`.
        truth: as in `auroc`.
        counts: as in `auroc`.

    Returns:
        One precision for each resample; NaN where it lacks positives.
    """
    positive, negative = (part.flip(1) for part in _by_score(scores, truth, counts))
    hits, all_ = positive.cumsum(1), (positive + negative).cumsum(1)
    precision = torch.where(all_ > 0, hits / all_.clamp(min=1e-300), 0.0)
    return (positive * precision).sum(1) / positive.sum(1)


def resampled(
    statistic: Statistic, count: int, *, groups: Sequence[str] = (), draws: int = 1000, seed: int = 0
) -> Float[Tensor, "d ..."]:
    """A statistic of samples drawn with replacement, or of groups of them.

    Args:
        statistic: from counts to its values.
        count: number of samples.
        groups: group of each sample, patients for example, which are drawn whole; empty draws samples.
        draws: number of resamples.
        seed: seed of the resampling; two statistics of one seed are of the same resamples.
    """
    names = {name: at for at, name in enumerate(dict.fromkeys(groups))} or {str(at): at for at in range(count)}
    place = torch.tensor([names[name] for name in groups] if groups else list(range(count)))
    generator = torch.Generator().manual_seed(seed)
    rows, parts = max(1, CHUNK // max(1, count)), []
    for start in range(0, draws, rows):
        picks = torch.randint(len(names), (min(rows, draws - start), len(names)), generator=generator)
        whole = torch.zeros(picks.shape, dtype=torch.float64).scatter_add_(1, picks, torch.ones_like(picks).double())
        parts.append(statistic(whole[:, place]))
    return torch.cat(parts)


def interval_of(value: float, draws: Float[Tensor, "d"], n: int, *, confidence: float = 0.95) -> Interval:
    """A value with the percentile interval of its resamples; those in which it is not defined are left out.

    Args:
        value: of all samples.
        draws: of the resamples.
        n: number of samples.
        confidence: nominal coverage.
    """
    finite = draws[torch.isfinite(draws)].double()
    if len(finite) < 2 or math.isnan(value):
        return Interval(value, math.nan, math.nan, n, confidence)
    levels = torch.tensor([(1 - confidence) / 2, (1 + confidence) / 2], dtype=torch.float64)
    low, high = torch.quantile(finite, levels).tolist()
    return Interval(value, low, high, n, confidence)


def _by_score(scores: Tensor, truth: Tensor, counts: Tensor | None) -> tuple[Tensor, Tensor]:
    """Positives and negatives of each resample at every distinct score, from the lowest up, `[d, g]` each."""
    known = torch.isfinite(truth)
    values, own = scores[known].double(), truth[known].double()
    held = torch.ones(1, len(values), dtype=torch.float64) if counts is None else counts[:, known].double()
    distinct, place = torch.unique(values, return_inverse=True)
    empty = held.new_zeros(len(held), len(distinct))
    return empty.index_add(1, place, held * own), empty.index_add(1, place, held * (1 - own))
