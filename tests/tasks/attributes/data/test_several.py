"""Tables and COCO's annotations in which a picture may have several labels, or none."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sightline.errors import DataError
from sightline.tasks.attributes.data import BIRDS, class_means, read_attributes
from sightline.tasks.attributes.data.majority import majority
from tests.tasks.attributes.data.folders import picture, write

LABELS = ("cat;dog", "no finding", "dog", "cat", "dog", "No Finding", "cat;dog", "dog", "cat", "no finding") * 2


def table(root: Path, header: str, lines: list[str]) -> Path:
    for at in range(len(lines)):
        picture(root / f"{at}.png")
    return write(root, {"a.csv": "\n".join([header, *(f"{at}.png,{line}" for at, line in enumerate(lines))])})


def test_a_list_of_labels_is_no_attribute_and_every_other_column_is_one(tmp_path: Path) -> None:
    lines = [f"{own},{'yes' if at % 2 else 'no'},p{at}" for at, own in enumerate(LABELS)]
    data = read_attributes(
        table(tmp_path, "file,Labels,striped,Patient", lines), group_by="patient", held_out=0.3, validation=0.3
    )
    assert data.several
    assert data.classes == ("cat", "dog")
    assert data.vocabulary.names == ("striped",)
    assert data.labels.tolist()[:3] == [[1, 1], [0, 0], [0, 1]]
    assert data.groups == tuple(f"p{at}" for at in range(20))
    assert set(data.split.tolist()) == {0, 1, 2}


def test_columns_that_are_called_labels_are_labels_and_blank_is_unknown(tmp_path: Path) -> None:
    lines = ["1,,yes", "0,1,no", "1,0,yes", "0,0,no", "1,1,no", "0,1,yes", "1,0,no", "0,1,yes"] * 3
    root = table(tmp_path, "file,cat,dog,striped", lines)
    data = read_attributes(root, labels=("cat", "dog"), validation=0.3)
    assert data.vocabulary.names == ("striped",)
    assert math.isnan(data.labels[0, 1])
    assert any(note == "labels are the columns cat, dog; attributes: striped" for note in data.notes)
    with pytest.raises(DataError, match="--label-columns cow"):
        read_attributes(root, labels=("cat", "cow"))


def test_the_note_names_no_box_as_an_attribute_and_says_where_there_are_more(tmp_path: Path) -> None:
    lines = ["0,0,1,0,yes,9,no,no,no,9,no", "1,0,0,1,no,9,no,yes,no,9,yes"] * 6
    root = table(tmp_path, "file,x,cat,y,dog,a,width,b,c,d,height,e", lines)
    notes = read_attributes(root, labels=("cat", "dog"), validation=0.3).notes
    assert "labels are the columns cat, dog; attributes: a, b, c, d and more" in notes


def test_boxes_beside_labels_are_read_in_capitals_too(tmp_path: Path) -> None:
    lines = ["0,1,1,2,2,no", "1,0,1,2,2,yes"] * 6
    data = read_attributes(
        table(tmp_path, "file,cat,Left,TOP,Right,Bottom,e", lines), labels=("cat",), validation=0.3
    )
    assert data.vocabulary.names == ("e",)
    assert data.boxes is not None
    assert data.boxes[0].tolist() == [1, 1, 1, 1]


def test_a_class_stays_a_class_where_a_table_has_one(tmp_path: Path) -> None:
    lines = [f"{'ab'[at % 2]},x{at % 3}" for at in range(8)]
    data = read_attributes(table(tmp_path, "file,class,labels", lines))
    assert not data.several
    assert data.classes == ("a", "b")


def test_a_patient_that_lies_in_two_splits_is_refused(tmp_path: Path) -> None:
    lines = [f"{own},yes,p,{'train' if at % 2 else 'test'}" for at, own in enumerate(LABELS)]
    with pytest.raises(DataError, match="groups in more than one split"):
        read_attributes(table(tmp_path, "file,labels,striped,patient,split", lines), group_by="patient")


def test_labels_without_attributes_are_refused_unless_these_are_mined(tmp_path: Path) -> None:
    root = table(tmp_path, "file,labels", list(LABELS))
    with pytest.raises(DataError, match="has labels but no attribute"):
        read_attributes(root)
    words = [f"a bird with {'red' if at % 2 else 'blue'} wings" for at in range(len(LABELS))]
    write(root, {"captions.json": json.dumps({f"{at}.png": [text] for at, text in enumerate(words)})})
    data = read_attributes(root, mined=BIRDS, validation=0.3)
    assert data.vocabulary.names == ("has_wing_color::blue", "has_wing_color::red")
    assert data.prototypes.shape == (2, 2)


def test_the_place_of_a_picture_in_a_split_does_not_depend_on_where_the_folder_lies(tmp_path: Path) -> None:
    lines = [f"{own},yes" if at % 3 else f"{own},no" for at, own in enumerate(LABELS * 3)]
    splits = [read_attributes(table(tmp_path / name, "file,labels,striped", lines)).split for name in ("a", "b/c")]
    assert splits[0].tolist() == splits[1].tolist()


def test_a_vote_and_targets_of_the_class_are_refused(tmp_path: Path) -> None:
    root = table(tmp_path, "file,labels,striped", [f"{own},yes" for own in LABELS[:-1]] + ["dog,no"])
    with pytest.raises(DataError, match="several labels, so it has no class"):
        read_attributes(root, targets="class", validation=0.3)
    with pytest.raises(DataError, match="a vote is of classes"):
        majority(read_attributes(root, validation=0.3))


def test_means_of_a_label_are_over_its_pictures_entry_by_entry() -> None:
    draw = np.random.default_rng(0)
    targets, weights = draw.random((9, 3), np.float32), draw.integers(0, 2, (9, 3)).astype(np.float32)
    labels = np.array([[1, 0], [1, 1], [0, math.nan], [0, 1], [1, 0], [0, 0], [math.nan, 1], [0, 0], [1, 1]])
    means = class_means(targets, weights, labels, 2)
    for label in range(2):
        for at in range(3):
            own = [row for row in range(9) if labels[row, label] == 1 and weights[row, at]]
            expected = sum(float(targets[row, at]) for row in own) / len(own) if own else math.nan
            assert float(means[label, at]) == pytest.approx(expected, nan_ok=True)


def coco(root: Path, place: str, folder: str, *, count: int = 24, first: int = 0) -> Path:
    """Annotations of pictures of cats and dogs in turn, a third of them with neither; a zebra is rare."""
    images, marks = [], []
    for at in range(first, first + count):
        picture(root / folder / f"{at}.jpg")
        images.append({"id": at, "file_name": f"{at}.jpg"})
        own = [[], [1], [1, 2]][at % 3] + [3] * (at == first)
        marks += [{"image_id": at, "category_id": kind, "bbox": [0, 0, 2, 2]} for kind in own]
    names = [{"id": at, "name": name} for at, name in enumerate(("cat", "dog", "zebra"), 1)]
    content = {"images": images, "annotations": marks, "categories": names}
    sentences = {f"{at}.jpg": [f"a bird with {'red' if at % 2 else 'blue'} wings"] for at in range(count)}
    return write(root, {place: json.dumps(content), "captions.json": json.dumps(sentences)})


@pytest.mark.parametrize(
    ("place", "folder"),
    [("annotations/instances_train2017.json", "train2017"), ("instances.json", "images"), ("instances.json", "")],
)
def test_categories_of_coco_are_labels_and_its_captions_have_the_attributes(
    tmp_path: Path, place: str, folder: str
) -> None:
    data = read_attributes(coco(tmp_path, place, folder, count=60), mined=BIRDS)
    assert data.classes == ("cat", "dog")
    assert data.labels[:3].tolist() == [[0, 0], [1, 0], [1, 1]]
    assert data.vocabulary.names == ("has_wing_color::blue", "has_wing_color::red")
    assert "1 categories are not among the labels: zebra" in data.notes
    assert set(data.split.tolist()) == {0, 1, 2}


def test_files_of_coco_say_what_is_learnt_from_and_the_last_part_judges(tmp_path: Path) -> None:
    coco(tmp_path, "annotations/instances_train2017.json", "train2017", count=30)
    coco(tmp_path, "annotations/instances_val2017.json", "val2017", count=12, first=30)
    data = read_attributes(tmp_path, mined=BIRDS)
    assert (data.split[30:] == 2).all()
    assert set(data.split[:30].tolist()) == {0, 1}


def test_a_folder_for_each_part_is_read_as_it_is(tmp_path: Path) -> None:
    for first, name in ((0, "train"), (30, "valid"), (60, "test")):
        coco(tmp_path, f"{name}/_annotations.coco.json", name, count=12, first=first)
    data = read_attributes(tmp_path, mined=BIRDS)
    parts = {file.parent.name: int(at) for file, at in zip(data.files, data.split, strict=True)}
    assert parts == {"train": 0, "valid": 1, "test": 2}


def test_a_category_that_was_asked_for_is_a_label_however_rare(tmp_path: Path) -> None:
    root = coco(tmp_path, "instances.json", "images", count=60)
    data = read_attributes(root, mined=BIRDS, labels=("dog", "cat"))
    assert data.classes == ("dog", "cat")
    with pytest.raises(DataError, match=r"--label-columns zebu.*zebra"):
        read_attributes(root, mined=BIRDS, labels=("zebu",))


def test_pictures_of_coco_that_are_not_there_are_left_out_and_counted(tmp_path: Path) -> None:
    root = coco(tmp_path, "instances.json", "images", count=60)
    (root / "images" / "5.jpg").unlink()
    assert "1 of 60 pictures that the annotations name are not there" in read_attributes(root, mined=BIRDS).notes[0]
    for file in (root / "images").iterdir():
        file.unlink()
    with pytest.raises(DataError, match="none of the 60 pictures"):
        read_attributes(root, mined=BIRDS)


@pytest.mark.parametrize("content", ["[]", "{}", '{"images": [{}], "annotations": [], "categories": []}'])
def test_a_file_in_another_form_is_refused(tmp_path: Path, content: Any) -> None:
    with pytest.raises(DataError, match="is not in COCO's form"):
        read_attributes(write(tmp_path, {"instances.json": content}), mined=BIRDS)


def test_coco_without_sentences_to_mine_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--attributes mined"):
        read_attributes(coco(tmp_path, "instances.json", "images"))


def test_labels_of_a_layout_that_has_classes_are_refused(tmp_path: Path) -> None:
    write(tmp_path, {"images.txt": "", "classes.txt": "", "image_class_labels.txt": ""})
    with pytest.raises(DataError, match="needs a CSV table or COCO's annotations"):
        read_attributes(tmp_path, labels=("cat",))
