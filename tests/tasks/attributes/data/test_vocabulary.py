"""The vocabulary: choices, names that are found, and choices that lost a value."""

import pytest

from sightline.errors import DataError
from sightline.tasks.attributes.data import Attribute, Vocabulary

WORDS = Vocabulary(
    tuple(
        Attribute(f"{group}::{value}", group, value)
        for group in ("bill", "wing")
        for value in ("red", "blue", "grey")
    ),
    ("bill", "wing"),
)


def test_a_name_a_group_or_a_wildcard_finds_attributes_in_their_order() -> None:
    assert WORDS.match(["wing::red"]) == (3,)
    assert WORDS.match(["wing", "bill::blue"]) == (1, 3, 4, 5)
    assert WORDS.match(["*::grey", "b*"]) == (0, 1, 2, 5)


def test_a_name_that_fits_nothing_lists_near_ones() -> None:
    with pytest.raises(DataError, match=r"no attribute or group is called 'wing::reed'; near names: 'wing::red'"):
        WORDS.match(["bill", "wing::reed"])


def test_a_choice_that_lost_a_value_is_a_choice_no_more() -> None:
    kept = WORDS.only((0, 1, 3, 4, 5))
    assert [group.exclusive for group in kept.groups] == [False, True]


def test_json_brings_back_the_same() -> None:
    assert Vocabulary.from_json(WORDS.to_json()) == WORDS


def test_a_name_twice_and_a_choice_of_one_are_refused() -> None:
    with pytest.raises(DataError, match="named twice"):
        Vocabulary((WORDS.attributes[0],) * 2)
    with pytest.raises(DataError, match=r"'bill' has 1 value; a choice needs two"):
        Vocabulary(WORDS.attributes[:1], ("bill",))
    with pytest.raises(DataError, match="'bil' is not there; near names: 'bill'"):
        Vocabulary(WORDS.attributes[:3], ("bil",))
