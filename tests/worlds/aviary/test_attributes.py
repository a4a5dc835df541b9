from itertools import combinations

import numpy as np
import pytest

from sightline.errors import DataError
from sightline.worlds.aviary import palette
from sightline.worlds.aviary.attributes import (
    COLOURS,
    GROUPS,
    PARTS,
    group_index,
    groups_of,
    names,
    offsets,
    part_id,
    value_index,
)  # fmt: skip


def test_there_are_at_least_24_attributes_with_cub_style_names() -> None:
    assert len(names()) >= 24
    assert "has_bill_shape::hooked" in names()
    assert len(set(names())) == len(names()) == offsets()[-1]


def test_offsets_point_at_the_first_value_of_every_group() -> None:
    for group, start in zip(GROUPS, offsets(), strict=False):
        assert names()[start] == f"{group.name}::{group.values[0]}"


def test_every_group_belongs_to_a_part_and_every_part_has_a_group() -> None:
    assert {group.part for group in GROUPS} == {*PARTS, "body"}
    assert sum(len(groups_of(part)) for part in PARTS) == len(GROUPS) - 1


def test_part_ids_count_from_one() -> None:
    assert [part_id(part) for part in PARTS] == list(range(1, len(PARTS) + 1))


@pytest.mark.parametrize(
    ("ask", "near"),
    [
        (lambda: group_index("crown_colour"), "has_crown_color"),
        (lambda: value_index(group_index("crown_color"), "redd"), "red"),
        (lambda: part_id("wings"), "wing"),
    ],
)
def test_a_wrong_name_is_answered_with_a_near_one(ask, near) -> None:
    with pytest.raises(DataError, match=near):
        ask()


def test_plumage_colours_are_at_least_25_units_apart() -> None:
    labs = [_lab(palette.PLUMAGE[name]) for name in COLOURS]
    assert min(np.linalg.norm(a - b) for a, b in combinations(labs, 2)) >= 25


def _lab(rgb: tuple[int, int, int]) -> np.ndarray:
    """CIE 1976 L*a*b*, D65, written from its definition."""
    srgb = np.array(rgb) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ linear
    t = xyz / np.array([0.9505, 1.0, 1.089])
    x, y, z = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])
