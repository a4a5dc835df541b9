"""What a network knows of its training set: calibration and thresholds, each against its definition."""

from __future__ import annotations

import pytest
import torch

from sightline.tasks.attributes.network.calibration import Calibration, best_thresholds, log_odds, platt


def draws(count: int = 4000) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Probabilities that are wrong in a known way: the truth follows sigmoid(0.5 logit(a) - 1)."""
    draw = torch.Generator().manual_seed(0)
    a = torch.rand(count, 2, generator=draw).clamp(0.001, 0.999)
    truth = (torch.rand(count, 2, generator=draw) < (0.5 * log_odds(a) - 1).sigmoid()).float()
    return a, truth, torch.ones(count, 2)


def test_platt_finds_the_slope_and_offset_that_made_the_data() -> None:
    slope, offset = platt(*draws())
    assert slope.tolist() == pytest.approx([0.5, 0.5], abs=0.06)
    assert offset.tolist() == pytest.approx([-1.0, -1.0], abs=0.12)


def test_platt_is_the_maximum_of_its_likelihood() -> None:
    a, truth, weights = draws(300)

    def loss(slope: float, offset: float) -> float:
        yes, no = truth[:, 0].sum(), (1 - truth[:, 0]).sum()
        goal = truth[:, 0] * (yes + 1) / (yes + 2) + (1 - truth[:, 0]) / (no + 2)
        p = (slope * log_odds(a[:, 0]) + offset).sigmoid()
        return float(-(goal * p.log() + (1 - goal) * (1 - p).log()).sum())

    slope, offset = (float(v[0]) for v in platt(a, truth, weights))
    best = loss(slope, offset)
    for step in (-0.05, 0.05):
        assert loss(slope + step, offset) > best
        assert loss(slope, offset + step) > best


def test_unknown_answers_do_not_calibrate() -> None:
    a, truth, weights = draws(500)
    worse = truth.clone()
    worse[:100] = 1 - worse[:100]
    weights[:100] = 0
    for one, other in zip(platt(a, truth, weights), platt(a, worse, weights), strict=True):
        assert torch.allclose(one, other)


def test_an_attribute_that_is_never_there_stays_as_it_is() -> None:
    a = torch.rand(50, 1)
    slope, offset = platt(a, torch.zeros(50, 1), torch.ones(50, 1))
    assert (float(slope), float(offset)) == (1.0, 0.0)


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_the_threshold_is_the_best_of_all_that_were_tried(beta: float) -> None:
    r, truth, weights = draws(60)
    weights = torch.rand(60, 2, generator=torch.Generator().manual_seed(1))

    def score(threshold: float, k: int) -> float:
        said = r[:, k] >= threshold
        m, t = weights[:, k], truth[:, k]
        right = float((m * t)[said].sum())
        missed, wrong = float((m * t)[~said].sum()), float((m * (1 - t))[said].sum())
        return (1 + beta**2) * right / ((1 + beta**2) * right + beta**2 * missed + wrong)

    found = best_thresholds(r, truth, weights, beta)
    for k in range(2):
        assert score(float(found[k]), k) == pytest.approx(max(score(float(v), k) for v in r[:, k]), abs=1e-6)


def test_what_is_calibrated_is_monotonic_and_nothing_known_changes_nothing() -> None:
    known = Calibration.nothing(2, 3)
    a = torch.tensor([[0.1, 0.5, 0.9]])
    assert torch.allclose(known.calibrated(a), a, atol=1e-5)
