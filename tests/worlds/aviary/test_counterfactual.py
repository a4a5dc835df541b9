from dataclasses import replace

import numpy as np
import pytest

from sightline.errors import DataError
from sightline.worlds.aviary import FAMILIES, GROUPS, PARTS, render
from sightline.worlds.aviary.counterfactual import (
    cue_groups,
    with_background,
    with_cue,
    with_value,
    without_cue,
    without_part,
)  # fmt: skip

SIZE = 64
PART_GROUPS = [group for group in GROUPS if group.part != "body"]


def changed(one, other):
    return (one.image != other.image).any(-1)


@pytest.mark.parametrize("group", PART_GROUPS, ids=lambda group: group.name)
def test_another_value_changes_only_the_pixels_of_its_part(world, group) -> None:
    moved = 0
    for index in range(3):
        scene = world.scene(index)
        drawn = render(scene, SIZE)
        for value in group.values:
            other = render(with_value(scene, group.name, value), SIZE)
            may = (drawn.coverage(group.part) > 0) | (other.coverage(group.part) > 0)
            assert not (changed(drawn, other) & ~may).any()
            moved += int(changed(drawn, other).any())
    assert moved >= 3


@pytest.mark.parametrize("part", PARTS)
def test_a_part_leaves_alone(world, part) -> None:
    scene = world.scene(9)
    drawn, other = render(scene, SIZE), render(without_part(scene, part), SIZE)
    assert not (changed(drawn, other) & (drawn.coverage(part) == 0)).any()
    assert other.coverage(part).sum() == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_another_background_leaves_every_bird_pixel_as_it_was(world, family) -> None:
    scene = world.scene(11)
    drawn, other = render(scene, SIZE), render(with_background(scene, family, seed=1), SIZE)
    np.testing.assert_array_equal(drawn.fine_parts, other.fine_parts)
    assert not changed(drawn, other)[drawn.coverage() == 1].any()
    assert changed(drawn, other)[drawn.coverage() == 0].mean() > 0.5


def test_a_size_scales_the_bird(world) -> None:
    scene = with_value(world.scene(0), "size", "small")
    large = with_value(scene, "size", "large")
    assert large.pose.length / scene.pose.length == pytest.approx(0.345 / 0.20)
    assert with_value(large, "size", "small").pose.length == pytest.approx(scene.pose.length)


def test_changing_nothing_changes_nothing(world) -> None:
    scene = world.scene(0)
    for g, group in enumerate(GROUPS):
        assert with_value(scene, group.name, group.values[scene.values[g]]) == scene
    assert with_background(scene, scene.backdrop.family) == scene


def test_a_part_that_is_gone_stays_gone(world) -> None:
    gone = without_part(world.scene(0), "tail")
    assert without_part(gone, "tail") is gone


@pytest.mark.parametrize("cue", ["foreground", "background", "part:wing"])
def test_a_cue_and_its_complement_make_a_whole_exchange(world, cue) -> None:
    ours, donor = world.scene(0), world.scene(1)
    swapped = without_cue(with_cue(ours, donor, cue), donor, cue)
    back = with_cue(swapped, donor, cue)
    size = len(GROUPS) - 1
    assert back.values[:size] == donor.values[:size]
    assert back.backdrop == donor.backdrop
    assert (back.pose, back.light, back.seed, back.covers) == (ours.pose, ours.light, ours.seed, ours.covers)


def test_a_cue_takes_its_own_groups_only(world) -> None:
    ours, donor = world.scene(0), world.scene(1)
    taken = with_cue(ours, donor, "part:wing")
    for g, group in enumerate(GROUPS):
        assert taken.values[g] == (donor if group.part == "wing" else ours).values[g]
    assert replace(taken, values=ours.values, noted=ours.noted) == ours


@pytest.mark.parametrize(
    "ask",
    [
        lambda scene: with_background(scene, "woods"),
        lambda scene: without_part(scene, "beak"),
        lambda scene: with_cue(scene, scene, "bird"),
        lambda scene: cue_groups("parts:wing"),
    ],
)
def test_an_unknown_name_is_refused(world, ask) -> None:
    with pytest.raises(DataError):
        ask(world.scene(0))
