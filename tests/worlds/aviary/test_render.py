import time
from dataclasses import replace

import numpy as np
import pytest

from sightline.errors import DataError
from sightline.worlds.aviary import FAMILIES, PARTS, render
from sightline.worlds.aviary.attributes import part_id
from sightline.worlds.aviary.counterfactual import with_background, without_bird
from sightline.worlds.aviary.placement import placement
from sightline.worlds.aviary.render import FACTOR

SIZE = 64


def test_the_same_scene_gives_the_same_bytes(world) -> None:
    one, other = render(world.scene(3), SIZE), render(world.scene(3), SIZE)
    assert one.image.tobytes() == other.image.tobytes()
    assert one.fine_parts.tobytes() == other.fine_parts.tobytes()


@pytest.mark.parametrize("index", range(6))
def test_the_foreground_is_where_the_bird_makes_a_difference(world, index) -> None:
    scene = world.scene(index)
    drawn, empty = render(scene, SIZE), render(without_bird(scene), SIZE)
    differs = (drawn.image != empty.image).any(-1)
    assert not (differs & (drawn.coverage() == 0)).any()
    full = drawn.coverage() == 1
    assert differs[full].mean() > 0.97
    assert not empty.foreground.any()


def test_foreground_and_parts_are_a_naive_mean_and_middle_sample(world) -> None:
    drawn = render(world.scene(1), SIZE)
    blocks = drawn.fine_parts.reshape(SIZE, FACTOR, SIZE, FACTOR)
    share = (blocks > 0).mean((1, 3))
    np.testing.assert_allclose(drawn.coverage(), share, atol=1 / 252)
    np.testing.assert_array_equal(drawn.foreground, share >= 0.5)
    np.testing.assert_array_equal(drawn.parts, blocks[:, 1, :, 1])


def test_part_coverages_add_up_to_the_birds(world) -> None:
    drawn = render(world.scene(2), SIZE)
    total = sum(drawn.coverage(part) for part in PARTS)
    np.testing.assert_allclose(total, drawn.coverage(), atol=6 / 252)


def test_the_box_is_the_tightest(world) -> None:
    drawn = render(world.scene(4), SIZE)
    x, y, width, height = drawn.box
    outside = drawn.foreground.copy()
    outside[y : y + height, x : x + width] = False
    inside = drawn.foreground[y : y + height, x : x + width]
    assert not outside.any()
    assert all(rim.any() for rim in (inside[0], inside[-1], inside[:, 0], inside[:, -1]))


def test_a_location_lies_on_its_own_part(world) -> None:
    drawn = render(world.scene(5), SIZE)
    for part, location in zip(PARTS, drawn.locations, strict=True):
        if location is not None:
            column, row = (int(v * FACTOR) for v in location)
            assert drawn.fine_parts[row, column] == part_id(part)


def test_a_bird_in_the_open_is_wholly_visible_and_a_covered_one_is_not(world) -> None:
    scene = world.scene(0)
    middle = replace(
        scene, pose=replace(scene.pose, x=0.5, y=0.5), covers=(), perch=replace(scene.perch, thickness=0.01)
    )
    assert min(render(middle, 128).visibility) > 0.8
    cropped = replace(middle, pose=replace(middle.pose, x=1.0))
    assert np.mean(render(cropped, 128).visibility) < 0.7


def test_a_missing_part_is_nowhere(world) -> None:
    drawn = render(replace(world.scene(0), missing=("wing", "eye")), SIZE)
    for part in ("wing", "eye"):
        assert drawn.coverage(part).sum() == 0
        assert drawn.visibility[PARTS.index(part)] == 0
        assert drawn.locations[PARTS.index(part)] is None


def test_a_bird_without_any_part_has_no_box(world) -> None:
    drawn = render(replace(world.scene(0), missing=PARTS), SIZE)
    assert drawn.box is None
    assert not drawn.foreground.any()


def test_a_bird_beyond_the_border_is_no_error(world) -> None:
    scene = world.scene(0)
    drawn = render(replace(scene, pose=replace(scene.pose, x=3.0, y=-2.0)), SIZE)
    assert drawn.box is None
    assert drawn.visibility == (0.0,) * len(PARTS)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_a_look_of_its_own(world, family) -> None:
    scene = without_bird(world.scene(0))
    image = render(with_background(scene, family, seed=5), SIZE).image
    other = render(with_background(scene, family, seed=6), SIZE).image
    assert image.std() > 8
    assert (image != other).any()


@pytest.mark.parametrize("size", [16, 50, 131])
def test_any_size_can_be_drawn(world, size) -> None:
    drawn = render(world.scene(0), size)
    assert drawn.image.shape == (size, size, 3)
    assert drawn.foreground.shape == drawn.parts.shape == (size, size)


def test_a_thumbnail_too_small_for_a_bird_is_refused(world) -> None:
    with pytest.raises(DataError, match="at least 16"):
        render(world.scene(0), 8)


def test_a_larger_rendering_shows_the_same_scene(world) -> None:
    small, large = render(world.scene(6), 64).image, render(world.scene(6), 128).image
    halved = large.reshape(64, 2, 64, 2, 3).mean((1, 3))
    assert np.corrcoef(halved.ravel(), small.ravel())[0, 1] > 0.97


def test_a_centre_prior_fails(world) -> None:
    where = placement([render(world.scene(index), 32) for index in range(100)])
    assert where.centre_in_box <= 0.55
    assert where.gaussian_on_bird <= 0.2


def test_drawing_is_quick_enough(world) -> None:
    render(world.scene(0), 128)
    begun = time.process_time()
    for index in range(15):
        render(world.scene(index), 128)
    assert 15 / (time.process_time() - begun) > 20  # 60 and more on an idle core; see `sightline world measure`
