"""What a `labels.csv` with several labels means: both forms, "no finding", unknown entries, splits and groups."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from PIL import Image

from sightline.errors import DataError

pytest.importorskip("lightning")

from sightline.data.label_split import split_of
from sightline.data.label_table import is_multilabel, read_labels


def table(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "labels.csv").write_text(text)
    for line in text.splitlines()[1:]:
        name = line.split(",")[0].split("\t")[0]
        if name:
            Image.new("RGB", (4, 4)).save(folder / name)
    return folder


def rows(folder: Path, **options: object) -> list[list[float | None]]:
    own = read_labels(folder, **options)  # type: ignore[arg-type]
    return [[None if math.isnan(value) else value for value in row] for row in own.truth]


@pytest.mark.parametrize("header", ["labels", "Finding Labels", "label"])
def test_a_list_names_labels_and_says_no_finding(tmp_path: Path, header: str) -> None:
    root = table(tmp_path, f"file,{header}\na.png,cat;dog\nb.png,No Finding\nc.png, dog | eel\n")
    assert is_multilabel(root)
    assert read_labels(root).labels == ("cat", "dog", "eel")
    assert rows(root) == [[1, 1, 0], [0, 0, 0], [0, 1, 1]]
    assert rows(root, labels=["dog", "cat"]) == [[1, 1], [0, 0], [1, 0]]
    assert "1 of 3 pictures have no finding" in read_labels(root).notes[-1]


def test_columns_hold_ones_zeros_and_nothing_and_others_are_named(tmp_path: Path) -> None:
    root = table(tmp_path, "file,patient,cat,dog,age\na.png,x,1,,30\nb.png,x,0,1,40\nc.png,y,-1,0,50\n")
    own = read_labels(root, group_by="Patient")
    assert own.labels == ("cat", "dog")
    assert rows(root) == [[1, None], [0, 1], [None, 0]]
    assert own.groups == ("x", "x", "y")
    assert own.notes[0] == "labels are the columns cat, dog; not read: age"
    assert "2 of 6 entries are unknown" in own.notes[-1]


def test_a_column_of_no_finding_makes_zeros_of_what_is_blank_in_its_rows(tmp_path: Path) -> None:
    root = table(tmp_path, "file,No Finding,cat,dog\na.png,1,,\nb.png,,1,\nc.png,0,0,1\n")
    assert rows(root) == [[0, 0], [1, None], [0, 1]]
    table(tmp_path, "file,No Finding,cat,dog\na.png,1,1,\nb.png,,0,1\n")
    with pytest.raises(DataError, match=r"row 2: 'No Finding' is 1, and so is 'cat'"):
        read_labels(tmp_path)


def test_one_class_per_picture_is_not_taken_for_labels(tmp_path: Path) -> None:
    assert not is_multilabel(table(tmp_path, "file,label,class_name\na.png,0,cat\nb.png,1,dog\n"))
    assert not is_multilabel(tmp_path / "missing")
    assert is_multilabel(table(tmp_path, "file,name,cat\na.png,Ann,0\nb.png,Bo,1\n"), ["cat"])
    assert read_labels(tmp_path, ["cat"]).labels == ("cat",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,labels\na.png,\nb.png,cat\n", "row 2: the labels are empty; write 'no finding'"),
        ("file,labels\na.png,none;cat\nb.png,cat\n", "is 'none' and a label at once"),
        ("file,labels\na.png,cat\nb.png,cat\n", "no label that some pictures have and some have not"),
        ("file,cat\na.png,1\na.png,0\n", "stands in two rows"),
        ("picture,cat\na.png,1\nb.png,0\n", "it needs one of file, path"),
        ("file,cat\n", "has a header but no row"),
        ("file,age\na.png,31\nb.png,40\n", "has no labels"),
        ("file,cat,split\na.png,1,train\nb.png,0,later\n", "there is no split 'later'"),
    ],
)
def test_a_table_that_cannot_be_understood_is_refused_with_its_row(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_labels(table(tmp_path, text))


def test_a_value_that_is_no_flag_is_refused_where_its_column_is_a_label(tmp_path: Path) -> None:
    table(tmp_path, "file,cat\na.png,1\nb.png,maybe\n")
    with pytest.raises(DataError, match=r"row 3: 'cat' is 'maybe'; a label's cell is 1, 0, or empty"):
        read_labels(tmp_path, ["cat"])
    with pytest.raises(DataError, match="--label-columns dog"):
        read_labels(tmp_path, ["dog"])


def test_a_label_that_all_pictures_agree_on_is_left_out_and_named(tmp_path: Path) -> None:
    own = read_labels(table(tmp_path, "file,cat,dog\na.png,1,1\nb.png,0,1\n"))
    assert own.labels == ("cat",)
    assert any("1 labels are left out" in note and "dog" in note for note in own.notes)


def test_the_tables_own_split_is_taken_and_a_torn_group_refused(tmp_path: Path) -> None:
    text = "file,patient,cat,split\n"
    text += "".join(f"{at}.png,p{at // 2},{at % 2},{'train' if at < 6 else 'test'}\n" for at in range(8))
    own = read_labels(table(tmp_path, text), group_by="patient")
    splits = split_of(own, 0.3, 0.34)
    assert splits[6:] == ("test", "test")
    assert sorted(splits[:6]) == ["train"] * 4 + ["val"] * 2
    torn = text.replace("5.png,p2,1,train", "5.png,p2,1,test")
    with pytest.raises(DataError, match="has 1 of 4 groups in more than one split"):
        split_of(read_labels(table(tmp_path, torn), group_by="patient"), 0.3, 0.3)


def test_a_split_that_leaves_a_label_nothing_to_learn_from_is_refused(tmp_path: Path) -> None:
    text = "file,cat,dog,split\na.png,1,0,train\nb.png,0,0,train\nc.png,0,1,test\nd.png,1,0,val\n"
    with pytest.raises(DataError, match="no training picture is with 'dog': all of them are in the other splits"):
        split_of(read_labels(table(tmp_path, text)), 0.3, 0.3)
