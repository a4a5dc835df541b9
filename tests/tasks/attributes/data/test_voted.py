"""The class vote on hand-made toys: ties, what is not counted, how many classes, and that tests have no vote."""

import numpy as np
import pytest

from sightline.errors import DataError
from sightline.tasks.attributes.data import majority, read_attributes
from tests.tasks.attributes.data.folders import write_cub

YES, NO, UNSEEN, ODD = (1, 4), (0, 4), (0, 1), (1, 1)


def toy(tmp_path, *columns):
    """One class: each column holds the answers of its training images to attribute 4."""
    rows = {number: {4: answer} for number, answer in enumerate(columns, 1)}
    return read_attributes(write_cub(tmp_path / "c", [(1, 1)] * len(columns), rows), validation=0)


@pytest.mark.parametrize(
    ("answers", "share"),
    [
        ((YES, NO), 1),  # a tie is a yes
        ((YES, NO, NO), 0),
        ((YES, NO, UNSEEN), 1),  # unseen does not count as no
        ((UNSEEN, UNSEEN), None),
        ((ODD, NO, YES), 1),
        ((ODD, NO, NO), 0),
        ((ODD, NO), 1),  # present counts even where it is called not visible
    ],
)
def test_the_vote_is_of_those_who_saw(tmp_path, answers, share) -> None:
    data = majority(toy(tmp_path, *answers), least=0)
    assert data.prototypes[0, 3] == share or (share is None and np.isnan(data.prototypes[0, 3]))
    assert data.weights[0, 3] == (share is not None)


def test_an_attribute_of_too_few_classes_is_dropped(tmp_path) -> None:
    images = [(label, 1) for label in range(1, 13)]
    few = {number: {4: NO if number > 9 else YES, 3: NO if number > 10 else YES} for number in range(1, 13)}
    root = write_cub(tmp_path / "c", images, few)
    data = read_attributes(root, majority=10, validation=0)
    assert [name.rpartition(":")[2] for name in data.vocabulary.names] == ["dagger", "red"]
    assert data.targets[:, 1].tolist() == [1] * 10 + [0] * 2
    assert data.level == "class"
    with pytest.raises(DataError, match="no attribute is voted present in 13 classes or more"):
        read_attributes(root, majority=13)


def test_test_pictures_have_no_vote_but_get_it(tmp_path) -> None:
    root = write_cub(tmp_path / "c", [(1, 1), (1, 0), (1, 0)], {1: {4: YES}, 2: {4: NO}, 3: {4: NO}})
    assert read_attributes(root, majority=0).targets[:, 3].tolist() == [1, 1, 1]


def test_after_a_vote_no_question_is_exclusive(tmp_path) -> None:
    assert toy(tmp_path, YES).vocabulary.exclusive
    assert not majority(toy(tmp_path, YES), least=0).vocabulary.exclusive


def test_attributes_of_classes_cannot_be_voted(birds) -> None:
    with pytest.raises(DataError, match="a vote needs attributes of single pictures"):
        majority(read_attributes(birds, targets="class"))
