"""What earns words: attributes that beat their frequency and their class on validation pictures."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from sightline.common.statistics.bootstrap import mean_columns
from sightline.tasks.attributes.network.calibration import Calibration, log_odds, platt
from sightline.tasks.attributes.network.skill import (
    FOLDS,
    SEEN,
    TYPICAL,
    UNREAD,
    Answers,
    Skill,
    _better,
    cross_fitted,
    floor_of,
    measure_skill,
)

CLASSES, COUNT = 4, 400


def world(seed=0, count=COUNT):
    """Attribute 0 is seen in the picture, 1 follows from the class, 2 is read at random, 3 hardly ever there."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.randint(CLASSES, (count,), generator=draw)
    typical = torch.tensor([[0.5, 0.9, 0.5, 0.0], [0.5, 0.1, 0.5, 0.0], [0.4, 0.9, 0.5, 0.0], [0.6, 0.1, 0.5, 0.0]])
    targets = (torch.rand(count, 4, generator=draw) < typical[labels]).float()
    targets[0, 3] = 1.0
    read = torch.stack(
        [
            0.1 + 0.8 * targets[:, 0] * (torch.rand(count, generator=draw) < 0.9),
            typical[labels, 1],
            torch.rand(count, generator=draw),
            torch.rand(count, generator=draw),
        ],
        1,
    )
    calibration = replace(Calibration.nothing(CLASSES, 4), prototypes=typical)
    return Answers(read, labels, targets, torch.ones(count, 4)), calibration


def test_an_attribute_is_seen_typical_or_unread_by_what_it_beats():
    skill = measure_skill(*world())
    assert skill.standing.tolist() == [SEEN, TYPICAL, UNREAD, UNREAD]
    assert skill.over_class[1, 0] > 0
    assert skill.over_class[0, 1].abs() < 0.01
    assert bool(skill.over_frequent[:, 3].isnan().all())
    assert skill.pictures.tolist() == [COUNT] * 4


def test_a_head_whose_readings_belong_to_other_pictures_earns_nothing():
    for seed in range(5):
        answers, calibration = world(seed)
        order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(seed + 50))
        shuffled = replace(answers, probabilities=answers.probabilities[order])
        assert measure_skill(shuffled, calibration).standing.max() == UNREAD


def test_a_head_that_reads_another_attribute_is_never_said_to_see():
    for seed in range(5):
        answers, calibration = world(seed)
        rolled = replace(answers, probabilities=answers.probabilities.roll(1, 1))
        assert measure_skill(rolled, calibration).standing.max() < SEEN


def test_hundreds_of_random_readings_make_no_discovery():
    draw = torch.Generator().manual_seed(3)
    count, many = 150, 300
    labels = torch.randint(CLASSES, (count,), generator=draw)
    targets = (torch.rand(count, many, generator=draw) < 0.4).float()
    answers = Answers(torch.rand(count, many, generator=draw), labels, targets, torch.ones(count, many))
    calibration = replace(Calibration.nothing(CLASSES, many), prototypes=torch.full((CLASSES, many), 0.4))
    assert int((measure_skill(answers, calibration).standing > UNREAD).sum()) <= 1


