"""True classes of photos: from a table or the folders' names, and what is right."""

from pathlib import Path

import pytest

from sightline.cli.truth import is_right, truths_of
from sightline.errors import InputError

PHOTOS = [Path("birds/finch/one.jpg"), Path("birds/owl/one.jpg"), Path("birds/owl/two.jpg")]
LABELS = ("tench, Tinca tinca", "Great_Grey owl", "finch")


def table(tmp_path, text):
    path = tmp_path / "truth.csv"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_folder_is_a_class():
    assert list(truths_of(PHOTOS, "folders").values()) == ["finch", "owl", "owl"]


def test_nothing_is_known_unless_it_is_said():
    assert truths_of(PHOTOS, None) == {}


def test_a_table_names_photos_by_the_longest_path_that_fits(tmp_path):
    where = table(tmp_path, "image,label\nfinch/one.jpg,a\nowl/one.jpg,b\ntwo.jpg,c\none.jpg,e\nother.jpg,d\n")
    assert list(truths_of(PHOTOS, where).values()) == ["a", "b", "c"]


def test_a_table_from_elsewhere_names_photos_by_their_names(tmp_path):
    where = table(tmp_path, "file,class_index,wnid,name\nimages/two.jpg,7,n01,owl\nimages\\one.jpg,8,n02,finch\n")
    assert list(truths_of(PHOTOS, where).values()) == ["finch", "finch", "owl"]


def test_a_name_with_two_labels_is_not_known(tmp_path):
    where = table(tmp_path, "image,label\nx/one.jpg,a\ny/one.jpg,b\nz/two.jpg,c\n")
    assert truths_of(PHOTOS, where) == {PHOTOS[2]: "c"}


def test_a_table_of_other_photos_is_refused(tmp_path):
    with pytest.raises(
        InputError, match=r"names none of the 3 photos, such as 'one.jpg'; its first image is 'z.jpg'"
    ):
        truths_of(PHOTOS, table(tmp_path, "image,label\nz.jpg,a\n"))


def test_a_table_without_the_columns_is_refused(tmp_path):
    with pytest.raises(InputError, match="its header is picture, what"):
        truths_of(PHOTOS, table(tmp_path, "picture,what\none.jpg,a\n"))


@pytest.mark.parametrize(
    ("truth", "index", "right"),
    [
        ("Tinca tinca", 0, True),
        ("great grey owl", 1, True),
        ("1", 1, True),
        ("001.finch", 2, True),
        ("001.finch", 1, False),
        ("great grey owl", 0, False),
        ("0", 1, False),
        ("zebra", 1, None),
        ("17", 1, None),
    ],
)
def test_a_decision_is_right_where_it_names_the_class(truth, index, right):
    assert is_right(truth, index, LABELS[index], LABELS) is right


def test_without_labels_an_index_or_the_same_words_are_right():
    assert is_right("3", 3, "class 3", None) is True
    assert is_right("Class_3", None, "class 3", None) is True
    assert is_right("owl", 3, "class 3", None) is None
