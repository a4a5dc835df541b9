"""Splits by name: stratified, the same wherever the folder lies, and tests untouched."""

import numpy as np
import pytest

from sightline.errors import DataError
from sightline.tasks.attributes.data.splits import carved, frozen

NAMES = [f"k{row % 3}/{row}.jpg" for row in range(120)]
LABELS = np.arange(120) % 3
SPLIT = np.where(np.arange(120) % 4 == 3, 2, 0).astype(np.int8)


def test_every_class_gives_the_same_share_and_tests_stay() -> None:
    new = carved(NAMES, LABELS, SPLIT, share=0.1, seed=0)
    assert [(new[label == LABELS] == 1).sum() for label in range(3)] == [3, 3, 3]
    np.testing.assert_array_equal(new == 2, SPLIT == 2)


def test_the_same_seed_gives_the_same_split_in_any_order_and_another_seed_another() -> None:
    one = carved(NAMES, LABELS, SPLIT, share=0.2, seed=0)
    turned = carved(NAMES[::-1], LABELS[::-1], SPLIT[::-1], share=0.2, seed=0)
    np.testing.assert_array_equal(one, turned[::-1])
    assert (one != carved(NAMES, LABELS, SPLIT, share=0.2, seed=1)).any()


def test_one_picture_of_a_class_stays_in_training() -> None:
    assert carved(["a"], np.array([0]), np.zeros(1, np.int8), share=0.9, seed=0).tolist() == [0]


def test_a_validation_split_that_is_there_is_left_alone() -> None:
    given = SPLIT.copy()
    given[0] = 1
    np.testing.assert_array_equal(carved(NAMES, LABELS, given, share=0.5, seed=0), given)


@pytest.mark.parametrize("share", [1.0, -0.1, float("nan")])
def test_a_share_outside_its_range_is_refused(share) -> None:
    with pytest.raises(DataError, match="put aside for validation"):
        carved(NAMES, LABELS, SPLIT, share=share, seed=0)


def test_the_frozen_split_is_40_20_40_in_every_class_and_does_not_move() -> None:
    new = frozen(NAMES, LABELS)
    for label in range(3):
        assert np.bincount(new[label == LABELS]).tolist() == [16, 8, 16]
    assert np.flatnonzero(new == 1)[:4].tolist() == [1, 10, 21, 27]
