"""Thresholds: chosen on validation for what is wanted, judged on test pictures."""

from __future__ import annotations

import math

import pytest
import torch

from sightline.common.statistics.intervals import wilson
from sightline.errors import TrainingError
from sightline.training.operating import chosen_point, judged, judged_points, share_text
from sightline.training.recipe import OperatingConfig

SCORES = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9, 0.95, 0.5])
TRUTH = torch.tensor([0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0, 1.0, math.nan])


def rates(threshold: float) -> tuple[float, float]:
    known = torch.isfinite(TRUTH)
    flagged, own = SCORES[known] >= threshold, TRUTH[known].bool()
    return float((flagged & own).sum() / own.sum()), float((~flagged & ~own).sum() / (~own).sum())


@pytest.mark.parametrize("wanted", [0.2, 0.6, 0.8, 1.0])
def test_a_wanted_sensitivity_is_reached_by_the_highest_threshold_that_does(wanted: float) -> None:
    point = chosen_point("x", SCORES, TRUTH, OperatingConfig(sensitivity=wanted))
    assert rates(point.threshold)[0] >= wanted
    higher = SCORES[(point.threshold < SCORES) & torch.isfinite(TRUTH)].min() + 1e-4
    assert rates(float(higher))[0] < wanted or rates(float(higher)) == rates(point.threshold)
    assert (point.positives, point.negatives) == (5, 4)


@pytest.mark.parametrize(("wanted", "threshold"), [(0.5, 0.25), (0.75, 0.5), (1.0, 0.75)])
def test_a_wanted_specificity_is_reached_by_the_lowest_threshold_that_does(wanted: float, threshold: float) -> None:
    point = chosen_point("x", SCORES, TRUTH, OperatingConfig(specificity=wanted))
    assert point.threshold == pytest.approx(threshold)
    assert rates(point.threshold)[1] >= wanted


def test_without_a_wish_f1_is_highest() -> None:
    point = chosen_point("x", SCORES, TRUTH, OperatingConfig())

    def f1(threshold: float) -> float:
        known = torch.isfinite(TRUTH)
        flagged, own = SCORES[known] >= threshold, TRUTH[known].bool()
        return float(2 * (flagged & own).sum() / (flagged.sum() + own.sum()))

    assert f1(point.threshold) == pytest.approx(max(f1(t / 100) for t in range(101)))


def test_one_kind_of_picture_gives_no_choice_and_it_is_said() -> None:
    point = chosen_point("x", SCORES[:2], TRUTH[:2], OperatingConfig(sensitivity=0.9))
    assert (point.threshold, point.aim) == (0.5, "")
    assert "no choice" in point.remark
    assert chosen_point("x", SCORES, TRUTH, OperatingConfig()).remark == "chosen on only 4 of a kind"


def test_shares_on_test_pictures_have_wilsons_interval_and_groups_their_own() -> None:
    point = judged(chosen_point("x", SCORES, TRUTH, OperatingConfig(specificity=0.75)), SCORES, TRUTH)
    assert point.sensitivity == pytest.approx((0.8, *wilson(4, 5)))
    assert point.specificity == pytest.approx((0.75, *wilson(3, 4)))
    whole = judged(point, SCORES, TRUTH, groups=["a"] * 5 + ["b"] * 5)
    assert whole.sensitivity is not None
    assert whole.sensitivity[0] == pytest.approx(0.8)
    assert whole.sensitivity[1:] == pytest.approx((0.5, 1.0))  # of groups with 1 of 2 and 3 of 3
    perfect = judged(point, torch.ones(6), torch.ones(6), groups=["a"] * 3 + ["b"] * 3)
    assert perfect.sensitivity == pytest.approx((1.0, *wilson(2, 2)))  # two groups, not six pictures
    assert perfect.specificity is None
    assert share_text(perfect.specificity) == "not measured"


def test_both_wishes_at_once_are_refused() -> None:
    with pytest.raises(TrainingError, match="give one"):
        OperatingConfig(sensitivity=0.9, specificity=0.9)


def test_thresholds_of_all_labels_are_chosen_on_validation_and_judged_on_test_pictures():
    draw = torch.Generator().manual_seed(0)
    chosen, tested = (torch.rand(40, 2, generator=draw, dtype=torch.float64) for _ in range(2))
    known, truth = ((torch.rand(40, 2, generator=draw) < 0.5).double() for _ in range(2))
    config, groups = OperatingConfig(sensitivity=0.8), [str(at // 2) for at in range(40)]
    points = judged_points(("a", "b"), (chosen, known), (tested, truth), config, groups)
    for at, label in enumerate("ab"):
        alone = chosen_point(label, chosen[:, at], known[:, at], config)
        assert alone.threshold != chosen_point(label, tested[:, at], truth[:, at], config).threshold
        assert points[at] == judged(alone, tested[:, at], truth[:, at], groups)
