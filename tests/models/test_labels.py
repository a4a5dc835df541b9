"""Class names from files of every usual form, and their count."""

import json

import pytest

from sightline.errors import InputError
from sightline.models.labels import class_labels, distinct, imagenet_labels, read_labels

NAMES = ("tench", "gold fish", "crane")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", "tench\ngold fish\r\ncrane\n\n"),
        ("bom.txt", "\ufefftench\ngold fish\ncrane"),
        ("a.csv", "tench\ngold fish\ncrane\n"),
        ("headed.csv", "index,wnid,name\n2,n3,crane\n0,n1,tench\n1,n2,gold fish\n"),
        ("bare.csv", "0,tench\n1,gold fish\n2,crane\n"),
        ("list.json", json.dumps(NAMES)),
        ("by_index.json", json.dumps({"1": "gold fish", "0": "tench", "2": "crane"})),
        ("by_name.json", json.dumps({"gold fish": 1, "tench": 0, "crane": 2})),
        ("wnid.json", json.dumps({"0": ["n1", "tench"], "1": ["n2", "gold fish"], "2": ["n3", "crane"]})),
    ],
)
def test_every_form_is_read(tmp_path, name, text):
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert read_labels(tmp_path / name) == NAMES


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.txt", b"tench\n\ncrane\n", "no name for class 1"),
        ("empty.txt", b"", "holds no names"),
        ("latin.txt", "Bär".encode("latin-1"), "not UTF-8"),
        ("a.yaml", b"- tench", ".txt, .csv, .json"),
        ("hole.json", b'{"0": "tench", "2": "crane"}', "class 1 is missing"),
        ("broken.json", b'{"0": ', "cannot be understood"),
        ("number.json", b"[1, 2]", "1 is not a name"),
        ("number2.json", b"3", "holds a int"),
        ("short.csv", b"index,name\n0\n", "cannot be understood"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_labels(tmp_path / name)
    assert says in str(caught.value)
    assert name in str(caught.value)


def test_a_missing_file_names_what_is_near(tmp_path):
    (tmp_path / "labels.txt").write_text("a")
    with pytest.raises(InputError, match=r"labels\.txt"):
        read_labels(tmp_path / "label.txt")


def test_another_count_says_both_counts(tmp_path):
    (tmp_path / "l.txt").write_text("a\nb\n")
    with pytest.raises(InputError, match="2 names, but the model has 3 classes"):
        class_labels(tmp_path / "l.txt", 3)
    with pytest.raises(InputError, match="delete that line"):
        class_labels(["background", "a", "b"], 2)


def test_imagenet_names_are_known_for_1000_classes_only_and_all_differ():
    names = class_labels(None, 1000)
    assert names == imagenet_labels()
    assert len(set(names)) == 1000
    assert (names[0], names[340]) == ("tench", "zebra")
    assert class_labels(None, 999) is None


def test_names_used_twice_carry_their_index():
    assert distinct(["crane", "a", "crane"]) == ("crane (0)", "a", "crane (2)")
    assert class_labels(["x", "x"], 2) == ("x (0)", "x (1)")