def test_a_gain_has_to_stand_out_among_all_attributes():
    gains = torch.randn(100, 400, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    gains[:, 0] += 1.0
    intervals = mean_columns(gains)
    assert int((intervals[1] > 0).sum()) > 3  # by chance, one by one
    better = _better(gains, intervals)
    assert bool(better[0])
    assert int(better.sum()) <= 2


def test_gains_are_differences_of_cross_fitted_brier_scores():
    answers, calibration = world(1, 60)
    skill = measure_skill(answers, calibration)
    fold = torch.randperm(60, generator=torch.Generator().manual_seed(0)) % FOLDS
    implied = calibration.prototypes[answers.predicted].clamp(0.02, 0.98)
    gains = []
    for row in range(60):
        rest = fold != fold[row]
        errors = []
        for said in (answers.probabilities, implied):
            slope, offset = platt(said[rest], answers.targets[rest], answers.weights[rest])
            r = (slope[0] * log_odds(said[row])[0] + offset[0]).sigmoid()
            errors.append(float(r - answers.targets[row, 0]) ** 2)
        gains.append(errors[1] - errors[0])
    assert float(skill.over_class[0, 0]) == pytest.approx(sum(gains) / 60, abs=1e-5)


def test_no_picture_takes_part_in_its_own_calibration():
    answers, _ = world(2, 80)
    other = answers.targets.clone()
    other[7] = 1 - other[7]
    one, two = (cross_fitted(answers.probabilities, replace(answers, targets=t)) for t in (answers.targets, other))
    assert torch.equal(one[7], two[7])
    assert not torch.equal(one, two)


def test_unknown_answers_do_not_count():
    answers, calibration = world(4)
    weights = answers.weights.clone()
    weights[::2] = 0
    targets = torch.where(weights > 0, answers.targets, 1 - answers.targets)
    skill = measure_skill(replace(answers, targets=targets, weights=weights), calibration)
    assert skill.standing[0] == SEEN
    assert skill.pictures.tolist() == [COUNT // 2] * 4


def test_the_floor_is_the_lowest_probability_from_which_nine_in_ten_are_surely_true():
    said = torch.tensor([0.55, 0.56, *[0.72] * 9, *[0.9] * 36])[:, None]
    truth = torch.ones_like(said)
    truth[0] = 0
    counted, half = torch.ones_like(said, dtype=torch.bool), torch.tensor([0.5])
    hits, total, z = 46, 47, 1.959964
    centre, half_width = hits / total + z**2 / 2 / total, z * math.sqrt(46 / 47**3 + z**2 / 4 / total**2)
    assert (centre - half_width) / (1 + z**2 / total) < 0.9 < 46 / 47  # Wilson's lower end: not sure enough
    assert floor_of(said, truth, counted, half) == 0.6
    assert floor_of(said, truth, counted, torch.tensor([0.6])) == 0.5  # that threshold leaves nothing false
    assert floor_of(said[-30:], truth[-30:], counted[-30:], half) == 0.95  # all true, and too few to be sure
    assert floor_of(said, 0 * truth, counted, half) == 0.95
    assert floor_of(said, truth, ~counted, half) == 0.95


def test_the_prior_correction_takes_back_what_the_weights_of_the_loss_did():
    truth = torch.tensor([0.2, 0.5, 0.3])
    weights = torch.tensor([3.0, 1.0, 2.0])
    chosen = truth * weights / (truth * weights).sum()
    alone = torch.tensor(0.1)
    odds = 4 * alone / (1 - alone)
    calibration = replace(
        Calibration.nothing(1, 4),
        prior=torch.tensor([*weights.tolist(), 4.0]).log(),
        choice=torch.tensor([0.0, 0.0, 0.0, -1.0]),
    )
    learnt = torch.cat([chosen, (odds / (1 + odds))[None]])[None]
    assert torch.allclose(calibration.corrected(learnt)[0], torch.tensor([0.2, 0.5, 0.3, 0.1]), atol=1e-5)
    assert torch.equal(Calibration.nothing(1, 4).corrected(learnt), learnt)


def test_columns_are_resampled_together_and_each_by_its_own_known_rows():
    values = torch.randn(50, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    values[:20, 1] = torch.nan
    values[1:, 2] = torch.nan
    mean, low, high = mean_columns(values, draws=500)
    picks = torch.randint(50, (500, 50), generator=torch.Generator().manual_seed(0))
    for k in range(2):
        means = values[:, k][picks].nanmean(1)
        want = torch.nanquantile(means, torch.tensor([0.025, 0.975], dtype=torch.float64))
        assert [float(low[k]), float(high[k])] == pytest.approx(want.tolist())
        assert float(mean[k]) == pytest.approx(float(values[:, k].nanmean()))
    assert bool(torch.stack([mean, low, high])[:, 2].isnan().all())


def test_skill_comes_back_by_its_names():
    skill = measure_skill(*world())
    again = Skill(**skill.tensors())
    assert all(
        torch.equal(a.nan_to_num(9), b.nan_to_num(9))
        for a, b in zip(skill.tensors().values(), again.tensors().values(), strict=True)
    )
    assert again.measured
    assert not Skill.unmeasured(3).measured
