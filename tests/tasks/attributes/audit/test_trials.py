"""Intervals at two levels."""

import torch

from sightline.common.statistics.intervals import wilson
from sightline.tasks.attributes.audit.trials import strict, trial


def test_many_tests_need_more():
    values = torch.randn(200, generator=torch.manual_seed(1)) + 0.2
    one, many = trial(values, 1), trial(values, 1000)
    assert many.strict.low < one.strict.low < one.interval.mean
    assert one.above(0.0)
    assert not many.above(0.0)
    assert trial(-values).below(0.0)
    assert not trial(-values).above(0.0)


def test_an_interval_of_many_tests_is_wider():
    assert strict() == 0.95
    low, high = wilson(5, 10, confidence=strict(100))
    assert low < 0.2366
    assert high > 0.7634
