"""Attributes in CUB's layout: certainty, levels, groups, parts, and what a broken folder is told."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sightline.data.cub import read_cub
from sightline.errors import DataError
from sightline.tasks.attributes.data import CUB_POINTS, aviary_vocabulary, class_means, read_attributes
from sightline.tasks.attributes.data.cub_words import COUNT, GROUPS_ON, cub_vocabulary
from sightline.worlds.aviary import PARTS, World, WorldConfig
from sightline.worlds.aviary.layout import write_world
from tests.tasks.attributes.data.folders import NAMES, write, write_cub

LABELS = "attributes/image_attribute_labels.txt"
TABLE = "attributes/class_attribute_labels_continuous.txt"


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    made = World(WorldConfig(species=5, twins=1, seed=6, drop_out=0.2))
    return write_world(made, tmp_path_factory.mktemp("world") / "w", 60, size=48, image_format="png")


def test_certainty_is_a_weight_and_the_answer_stays_hard(birds) -> None:
    data = read_attributes(birds)
    assert data.targets[0].tolist() == [1, 0, 1, 1]
    assert data.weights[0].tolist() == [1, 1, 0.75, 0.5]
    assert data.level == "image"


def test_absent_but_not_visible_is_unknown_and_never_a_no(birds) -> None:
    data = read_attributes(birds)
    assert data.weights[1].tolist() == [1, 1, 0, 0]
    assert np.isnan(data.prototypes[1, 2:]).all()


def test_six_tokens_padding_and_repeats_are_read(birds) -> None:
    path = birds / LABELS
    path.write_text(path.read_text().replace("1 1 1 4 1.5", "  1 1 1 4 0 1.5  ") + "\n1 3 1 4 9\n")
    data = read_attributes(birds)
    assert data.weights[0].tolist() == [1, 1, 1, 0.5]
    assert any("1 attribute rows came twice" in note for note in data.notes)


def test_image_one_is_row_zero_and_class_one_is_class_zero(birds) -> None:
    data = read_attributes(birds)
    assert data.files[0] == birds / "images" / "001.K" / "1.jpg"
    assert data.labels.tolist() == [0, 1, 0]
    assert data.split.tolist() == [0, 0, 2]


def test_rows_that_are_missing_are_counted(birds) -> None:
    path = birds / LABELS
    path.write_text("".join(line for line in path.read_text().splitlines(True) if not line.startswith("2 4")))
    with pytest.raises(
        DataError, match="no row for 1 of 12 pairs of image and attribute, first for image 2 and attr"
    ):
        read_attributes(birds)


def test_no_statistics_are_taken_from_test_or_validation_pictures(tmp_path) -> None:
    answers = {1: (0, 4), 2: (1, 4), 3: (0, 4), 4: (0, 4)}
    root = write_cub(tmp_path / "c", [(1, 1)] * 8 + [(1, 0)] * 8, dict.fromkeys(range(9, 17), answers))
    data = read_attributes(root, validation=0.25)
    assert [len(data.rows(name)) for name in ("train", "validation", "test")] == [6, 2, 8]
    assert data.prototypes[0].tolist() == [1, 0, 1, 1]
    held = data.rows("validation")[0] + 1
    write_cub(root, [(1, 1)] * 8 + [(1, 0)] * 8, dict.fromkeys((held, *range(9, 17)), answers))
    assert read_attributes(root, validation=0.25).prototypes[0].tolist() == [1, 0, 1, 1]
    assert read_attributes(root, validation=0.0).prototypes[0, 0] == pytest.approx(7 / 8)


def test_class_targets_are_the_means_of_training_pictures(birds) -> None:
    data = read_attributes(birds, targets="class")
    assert data.level == "class"
    np.testing.assert_array_equal(data.targets[2], data.prototypes[0])
    np.testing.assert_array_equal(data.weights[1], [1, 1, 0, 0])


def test_percent_are_divided_by_a_hundred_once(birds) -> None:
    write(birds, {TABLE: "50.0  25 0.5 100\n0 100   1.0 2\n"})
    data = read_attributes(birds, targets="table")
    np.testing.assert_allclose(data.prototypes, [[0.5, 0.25, 0.005, 1], [0, 1, 0.01, 0.02]])
    np.testing.assert_array_equal(data.targets, data.prototypes[[0, 1, 0]])
    assert any("test split too" in note for note in data.notes)
    assert read_attributes(birds).prototypes[0].tolist() == [1, 0, 1, 1]


def test_an_exclusive_question_that_nobody_answered_is_unknown_in_the_table(birds) -> None:
    write(birds, {TABLE: "0 0 0 0\n0 100 1 2\n"})
    data = read_attributes(birds, targets="table")
    assert np.isnan(data.prototypes[0]).tolist() == [True, True, False, False]


def test_without_image_labels_the_class_table_is_taken_and_a_note_says_so(birds) -> None:
    write(birds, {TABLE: "50 50 0 100\n0 100 1 2\n"})
    (birds / LABELS).unlink()
    data = read_attributes(birds)
    assert data.level == "class"
    assert data.targets[0].tolist() == [0.5, 0.5, 0, 1]
    assert any("image_attribute_labels.txt is missing" in note for note in data.notes)


@pytest.mark.parametrize("table", ["1 0 0 1\n0 1 1 0\n", "0.5 0 0 101\n0 1 1 0\n", "-1 0 0 50\n0 1 1 0\n"])
def test_a_table_that_is_not_in_percent_is_refused(birds, table) -> None:
    write(birds, {TABLE: table})
    with pytest.raises(DataError, match="expected percent, 0 to 100"):
        read_attributes(birds, targets="table")


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ("50 50 0\n0 100 1 2\n", "line 1: expected 4 finite numbers, found 3"),
        ("50 50 0 1\n", "1 rows of numbers; there are 2 classes"),
        ("50 50 0 x\n0 100 1 2\n", "line 1: expected 4 finite numbers, found 'x'"),
    ],
)
def test_a_table_of_another_shape_is_refused(birds, table, text) -> None:
    write(birds, {TABLE: table})
    with pytest.raises(DataError, match=text):
        read_attributes(birds, targets="table")


def test_a_folder_that_says_nothing_of_attributes_is_refused(birds) -> None:
    with pytest.raises(DataError, match="ask for targets='class'"):
        read_attributes(birds, targets="table")
    (birds / LABELS).unlink()
    with pytest.raises(DataError, match="nothing says which picture has which attribute"):
        read_attributes(birds)
    (birds / "attributes" / "attributes.txt").unlink()
    with pytest.raises(DataError, match=r"no attributes.txt; looked in attributes/, in the folder and beside it"):
        read_attributes(birds)


def test_missing_pictures_are_counted_and_named(birds) -> None:
    (birds / "images" / "001.K" / "1.jpg").unlink()
    with pytest.raises(DataError, match=r"lacks 1 of 3 pictures that its tables name, such as images/001.K/1.jpg"):
        read_attributes(birds)


def test_one_answer_groups_are_exclusive_and_an_image_with_two_is_unknown(tmp_path) -> None:
    root = write_cub(tmp_path / "c", [(1, 1), (1, 1), (1, 1)], {2: {2: (1, 4)}, 3: {1: (0, 4)}})
    data = read_attributes(root, validation=0)
    assert [group.exclusive for group in data.vocabulary.groups] == [True, False]
    assert data.weights[:, :2].tolist() == [[1, 1], [0, 0], [0, 0]]
    assert any("2 images do not have exactly one has_bill_shape" in note for note in data.notes)


def test_groups_know_their_part_and_points() -> None:
    words = cub_vocabulary(
        [f"{group}::{value}" for groups in GROUPS_ON.values() for group in groups for value in "ab"]
    )
    assert len(words.groups) == 28
    assert {group.part for group in words.groups} - {""} == set(CUB_POINTS)
    assert {group.name for group in words.groups if group.scope == "object"} == {
        "has_size", "has_shape", "has_primary_color",
    }  # fmt: skip
    assert all(word.part == "bill" for word in cub_vocabulary(NAMES[:2]).attributes)


def test_a_world_yields_the_vocabulary_of_the_aviary(world) -> None:
    data = read_attributes(world)
    assert data.vocabulary == aviary_vocabulary()
    assert len(data.vocabulary) == 80
    assert all(group.exclusive for group in data.vocabulary.groups)
    (world / "world.json").rename(world / "aside.json")
    try:
        assert read_attributes(world).vocabulary != aviary_vocabulary()
    finally:
        (world / "aside.json").rename(world / "world.json")


def test_exclusive_targets_sum_to_one_where_they_are_known(world) -> None:
    assert (read_attributes(world).weights == 0).any()
    for targets in ("image", "class", "table"):
        data = read_attributes(world, targets=targets)
        for group in data.vocabulary.groups:
            at = list(group.members)
            known = (data.weights[:, at] > 0).all(1)
            np.testing.assert_array_equal(known, (data.weights[:, at] > 0).any(1))
            np.testing.assert_allclose(data.targets[known][:, at].sum(1), 1, atol=1e-4)


def test_key_points_are_x_y_and_lie_on_their_part(world) -> None:
    data = read_attributes(world)
    hits = []
    for row in range(len(data)):
        mask = np.asarray(Image.open(data.part_masks[row]))
        for part in ("bill", "tail", "belly", "crown"):
            x, y, seen = data.points[row, data.parts.index(CUB_POINTS[part][0])]
            if seen:
                hits.append(mask[int(y), int(x)] == data.part_ids.index(part) + 1)
    assert len(hits) > 100
    assert np.mean(hits) > 0.9


def test_masks_and_boxes_come_along(world) -> None:
    data = read_attributes(world)
    assert all(path.is_file() for path in (*data.foreground, *data.part_masks))
    assert data.part_ids == PARTS
    np.testing.assert_array_equal(data.boxes, read_cub(world).boxes)


def test_train_means_are_what_they_say(world) -> None:
    data = read_attributes(world)
    train = data.take(data.rows("train"))
    means = class_means(train.targets, train.weights, train.labels, len(data.classes))
    np.testing.assert_array_equal(data.prototypes, means)


@pytest.mark.pack
def test_the_real_subset_has_385_photos_312_attributes_and_28_groups(pack) -> None:
    data = read_attributes(pack / "cub_200_2011_subset" / "CUB_200_2011")
    words = data.vocabulary
    assert (len(data), len(words), len(words.groups)) == (385, COUNT, 28)
    assert data.level == "class"
    assert all(word.scope == "part" or word.group in GROUPS_ON[""] for word in words.attributes)
    assert data.targets.max() == 1
    laysan = data.prototypes[1]
    assert laysan[words.index("has_belly_color::white")] > 0.9
    assert laysan[words.index("has_belly_color::red")] < 0.05


@pytest.mark.pack
def test_the_real_exclusive_groups_sum_to_one_in_every_class_and_no_other_does(pack) -> None:
    data = read_attributes(pack / "cub_200_2011_subset" / "CUB_200_2011")
    sums = {g.name: data.prototypes[:, list(g.members)].sum(1) for g in data.vocabulary.groups}
    single = {name for name, total in sums.items() if np.allclose(total, 1, atol=1e-4)}
    assert single == {group.name for group in data.vocabulary.groups if group.exclusive}
    assert len(single) == 9
