"""Scores of attributes, energy and within-class pairs, each against a count by hand."""

from __future__ import annotations

import pytest
import torch

from sightline.tasks.attributes.data import Attribute, Vocabulary

pytest.importorskip("lightning")

from sightline.tasks.attributes.metrics.scores import (
    attribute_calibration_error,
    choices_of,
    rankings,
    scores,
    within_classes,
)

WORDS = Vocabulary(
    (
        Attribute("crown::red", "crown", "red", "crown", "part"),
        Attribute("crown::blue", "crown", "blue", "crown", "part"),
        Attribute("striped", "striped", "yes"),
        Attribute("never", "never", "yes"),
    ),
    ("crown",),
)
TARGETS = torch.tensor([[1.0, 0, 1, 0], [0, 1, 0, 0], [0, 1, 1, 0], [1, 0, 0, 0]])
WEIGHTS = torch.tensor([[1.0, 1, 1, 1], [1, 1, 1, 1], [0, 0, 1, 1], [1, 1, 1, 1]])
SAID = torch.tensor([[0.9, 0.1, 0.8, 0.5], [0.2, 0.8, 0.3, 0.5], [0.9, 0.1, 0.2, 0.5], [0.3, 0.7, 0.1, 0.5]])


def test_a_choice_counts_pictures_in_which_it_is_known() -> None:
    (crown,) = choices_of(SAID, TARGETS, WEIGHTS, WORDS)
    assert (crown.name, crown.right, crown.total, crown.base) == ("crown", 2, 3, 2)


def test_other_attributes_are_ranked_and_those_that_nobody_has_are_left_out() -> None:
    (striped,) = rankings(SAID, TARGETS, WEIGHTS, WORDS)
    assert striped.auc == pytest.approx(0.75)
    assert striped.precision == pytest.approx((1 + 2 / 3) / 2)
    assert (striped.share, striped.total) == (0.5, 4)
    assert scores(SAID, TARGETS, WEIGHTS, WORDS)["attribute score"] == pytest.approx((2 / 3 + 5 / 6) / 2)


def test_within_classes_a_head_that_knows_the_class_alone_ranks_half_of_the_pairs() -> None:
    labels = torch.tensor([0, 0, 1, 1])
    means = torch.tensor([[0.5, 0.5, 0.5, 0.0], [0.4, 0.6, 0.3, 0.0]])
    right, pairs = within_classes(means[labels], TARGETS, WEIGHTS, labels)
    assert pairs.tolist() == [3, 1]
    assert right.tolist() == [1.5, 0.5]


def test_within_classes_only_known_pairs_of_one_class_count() -> None:
    labels = torch.tensor([0, 0, 1, 1])
    right, pairs = within_classes(SAID, TARGETS, WEIGHTS, labels)
    assert pairs.tolist() == [3, 1]  # crown is unknown in picture 3
    assert right.tolist() == [3, 1]


def test_calibration_error_is_the_gap_between_what_is_said_and_what_is_so() -> None:
    said = torch.full((10, 1), 0.8)
    there = torch.zeros(10, 1)
    there[:5] = 1
    assert attribute_calibration_error(said, there, torch.ones(10, 1)) == pytest.approx(0.3, abs=1e-6)
    assert attribute_calibration_error(said, there, torch.zeros(10, 1)) != attribute_calibration_error(
        said, there, torch.ones(10, 1)
    )
