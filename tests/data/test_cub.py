"""The reader against hand-written folders with every quirk of the real files."""

from pathlib import Path

import numpy as np
import pytest

from sightline.data import cub
from sightline.data.cub import read_cub
from sightline.errors import DataError

FILES = {
    "images.txt": "1 001.A/one.jpg\n2 002.B/two.jpg\n",
    "classes.txt": "1 001.A\n2 002.B\n",
    "image_class_labels.txt": "1 1\n2 2\n",
    "train_test_split.txt": "2 0\n1 1\n",
    "bounding_boxes.txt": "1 60.0 27.0 325.0 304.0\n2 1.0 2.0 3.5 4.0\n",
    "parts/parts.txt": "1 back\n2 left eye\n",
    "parts/part_locs.txt": "1 1 312.0 182.0 1\n1 2 0.0 0.0 0\n2 1 5.0 6.0 1\n2 2 7.0 8.0 1\n",
    "attributes/image_attribute_labels.txt": (
        "1 1 0 1 27.708\n1 2 1 3 0 3.535\n\n1 3 1 4   2.0\n2 1 0 4 1.0\n2 2 0 2 1.0\n2 3 1 4 1.0\n2 3 0 3 9.0\n"
    ),
}
NAMES = "1 has_bill_shape::curved_(up_or_down)\n2 has_bill_shape::dagger\n3 has_size::small_(5_-_9_in)\n"


@pytest.fixture
def folder(tmp_path) -> Path:
    root = tmp_path / "CUB_200_2011"
    for name, text in {**FILES, "attributes/attributes.txt": NAMES}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_six_tokens_blank_lines_and_padding_are_read(folder) -> None:
    data = read_cub(folder)
    assert data.present.tolist() == [[False, True, True], [False, False, False]]
    assert data.certainty.tolist() == [[1, 3, 4], [4, 2, 3]]
    assert data.repeated == 1


def test_not_visible_is_unknown_and_never_absent(folder) -> None:
    assert read_cub(folder).known.tolist() == [[False, True, True], [True, True, True]]


def test_ids_count_from_one_and_rows_from_zero(folder) -> None:
    data = read_cub(folder)
    assert data.labels.tolist() == [0, 1]
    assert data.train.tolist() == [True, False]
    assert data.boxes[0].tolist() == [60, 27, 325, 304]
    assert data.points[1, 1].tolist() == [7, 8, 1]
    assert data.parts == ("back", "left eye")
    assert data.image_path(1) == folder / "images" / "002.B" / "two.jpg"


def test_a_subset_keeps_the_ids_of_the_whole(folder) -> None:
    for path in folder.rglob("*.txt"):
        if path.name in ("images.txt", "image_class_labels.txt", "train_test_split.txt", "bounding_boxes.txt",
                         "part_locs.txt", "image_attribute_labels.txt"):  # fmt: skip
            renamed = {"1": "12", "2": "7"}
            lines = [line.split(maxsplit=1) for line in path.read_text().splitlines() if line.strip()]
            path.write_text("".join(f"{renamed[head]} {rest}\n" for head, rest in lines))
    data = read_cub(folder)
    assert data.ids == (12, 7)
    assert data.labels.tolist() == [0, 1]
    assert data.boxes[0].tolist() == [60, 27, 325, 304]
    assert data.points[1, 1].tolist() == [7, 8, 1]
    assert data.known.tolist() == [[False, True, True], [True, True, True]]


@pytest.mark.parametrize("place", ["attributes/attributes.txt", "attributes.txt", "../attributes.txt"])
def test_attribute_names_are_found_in_any_of_three_places(folder, place) -> None:
    (folder / "attributes" / "attributes.txt").unlink()
    (folder / place).write_text(NAMES)
    assert read_cub(folder).attributes[2] == "has_size::small_(5_-_9_in)"


def test_a_folder_without_attributes_is_read(folder) -> None:
    (folder / "attributes" / "attributes.txt").unlink()
    data = read_cub(folder)
    assert data.attributes == ()
    assert data.present.shape == (2, 0)


def test_a_mask_is_found_in_both_layouts(folder) -> None:
    data = read_cub(folder)
    assert data.mask_path(0) is None
    for place in ("segmentations", "masks/foreground"):
        path = folder / place / "001.A" / "one.png"
        path.parent.mkdir(parents=True)
        path.touch()
        assert data.mask_path(0) == path


@pytest.mark.parametrize("name", [name for name in FILES if "attribute" not in name])
def test_a_missing_file_is_named(folder, name) -> None:
    (folder / name).unlink()
    with pytest.raises(DataError, match=Path(name).name):
        read_cub(folder)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("images.txt", "1 a.jpg\n1 b.jpg\n", "line 2: expected `id path` with an id from 1 that does not repeat"),
        ("images.txt", "0 a.jpg\n1 b.jpg\n", "line 1: expected `id path`"),
        ("classes.txt", "1 001.A\n2\n", "line 2"),
        ("image_class_labels.txt", "1 1\n2 3\n", "class 3"),
        ("bounding_boxes.txt", "1 1 2 3 4\n", "no row for image 2"),
        ("bounding_boxes.txt", "1 1 2 3 4\n2 1 2 3\n", "line 2: expected 5 numbers"),
        ("bounding_boxes.txt", "1 1 2 3 4\n2 1 2 x 4\n", "line 2"),
        ("train_test_split.txt", "1 1\n7 0\n", "line 2: expected an image id that images.txt lists"),
        ("parts/part_locs.txt", "1 9 1 1 1\n", "a part from 1 to 2"),
        ("attributes/image_attribute_labels.txt", "1 1 0 9 1\n", "certainty 1-4"),
        ("attributes/image_attribute_labels.txt", "1 1 0\n", "line 1"),
        ("bounding_boxes.txt", "1 1 2 3 nan\n2 1 2 3 4\n", "line 1"),
    ],
)
def test_a_malformed_row_is_named_with_its_line(folder, name, text, says) -> None:
    (folder / name).write_text(text)
    with pytest.raises(DataError, match=says):
        read_cub(folder)


def test_arrays_have_one_row_per_image(folder) -> None:
    data = read_cub(folder)
    for array in (data.labels, data.train, data.boxes, data.points, data.present, data.certainty):
        assert len(array) == len(data) == 2
    assert np.isfinite(data.boxes).all()


def test_reading_all_answers_at_once_is_reading_them_line_by_line(tmp_path) -> None:
    lines = ["7 1 0 4 1.5", "12 2 1 3 0 2.5", "", "  3 1 1 2   1", "7 1 1 1 1", "12 3 0 1 1"]
    path = tmp_path / "answers.txt"
    path.write_text("\n".join(lines))
    rows = {12: 0, 3: 1, 7: 2}
    fast, slow = cub._answers(path, rows, 3), cub._lines_of_answers(path, rows, 3)
    np.testing.assert_array_equal(fast, slow)
    assert fast.tolist() == [[2, 0, 0, 4], [0, 1, 1, 3], [1, 0, 1, 2], [2, 0, 1, 1], [0, 2, 0, 1]]
    path.write_text("")
    assert cub._answers(path, rows, 3).shape == (0, 4)
