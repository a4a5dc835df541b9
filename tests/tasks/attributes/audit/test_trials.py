"""Intervals at two levels, exact tests and false discoveries."""

from math import comb

import pytest
import torch

from sightline.tasks.attributes.audit.trials import discoveries, sign_test, trial, wilson


@pytest.mark.parametrize(("more", "fewer"), [(0, 0), (1, 0), (7, 2), (3, 12), (40, 40), (300, 200)])
def test_sign_test_sums_the_tails_of_fair_coins(more, fewer):
    total, least = more + fewer, min(more, fewer)
    tail = sum(comb(total, k) for k in range(least + 1)) / 2**total
    assert sign_test(more, fewer) == pytest.approx(min(1.0, 2 * tail), rel=1e-9)


def test_discoveries_keep_to_their_rate():
    draw = torch.Generator().manual_seed(0)
    share = []
    for _ in range(300):
        nulls, signals = torch.rand(80, generator=draw), torch.rand(20, generator=draw) * 1e-4
        kept = discoveries([*nulls.tolist(), *signals.tolist()])
        share.append(sum(kept[:80]) / max(1, sum(kept)))
        assert all(kept[80:])
    assert sum(share) / len(share) < 0.06


def test_many_tests_need_more():
    values = torch.randn(200, generator=torch.manual_seed(1)) + 0.2
    one, many = trial(values, 1), trial(values, 1000)
    assert many.strict.low < one.strict.low < one.interval.mean
    assert one.above(0.0)
    assert not many.above(0.0)
    assert trial(-values).below(0.0)
    assert not trial(-values).above(0.0)


def test_wilson_at_one_and_at_many_tests():
    assert wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    low, high = wilson(5, 10, 100)
    assert low < 0.2366
    assert high > 0.7634
    assert wilson(0, 0) == (0.0, 1.0)
