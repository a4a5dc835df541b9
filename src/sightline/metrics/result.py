"""`MetricResult`: what a metric says about a set of samples - values, mean, interval, and who was skipped and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.common.statistics.bootstrap import Interval, Kind, bootstrap, macro_average, paired_difference
from sightline.errors import InputError
from sightline.metrics.scores import SampleStatus, Scores


@dataclass(frozen=True, eq=False)
class MetricResult:
    """A metric over a set of samples.

    Args:
        name: registry name of the metric.
        values: one per sample in order, NaN where it was skipped.
        statuses: one per sample.
        interval: mean and confidence interval over the scored samples.
        higher_is_better: direction.
        expected: what a uniform-random map scores on the same samples, where that is known.
    """

    name: str
    values: Float[Tensor, "n"]
    statuses: tuple[SampleStatus, ...]
    interval: Interval
    higher_is_better: bool = True
    expected: float | None = None
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def mean(self) -> float:
        """Mean over the scored samples; NaN if there are none."""
        return self.interval.mean

    @property
    def n(self) -> int:
        """How many samples were scored."""
        return self.interval.n

    @property
    def skipped(self) -> dict[str, int]:
        """How many samples were skipped, by status."""
        counts = Counter(str(status) for status in self.statuses if status is not SampleStatus.OK)
        return dict(sorted(counts.items()))

    def minus(self, other: MetricResult, *, draws: int = 2000, confidence: float = 0.95, seed: int = 0) -> Interval:
        """Interval of the paired difference `self - other` over the samples that both scored.

        Raises:
            InputError: the two are not of the same metric.
        """
        if other.name != self.name:
            raise InputError(f"only results of one metric can be compared; got {self.name!r} and {other.name!r}")
        return paired_difference(self.values, other.values, draws=draws, confidence=confidence, seed=seed)

    def macro(self, groups: Int[Tensor, "n"], *, draws: int = 2000, seed: int = 0) -> Interval:
        """Mean over classes of the class means; see `sightline.common.statistics.bootstrap.macro_average`."""
        ok = torch.isfinite(self.values)
        return macro_average(self.values[ok], groups.to(ok.device)[ok], draws=draws, seed=seed)

    def to(self, device: torch.device | str) -> MetricResult:
        """The same result with its values on another device."""
        return replace(self, values=self.values.to(device))

    def row(self) -> dict[str, Any]:
        """One row of a table: plain numbers and words."""
        return {
            "metric": self.name,
            "mean": self.mean,
            "low": self.interval.low,
            "high": self.interval.high,
            "n": self.n,
            "skipped": self.skipped,
            "expected": self.expected,
            "better": "higher" if self.higher_is_better else "lower",
        }

    def __repr__(self) -> str:
        lost = "".join(f", {count} {status}" for status, count in self.skipped.items())
        chance = "" if self.expected is None else f", chance {self.expected:.3f}"
        arrow = "higher" if self.higher_is_better else "lower"
        return f"MetricResult({self.name} = {self.interval}, n = {self.n}{lost}{chance}; {arrow} is better)"


def summarise(
    name: str,
    scores: Scores,
    *,
    higher_is_better: bool = True,
    expected: float | None = None,
    confidence: float = 0.95,
    kind: Kind = "bca",
    seed: int = 0,
) -> MetricResult:
    """Mean, bootstrap interval and counts of a batch of scores.

    Example:
        >>> from sightline.metrics.scores import scored
        >>> summarise("energy", scored(torch.tensor([0.25, 0.75, float("nan")]))).skipped
        {'undefined': 1}
    """
    interval = bootstrap(scores.values[scores.ok], confidence=confidence, kind=kind, seed=seed)
    return MetricResult(
        name=name,
        values=scores.values.detach(),
        statuses=scores.statuses(),
        interval=interval,
        higher_is_better=higher_is_better,
        expected=expected,
    )
