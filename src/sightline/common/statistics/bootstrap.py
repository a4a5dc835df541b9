"""Bootstrap confidence intervals: of a mean, of a paired difference, of a mean over classes, of a ratio.

Every table of this project prints them. It knows numbers only, no metrics.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.errors import InputError, near

Kind = Literal["bca", "percentile"]
CHUNK = 4_000_000
"""Resampled values held at once, which bounds the memory (32 MB)."""


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval.

    Args:
        mean: mean of the n values; NaN when there are none.
        low: lower end; NaN when n < 2.
        high: upper end.
        n: how many values.
        confidence: nominal coverage.
    """

    mean: float
    low: float
    high: float
    n: int
    confidence: float = 0.95

    def excludes(self, value: float) -> bool:
        """Whether `value` lies outside: only then a difference from it may be claimed."""
        return value < self.low or value > self.high

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def bootstrap(
    values: Float[Tensor, "n"],
    *,
    draws: int = 2000,
    confidence: float = 0.95,
    kind: Kind = "bca",
    seed: int = 0,
) -> Interval:
    r"""Confidence interval of a mean by resampling the samples.

    With the resampled means $m^*$, the percentile interval is $[Q(\alpha/2), Q(1-\alpha/2)]$. BCa shifts the two
    levels to $\Phi(z_0 + (z_0 + z)/(1 - a(z_0 + z)))$, where $z_0 = \Phi^{-1}(P(m^* < m))$ corrects bias (ties count
    half) and $a = \sum d_i^3 / 6(\sum d_i^2)^{3/2}$, $d_i = (x_i - m)/(n - 1)$, corrects skewness [efron1987better].

    Args:
        values: one value per sample; all of them finite.
        draws: number of resamples.
        confidence: nominal coverage, between 0 and 1.
        kind: `"bca"` or `"percentile"`.
        seed: seed of the resampling; the same seed gives the same interval on every device.

    Raises:
        InputError: a value is not finite, or an argument is out of range.

    Example:
        >>> bootstrap(torch.tensor([1.0, 1.0, 1.0])).high
        1.0
    """
    _check(values, draws=draws, confidence=confidence, kind=kind)
    data = values.detach().double().cpu()
    mean = float(data.mean()) if len(data) else math.nan
    if len(data) < 2:
        return Interval(mean, math.nan, math.nan, len(data), confidence)
    means = _resampled_means(data, draws=draws, seed=seed)
    low, high = _levels(data, means, confidence) if kind == "bca" else _plain(confidence)
    ends = torch.quantile(means, torch.tensor([low, high], dtype=torch.float64))
    return Interval(mean, float(ends[0]), float(ends[1]), len(data), confidence)


def paired_difference(
    ours: Float[Tensor, "n"],
    theirs: Float[Tensor, "n"],
    *,
    draws: int = 2000,
    confidence: float = 0.95,
    kind: Kind = "bca",
    seed: int = 0,
) -> Interval:
    """Interval of the mean of `ours - theirs` over the samples that both could be scored on.

    Args:
        ours: values of one method, NaN where it could not be scored.
        theirs: values of the other on the same samples.
        draws: number of resamples.
        confidence: nominal coverage.
        kind: kind of interval, as in `bootstrap`.
        seed: seed of the resampling.

    Raises:
        InputError: the two are not of one length.
    """
    if ours.shape != theirs.shape:
        raise InputError(
            f"a paired difference needs the same samples on both sides; got {len(ours)} and {len(theirs)} values"
        )
    difference = ours.double() - theirs.double().to(ours.device)
    finite = difference[torch.isfinite(difference)]
    return bootstrap(finite, draws=draws, confidence=confidence, kind=kind, seed=seed)


