"""Intervals, tests and correlations: equal to their equations, worked out without scipy."""

from __future__ import annotations

import math
from math import comb, sqrt
from statistics import NormalDist

import pytest
import torch
from scipy import stats

from sightline.common.statistics.correlation import pearson, spearman
from sightline.common.statistics.intervals import wilson
from sightline.common.statistics.significance import discoveries, sign_test

COUNTS = [(0, 1), (1, 1), (0, 10), (10, 10), (3, 12), (50, 100), (997, 1000), (12_345, 50_000)]


def wilson_by_hand(hits: int, total: int, z: float) -> tuple[float, float]:
    share, scale = hits / total, 1 + z * z / total
    centre = (share + z * z / (2 * total)) / scale
    half = z * sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / scale
    return max(0.0, centre - half), min(1.0, centre + half)


@pytest.mark.parametrize(("hits", "total"), COUNTS)
def test_wilson_is_its_equation_with_the_quantile_of_tables(hits, total):
    assert wilson(hits, total) == pytest.approx(wilson_by_hand(hits, total, 1.959964), rel=0, abs=1e-12)


@pytest.mark.parametrize("tests", [1, 7, 300])
@pytest.mark.parametrize(("hits", "total"), COUNTS)
def test_wilson_is_its_equation_at_any_confidence(hits, total, tests):
    z = NormalDist().inv_cdf(1 - 0.025 / tests)
    found = wilson(hits, total, confidence=1 - 0.05 / tests)
    assert found == pytest.approx(wilson_by_hand(hits, total, z), rel=0, abs=1e-12)


def test_nothing_counted_is_nothing_known():
    assert wilson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("more", "fewer"), [(0, 0), (1, 0), (7, 2), (3, 12), (40, 40), (300, 200)])
def test_sign_test_sums_the_tails_of_fair_coins(more, fewer):
    total, least = more + fewer, min(more, fewer)
    tail = sum(comb(total, k) for k in range(least + 1)) / 2**total
    assert sign_test(more, fewer) == pytest.approx(min(1.0, 2 * tail), rel=1e-12)


def discoveries_by_hand(chances: list[float], rate: float) -> list[bool]:
    order = sorted(range(len(chances)), key=lambda i: chances[i])
    last = max((rank for rank, i in enumerate(order, 1) if chances[i] <= rate * rank / len(order)), default=0)
    return [i in set(order[:last]) for i in range(len(chances))]


def test_discoveries_step_up_to_the_last_p_under_its_line():
    draw = torch.Generator().manual_seed(0)
    for count in range(1, 60):
        chances = (torch.rand(count, generator=draw, dtype=torch.float64) ** 3).tolist()
        assert discoveries(chances) == discoveries_by_hand(chances, 0.05)
    # the second of two stands under 2/2 of the rate and carries the first with it
    assert discoveries([0.04, 0.03]) == [True, True]
    assert discoveries([]) == []


def test_discoveries_divide_by_all_tests_and_no_more():
    # one of m is reported up to rate / m: under it by a hair, above it by a hair
    for m in (1, 2, 5, 20):
        others = [0.9] * (m - 1)
        assert discoveries([0.05 / m * 0.999, *others])[0]
        assert not discoveries([0.05 / m * 1.001, *others])[0]


def test_discoveries_keep_to_their_rate():
    draw = torch.Generator().manual_seed(0)
    share = []
    for _ in range(300):
        nulls, signals = torch.rand(80, generator=draw), torch.rand(20, generator=draw) * 1e-4
        kept = discoveries([*nulls.tolist(), *signals.tolist()])
        share.append(sum(kept[:80]) / max(1, sum(kept)))
        assert all(kept[80:])
    assert sum(share) / len(share) < 0.06


def test_correlations_by_rows_are_those_of_scipy_row_by_row():
    draw = torch.Generator().manual_seed(3)
    one = torch.randint(0, 9, (6, 40), generator=draw).double()  # full of ties
    other = torch.rand(6, 40, generator=draw, dtype=torch.float64) + 0.05 * one
    pairs = list(zip(one.numpy(), other.numpy(), strict=True))
    assert spearman(one, other).tolist() == pytest.approx([stats.spearmanr(*p).statistic for p in pairs], abs=1e-12)
    assert pearson(one, other).tolist() == pytest.approx([stats.pearsonr(*p).statistic for p in pairs], abs=1e-12)


def test_a_constant_row_has_no_correlation():
    assert math.isnan(float(spearman(torch.ones(1, 5), torch.rand(1, 5))))
