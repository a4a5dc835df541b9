"""Where parts are in a photo: key points as soft maps, boxes and masks as the object."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sightline.tasks.attributes.data import Attribute, AttributeData, Vocabulary, read_attributes
from sightline.tasks.attributes.data.examples import from_files, group_shares, object_shares
from sightline.tasks.attributes.data.places import NOWHERE, WIDTH, dithered, id_names, part_ids

WORDS = Vocabulary(
    (
        Attribute("has_bill_color::red", "has_bill_color", "red", "bill", "part"),
        Attribute("has_wing_color::red", "has_wing_color", "red", "wing", "part"),
        Attribute("has_crown_color::red", "has_crown_color", "red", "crown", "part"),
        Attribute("has_size::large", "has_size", "large"),
    )
)
PARTS = ("beak", "left wing", "right wing", "crown")


def photo(folder: Path, points: list[list[float]], box: list[float] | None = None, size=(120, 80)) -> AttributeData:
    """A photo of 120 x 80 with key points; its middle square begins at x = 20."""
    path = folder / "photo.png"
    Image.new("RGB", size).save(path)
    return AttributeData(
        root=folder,
        files=(path,),
        labels=np.zeros(1, np.int64),
        classes=("a",),
        vocabulary=WORDS,
        targets=np.zeros((1, 4), np.float32),
        weights=np.ones((1, 4), np.float32),
        prototypes=np.zeros((1, 4), np.float32),
        split=np.zeros(1, np.int8),
        boxes=None if box is None else np.array([box], float),
        parts=PARTS,
        points=np.array([points], float),
    )


def test_a_cell_holds_as_much_of_a_part_as_its_gaussian(tmp_path):
    spread, size = 6.0, 64
    ids = dithered(np.array([[20.0, 28.0, 1.0]]), spread, np.zeros((size, size), bool), whole=9)
    cells = (ids == 1).reshape(8, 8, 8, 8).mean((1, 3))
    at = np.arange(size) + 0.5
    gaussian = np.exp(-((at[None] - 20) ** 2 + (at[:, None] - 28) ** 2) / (2 * spread**2))
    assert np.abs(cells - gaussian.reshape(8, 8, 8, 8).mean((1, 3))).max() < 0.03
    assert set(np.unique(ids)) == {0, 1}


def test_the_nearer_of_two_parts_has_the_place_between_them():
    ids = dithered(np.array([[10.0, 16.0, 1.0], [22.0, 16.0, 2.0]]), 5.0, np.ones((32, 32), bool), whole=3)
    columns = np.broadcast_to(np.arange(32), (32, 32))
    assert columns[ids == 1].max() < 16 <= columns[ids == 2].min()
    assert (ids == 3).any()


def test_a_point_lands_on_its_place_in_the_middle_square(tmp_path):
    data = photo(tmp_path, [[40, 20, 1], [0, 0, 0], [0, 0, 0], [0, 0, 0]], [30, 10, 40, 40])
    ids = part_ids(data, 0, 40)
    rows, columns = np.nonzero(ids == 1)
    # x = 40 is 20 behind the square's left edge, which is half of the picture's pixels here
    assert (columns.mean() + 0.5, rows.mean() + 0.5) == pytest.approx((10, 10), abs=0.6)
    assert id_names(data) == (*PARTS, "object")
    inside = ids == 5
    assert inside.any()
    assert not inside[:, 30:].any()  # behind the box
    assert not inside[26:].any()


def test_the_width_goes_with_the_box(tmp_path):
    sizes = [
        int((part_ids(photo(tmp_path, [[60, 40, 1], *[[0, 0, 0]] * 3], [20, 0, side, side]), 0, 80) == 1).sum())
        for side in (40, 80)
    ]
    # pi times (2 sigma^2) is what a Gaussian covers
    want = [2 * np.pi * (WIDTH * side) ** 2 for side in (40, 80)]
    assert sizes == pytest.approx(want, rel=0.15)


def test_hidden_points_show_nothing_and_without_anything_nothing_is_known(tmp_path):
    data = photo(tmp_path, [[40, 20, 0], [60, 40, 1], [0, 0, 0], [0, 0, 0]])
    assert set(np.unique(part_ids(data, 0, 40))) == {0, 2}
    two = replace(data, files=data.files * 2, points=np.concatenate([data.points, 0 * data.points]))
    assert set(np.unique(part_ids(two, 1, 40))) == {NOWHERE}
    boxed = replace(two, boxes=np.array([[30, 10, 40, 40]] * 2, float))
    assert set(np.unique(part_ids(boxed, 1, 40))) == {0, 5}


def test_groups_find_their_parts_on_any_of_their_points(tmp_path):
    data = photo(tmp_path, [[50, 30, 1], [70, 50, 1], [90, 70, 1], [0, 0, 0]], [20, 0, 80, 80])
    examples = from_files(data, [0], 80, tmp_path / "work")
    assert examples.part_names == (*PARTS, "object")
    shares = group_shares(examples.parts, WORDS, examples.part_names, (4, 4))[0]
    bill, wing, crown, size = shares
    assert float(crown.sum()) == 0  # its point is hidden
    assert int(bill.argmax()) == 5
    assert float(wing.sum()) == pytest.approx(2 * float(bill.sum()), rel=0.3)
    assert torch.allclose(size, object_shares(examples.parts, (4, 4))[0])


def test_key_points_of_cub_photos_lie_on_their_boxes(pack):
    data = read_attributes(pack / "cub_200_2011_subset" / "CUB_200_2011", targets="class", incomplete=True)
    some = data.take(range(0, len(data), 60))
    for row in range(len(some)):
        ids = part_ids(some, row, 112)
        parts = (ids > 0) & (ids <= len(some.parts))
        assert parts.sum() > 0.1 * (ids > 0).sum()


def test_a_training_is_guided_to_parts_by_key_points(pack, tmp_path):
    from sightline.tasks.attributes.data.pictures import gather
    from sightline.tasks.attributes.recipe import EatRecipe

    recipe = EatRecipe().but(part_weight=0.1, outside_weight=0.1, incomplete=True, size=32)
    pictures = gather(pack / "cub_200_2011_subset" / "CUB_200_2011", recipe, tmp_path)
    assert pictures.where == "points"
    assert any("key points" in note for note in pictures.notes)
    assert any("holds some of the background" in note for note in pictures.notes)
    shares = group_shares(pictures.train.parts, pictures.vocabulary, pictures.train.part_names, (2, 2))
    parts = [at for at, group in enumerate(pictures.vocabulary.groups) if group.scope == "part"]
    assert float((shares[:, parts].sum((2, 3)) > 0).float().mean()) > 0.7