def macro_average(
    values: Float[Tensor, "n"],
    groups: Int[Tensor, "n"],
    *,
    draws: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Mean over classes of the class means, with a percentile interval resampled inside every class.

    Args:
        values: one finite value per sample.
        groups: class of each sample.
        draws: number of resamples.
        confidence: nominal coverage.
        seed: seed of the resampling.

    Raises:
        InputError: fewer than two classes, or lengths differ.
    """
    _check(values, draws=draws, confidence=confidence, kind="percentile")
    data, labels = values.detach().double().cpu(), groups.detach().cpu()
    if data.shape != labels.shape:
        raise InputError(f"every value needs its class; got {len(data)} values and {len(labels)} classes")
    classes = torch.unique(labels)
    if len(classes) < 2:
        raise InputError(
            f"a mean over classes needs at least two of them; the {len(data)} samples hold {len(classes)}. "
            "Try: bootstrap(values) for one-class data"
        )
    parts = [data[labels == label] for label in classes]
    means = torch.stack([_resampled_means(part, draws=draws, seed=seed + k) for k, part in enumerate(parts)])
    ends = torch.quantile(means.mean(0), torch.tensor(_plain(confidence), dtype=torch.float64))
    mean = float(torch.stack([part.mean() for part in parts]).mean())
    return Interval(mean, float(ends[0]), float(ends[1]), len(data), confidence)


def mean_columns(
    values: Float[Tensor, "n k"], *, draws: int = 2000, confidence: float = 0.95, seed: int = 0
) -> Float[Tensor, "3 k"]:
    """Mean of every column and its percentile interval, all columns resampled by the same rows.

    Args:
        values: one row per sample; NaN where a sample has no value in a column.
        draws: number of resamples.
        confidence: nominal coverage.
        seed: seed of the resampling.

    Returns:
        Mean, lower and upper end of each column; NaN where a column has fewer than two values.

    Example:
        >>> mean_columns(torch.tensor([[1.0, 0.0], [1.0, torch.nan]]))[:, 0].tolist()
        [1.0, 1.0, 1.0]
    """
    data = values.detach().double().cpu()
    known = data.isfinite()
    filled, weights = data.nan_to_num(0.0), known.double()
    generator = torch.Generator().manual_seed(seed)
    means = []
    rows = max(1, CHUNK // max(1, len(data)))
    for start in range(0, draws, rows):
        picks = torch.randint(len(data), (min(rows, draws - start), len(data)), generator=generator)
        # how often each sample is drawn: a product with it sums the drawn rows of all columns at once
        counts = torch.zeros(picks.shape, dtype=torch.float64).scatter_add_(1, picks, torch.ones_like(picks).double())
        means.append((counts @ filled) / (counts @ weights))
    ends = torch.nanquantile(torch.cat(means), torch.tensor(_plain(confidence), dtype=torch.float64), dim=0)
    mean = filled.sum(0) / weights.sum(0)
    return torch.where(known.sum(0) < 2, torch.nan, torch.cat([mean[None], ends]))


def ratio(
    top: Float[Tensor, "n"],
    bottom: Float[Tensor, "n"],
    *,
    draws: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Sum of `top` by sum of `bottom`, with the percentile interval of resampled samples.

    Args:
        top: one number per sample.
        bottom: one number per sample.
        draws: number of resamples.
        confidence: nominal coverage.
        seed: seed of the resampling.

    Returns:
        NaN where `bottom` sums to nothing.

    Raises:
        InputError: the two are not vectors of one length.
    """
    if top.shape != bottom.shape or top.ndim != 1:
        raise InputError(
            f"a ratio takes two sums per sample; got shapes {tuple(top.shape)} and {tuple(bottom.shape)}"
        )
    up, down = top.detach().cpu(), bottom.detach().cpu()
    value = float(up.sum() / down.sum()) if float(down.sum()) else math.nan
    if len(up) < 2 or math.isnan(value):
        return Interval(value, math.nan, math.nan, len(up), confidence)
    # one seed draws the same samples for both
    above, below = (_resampled_means(part, draws=draws, seed=seed) for part in (up, down))
    ratios = (above / below).double()
    ends = torch.quantile(ratios[torch.isfinite(ratios)], torch.tensor(_plain(confidence), dtype=torch.float64))
    return Interval(value, float(ends[0]), float(ends[1]), len(up), confidence)


def ratio_difference(
    ours: tuple[Float[Tensor, "n"], Float[Tensor, "n"]],
    theirs: tuple[Float[Tensor, "n"], Float[Tensor, "n"]],
    *,
    draws: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Difference of two ratios of sums over the same samples, with the percentile interval of resampled samples.

    Args:
        ours: top and bottom of one ratio, one number per sample each.
        theirs: those of the other.
        draws: number of resamples.
        confidence: nominal coverage.
        seed: seed of the resampling.

    Returns:
        NaN where the bottom of either sums to nothing.

    Raises:
        InputError: the four are not of one length.
    """
    parts = [part.detach().double().cpu() for part in (*ours, *theirs)]
    if len({len(part) for part in parts}) > 1:
        lengths = [len(part) for part in parts]
        raise InputError(f"a difference of ratios takes four numbers per sample; got lengths {lengths}")
    count, bottoms = len(parts[0]), (float(parts[1].sum()), float(parts[3].sum()))
    if not all(bottoms):
        return Interval(math.nan, math.nan, math.nan, count, confidence)
    value = float(parts[0].sum()) / bottoms[0] - float(parts[2].sum()) / bottoms[1]
    # one seed draws the same samples for all four
    a, b, c, d = (_resampled_means(part, draws=draws, seed=seed) for part in parts)
    differences = a / b - c / d
    ends = torch.quantile(
        differences[torch.isfinite(differences)], torch.tensor(_plain(confidence), dtype=torch.float64)
    )
    return Interval(value, float(ends[0]), float(ends[1]), count, confidence)


def _check(values: Tensor, *, draws: int, confidence: float, kind: str) -> None:
    if values.ndim != 1 or not bool(torch.isfinite(values).all()):
        raise InputError(
            f"a bootstrap takes a vector of finite values; got shape {tuple(values.shape)}"
            f" with {int((~torch.isfinite(values)).sum())} that are not finite. Try: values[scores.ok]"
        )
    if kind not in ("bca", "percentile"):
        raise InputError(f"there is no bootstrap interval {kind!r}; {near(kind, ('bca', 'percentile'))}")
    if not 0 < confidence < 1 or draws < 1:
        raise InputError(f"confidence lies between 0 and 1 and draws is positive; got {confidence} and {draws}")


def _resampled_means(data: Float[Tensor, "n"], *, draws: int, seed: int) -> Float[Tensor, "draws"]:
    generator = torch.Generator().manual_seed(seed)
    rows = max(1, CHUNK // len(data))
    parts = [
        data[torch.randint(len(data), (min(rows, draws - start), len(data)), generator=generator)].mean(1)
        for start in range(0, draws, rows)
    ]
    return torch.cat(parts)


def _plain(confidence: float) -> tuple[float, float]:
    return (1 - confidence) / 2, (1 + confidence) / 2


def _levels(data: Tensor, means: Tensor, confidence: float) -> tuple[float, float]:
    """The two quantile levels of BCa; those of the percentile interval where BCa is not defined."""
    mean = data.mean()
    below = float((means < mean).double().mean() + 0.5 * (means == mean).double().mean())
    spread = float(((data - mean) ** 2).sum())
    if not 0 < below < 1 or spread == 0:
        return _plain(confidence)
    skew = float(((data - mean) ** 3).sum()) / (6 * spread**1.5)
    bias = _quantile(below)
    low, high = (_shifted(bias, _quantile(level), skew) for level in _plain(confidence))
    return low, high


def _shifted(bias: float, level: float, skew: float) -> float:
    # Efron (1987): the level is moved by the bias z0 and, through the acceleration a (`skew`), by the standard error.
    moved = bias + (bias + level) / (1 - skew * (bias + level))
    return 0.5 * (1 + math.erf(moved / math.sqrt(2)))


def _quantile(level: float) -> float:
    """Quantile of the standard normal distribution."""
    return math.sqrt(2) * float(torch.erfinv(torch.tensor(2 * level - 1, dtype=torch.float64)))
