"""Bootstrap intervals: known values, coverage, pairing, classes."""

from __future__ import annotations

import pytest
import torch

from sightline.common.statistics.bootstrap import bootstrap, macro_average, paired_difference, ratio
from sightline.errors import InputError


def test_mean_and_constant_values_by_hand() -> None:
    interval = bootstrap(torch.tensor([2.0, 2.0, 2.0, 2.0]))
    assert (interval.mean, interval.low, interval.high, interval.n) == (2.0, 2.0, 2.0, 4)


def test_percentile_interval_equals_a_naive_loop() -> None:
    values = torch.rand(17, dtype=torch.float64)
    generator = torch.Generator().manual_seed(5)
    index = torch.randint(17, (300, 17), generator=generator)
    means = torch.tensor([sum(float(values[j]) for j in row) / 17 for row in index.tolist()], dtype=torch.float64)
    found = bootstrap(values, draws=300, confidence=0.9, kind="percentile", seed=5)
    assert found.low == pytest.approx(float(means.quantile(0.05)), abs=1e-12)
    assert found.high == pytest.approx(float(means.quantile(0.95)), abs=1e-12)


def test_bca_equals_its_equation_worked_out_apart() -> None:
    from statistics import NormalDist

    values = torch.distributions.Exponential(1.0).sample((40,)).double()
    draws = torch.randint(40, (500, 40), generator=torch.Generator().manual_seed(2))
    means = values[draws].mean(1)
    normal, mean = NormalDist(), float(values.mean())
    bias = normal.inv_cdf(float((means < mean).double().mean()))
    jack = [float(torch.cat([values[:i], values[i + 1 :]]).mean()) for i in range(40)]
    middle = sum(jack) / 40
    skew = sum((middle - j) ** 3 for j in jack) / (6 * sum((middle - j) ** 2 for j in jack) ** 1.5)
    levels = [normal.cdf(bias + (bias + z) / (1 - skew * (bias + z))) for z in map(normal.inv_cdf, (0.025, 0.975))]
    found = bootstrap(values, draws=500, seed=2)
    assert found.low == pytest.approx(float(means.quantile(levels[0])), abs=1e-9)
    assert found.high == pytest.approx(float(means.quantile(levels[1])), abs=1e-9)


@pytest.mark.parametrize("kind", ["bca", "percentile"])
def test_interval_covers_the_true_mean_about_as_often_as_it_says(kind: str) -> None:
    hits = 0
    for seed in range(150):
        values = torch.distributions.Exponential(1.0).sample((60,))
        interval = bootstrap(values, draws=400, seed=seed, kind=kind)  # type: ignore[arg-type]
        hits += interval.low <= 1.0 <= interval.high
    assert 0.86 <= hits / 150 <= 0.99


def test_the_same_seed_gives_the_same_interval_and_another_does_not() -> None:
    values = torch.rand(30)
    assert bootstrap(values, seed=1) == bootstrap(values, seed=1)
    assert bootstrap(values, seed=1) != bootstrap(values, seed=2)


def test_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    bootstrap(torch.rand(5, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(before, torch.get_rng_state())


def test_pairing_narrows_and_leaves_out_what_one_side_lacks() -> None:
    base = torch.randn(50) * 10
    ours = base + 1
    theirs = base.clone()
    ours[3] = float("nan")
    paired = paired_difference(ours, theirs)
    assert paired.n == 49
    assert paired.mean == pytest.approx(1.0, abs=1e-5)
    assert paired.excludes(0.0)
    assert not paired.excludes(paired.mean)


def test_none_and_one_value_have_no_interval() -> None:
    assert bootstrap(torch.empty(0)).mean != bootstrap(torch.empty(0)).mean
    one = bootstrap(torch.tensor([3.0]))
    assert one.mean == 3.0
    assert one.low != one.low


def test_mean_over_classes_weighs_classes_alike() -> None:
    values, classes = torch.tensor([1.0, 1.0, 1.0, 0.0]), torch.tensor([7, 7, 7, 9])
    assert macro_average(values, classes).mean == pytest.approx(0.5)


def test_a_ratio_weighs_samples_by_what_is_in_them() -> None:
    assert ratio(torch.tensor([1.0, 0.0]), torch.tensor([1.0, 3.0])).mean == 0.25


def test_a_ratio_resamples_both_sums_together() -> None:
    top, bottom = torch.rand(13, dtype=torch.float64), torch.rand(13, dtype=torch.float64) + 0.5
    rows = torch.randint(13, (400, 13), generator=torch.Generator().manual_seed(4)).tolist()
    drawn = [sum(float(top[j]) for j in row) / sum(float(bottom[j]) for j in row) for row in rows]
    ends = torch.tensor(drawn, dtype=torch.float64).quantile(torch.tensor([0.05, 0.95], dtype=torch.float64))
    interval = ratio(top, bottom, draws=400, confidence=0.9, seed=4)
    assert (interval.low, interval.high) == pytest.approx(tuple(ends.tolist()), abs=1e-12)
    assert interval.n == 13
    with pytest.raises(InputError, match="per sample; got"):
        ratio(torch.ones(2), torch.ones(3))


def test_one_class_data_is_refused_in_words() -> None:
    with pytest.raises(InputError, match="at least two"):
        macro_average(torch.ones(3), torch.zeros(3, dtype=torch.long))


def test_values_that_are_not_finite_are_refused() -> None:
    with pytest.raises(InputError, match="not finite"):
        bootstrap(torch.tensor([1.0, float("nan")]))
    with pytest.raises(InputError, match="near names: 'bca'"):
        bootstrap(torch.ones(3), kind="bcaa")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="confidence"):
        bootstrap(torch.ones(3), confidence=95)
    with pytest.raises(InputError, match="same samples"):
        paired_difference(torch.ones(3), torch.ones(2))
