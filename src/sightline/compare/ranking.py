"""From numbers to an answer: means with intervals, who is level with the best, who beats the controls.

No winner is named inside the noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from sightline.compare.measure import Row
from sightline.errors import DataError
from sightline.explainers import METHODS
from sightline.metrics import METRICS, Interval, bootstrap, paired_difference

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Standing:
    """How one method does by one metric at one place.

    Args:
        method, place, metric: what was judged.
        interval: mean and confidence interval over the scored samples; None if there are none.
        skipped: how many samples could not be scored, by status.
        control: whether the method knows nothing of the model.
        level: whether no method of the same group is better beyond the noise.
        beats_controls: whether it is better than every control beyond the noise.
    """

    method: str
    place: str
    metric: str
    interval: Interval | None
    skipped: Mapping[str, int]
    control: bool
    level: bool = False
    beats_controls: bool = False


@dataclass(frozen=True)
class Answer:
    """Which method for this model, as far as the samples tell.

    Args:
        standings: every method x place x metric, best first inside each place and metric.
        wins: for each method, in how many comparisons it is level with the best and beats the controls, of how many.
        verdict: the answer in words.
        forwards: what the metrics' forwards were run through.
    """

    standings: tuple[Standing, ...]
    wins: Mapping[str, tuple[int, int]]
    verdict: str
    forwards: str = "the model itself"


def rank(rows: Sequence[Row], *, seed: int = 0) -> Answer:
    """Rank methods from their rows.

    Raises:
        DataError: there are no rows.
    """
    if not rows:
        raise DataError("there is nothing to rank: no sample was scored")
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.place, row.metric), []).append(row)
    standings = [standing for group in groups.values() for standing in _group(group, seed)]
    wins = _wins(standings)
    return Answer(tuple(standings), wins, _verdict(wins))


def _group(rows: Sequence[Row], seed: int) -> list[Standing]:
    """Standings of all methods by one metric at one place; paired over samples, corrected for many comparisons."""
    metric = METRICS[rows[0].metric]
    samples = sorted({row.sample for row in rows})
    methods = list(dict.fromkeys(row.method for row in rows))
    sign = 1.0 if metric.higher_is_better else -1.0
    values = {method: _column([row for row in rows if row.method == method], samples) for method in methods}
    intervals = {m: _interval(v, seed) for m, v in values.items()}
    scored = sorted((m for m in methods if intervals[m]), key=lambda m: -sign * _mean(intervals[m]))
    confidence = 1 - (1 - CONFIDENCE) / max(1, len(scored) - 1)
    controls = [m for m in scored if METHODS[m].family == "Controls"]

    def better(one: str, other: str) -> bool:
        if int((values[one].isfinite() & values[other].isfinite()).sum()) < 2:
            return False
        gap = paired_difference(sign * values[one], sign * values[other], confidence=confidence, seed=seed)
        return gap.low > 0

    return [
        Standing(
            method=m,
            place=rows[0].place,
            metric=metric.name,
            interval=intervals[m],
            skipped=_skipped([row for row in rows if row.method == m]),
            control=METHODS[m].family == "Controls",
            level=m in scored and not any(better(other, m) for other in scored if other != m),
            beats_controls=m in scored and m not in controls and all(better(m, other) for other in controls),
        )
        for m in (*scored, *(m for m in methods if m not in scored))
    ]


def _column(rows: Sequence[Row], samples: Sequence[str]) -> torch.Tensor:
    by_sample = {row.sample: row.value for row in rows}
    return torch.tensor([by_sample.get(sample, float("nan")) for sample in samples], dtype=torch.float64)


def _interval(values: torch.Tensor, seed: int) -> Interval | None:
    finite = values[values.isfinite()]
    return bootstrap(finite, seed=seed) if len(finite) else None


def _mean(interval: Interval | None) -> float:
    return float("nan") if interval is None else interval.mean


def _skipped(rows: Sequence[Row]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in rows:
        if row.status != "ok":
            counts[row.status] = counts.get(row.status, 0) + 1
    return counts


def _wins(standings: Sequence[Standing]) -> dict[str, tuple[int, int]]:
    """Only metrics that judge a map's truth count; how sparse it is, is no merit by itself."""
    rivals = [s for s in standings if not s.control and METRICS[s.metric].family != "complexity"]
    methods = dict.fromkeys(s.method for s in rivals)
    wins = {
        m: (sum(s.level and s.beats_controls for s in rivals if s.method == m), sum(s.method == m for s in rivals))
        for m in methods
    }
    return dict(sorted(wins.items(), key=lambda item: -item[1][0]))


def _verdict(wins: Mapping[str, tuple[int, int]]) -> str:
    if not wins or not max(count for count, _ in wins.values()):
        return "No method beats the controls beyond the noise on these samples; more samples may tell them apart."
    most = max(count for count, _ in wins.values())
    best = [method for method, (count, _) in wins.items() if count == most]
    total = wins[best[0]][1]
    who = f"{', '.join(best[:-1])} and {best[-1]} are level with each other: each" if len(best) > 1 else best[0]
    return (
        f"{who} is with the best, and better than every control beyond the noise, in {most} of {total} comparisons."
    )
