"""AUROC and average precision against sums over pairs, and resamples of samples and of groups."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from sightline.common.statistics.ranking import auroc, average_precision, interval_of, resampled


def data(seed: int, n: int = 40, levels: int = 7) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    scores = torch.randint(0, levels, (n,), generator=draw).double() / levels  # with ties
    truth = (torch.rand(n, generator=draw) < 0.3 + 0.3 * scores).double()
    truth[torch.rand(n, generator=draw) < 0.2] = math.nan
    return scores, truth


def by_pairs(scores: list[float], truth: list[float]) -> float:
    pairs = [
        (a, b)
        for a, t in zip(scores, truth, strict=True)
        if t == 1
        for b, u in zip(scores, truth, strict=True)
        if u == 0
    ]
    return sum((a > b) + 0.5 * (a == b) for a, b in pairs) / len(pairs)


def by_thresholds(scores: list[float], truth: list[float]) -> float:
    known = [(s, t) for s, t in zip(scores, truth, strict=True) if t == t]
    total, area, before = sum(t for _, t in known), 0.0, 0.0
    for threshold in sorted({s for s, _ in known}, reverse=True):
        flagged = [t for s, t in known if s >= threshold]
        area += (sum(flagged) / total - before) * sum(flagged) / len(flagged)
        before = sum(flagged) / total
    return area


@pytest.mark.parametrize("seed", range(5))
def test_both_equal_their_definitions_also_with_ties_and_unknown_entries(seed: int) -> None:
    scores, truth = data(seed)
    assert float(auroc(scores, truth)) == pytest.approx(by_pairs(scores.tolist(), truth.tolist()))
    assert float(average_precision(scores, truth)) == pytest.approx(by_thresholds(scores.tolist(), truth.tolist()))


def test_counts_are_the_same_as_repeated_samples() -> None:
    scores, truth = data(7)
    counts = torch.randint(0, 3, (4, len(scores)), generator=torch.Generator().manual_seed(1)).double()
    for row, area, precision in zip(
        counts, auroc(scores, truth, counts), average_precision(scores, truth, counts), strict=True
    ):
        again = torch.repeat_interleave(torch.arange(len(scores)), row.long())
        assert float(area) == pytest.approx(by_pairs(scores[again].tolist(), truth[again].tolist()))
        assert float(precision) == pytest.approx(by_thresholds(scores[again].tolist(), truth[again].tolist()))


def test_one_kind_of_sample_has_no_area() -> None:
    assert auroc(torch.rand(3), torch.ones(3)).isnan().all()
    assert average_precision(torch.rand(3), torch.zeros(3)).isnan().all()


def test_groups_are_drawn_whole_and_give_a_wider_interval_where_their_samples_agree() -> None:
    values = torch.tensor([0.0] * 10 + [1.0] * 10 + [1.0] * 10 + [0.0] * 10, dtype=torch.float64)
    groups = [name for name in "abcd" for _ in range(10)]

    def mean(counts: Tensor) -> Tensor:
        return counts @ values / counts.sum(1)

    single, whole = (resampled(mean, 40, groups=own, draws=400) for own in ((), groups))
    assert set((whole * 4).tolist()) <= {0.0, 1.0, 2.0, 3.0, 4.0}
    narrow, wide = (interval_of(0.5, draws, 40) for draws in (single, whole))
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


def test_resamples_do_not_depend_on_how_many_are_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = resampled(lambda counts: counts[:, :3], 6, draws=9)
    assert first.shape == (9, 3)
    assert torch.equal(first.sum(0), resampled(lambda counts: counts, 6, draws=9)[:, :3].sum(0))
