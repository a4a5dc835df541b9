"""AwA2: ragged blanks, names with +, missing cells, scopes, folders of pictures."""

import numpy as np
import pytest

from sightline.errors import DataError
from sightline.tasks.attributes.data import read_attributes, read_awa2_tables
from tests.tasks.attributes.data.folders import picture, write

FILES = {
    "classes.txt": "     1\tgrizzly+bear\n    2\tzebra\n",
    "predicates.txt": "    1\tblack\n    2\tstripes\n  3\tbig\n",
    "predicate-matrix-binary.txt": "1 0 1\n 0  1 0\n",
    "predicate-matrix-continuous.txt": "  -1.00   0.00     39.25\n 10.5  98.00  2\n",
}


@pytest.fixture
def animals(tmp_path):
    root = write(tmp_path / "AwA2", FILES)
    for name in ("grizzly+bear", "zebra"):
        for number in range(10):
            picture(root / "JPEGImages" / name / f"{name}_{number:05d}.jpg")
    return root


def test_ragged_blanks_percent_and_missing_cells_are_read(animals) -> None:
    tables = read_awa2_tables(animals, matrix="continuous")
    np.testing.assert_allclose(tables.matrix, [[np.nan, 0, 0.3925], [0.105, 0.98, 0.02]], rtol=1e-6)


def test_a_plus_is_a_blank_in_the_name_and_a_plus_in_the_folder(animals) -> None:
    tables = read_awa2_tables(animals)
    assert tables.classes == ("grizzly bear", "zebra")
    assert tables.folders == ("grizzly+bear", "zebra")


def test_what_nobody_was_asked_is_unknown_in_the_binary_matrix_too(animals) -> None:
    np.testing.assert_array_equal(read_awa2_tables(animals).matrix, [[np.nan, 0, 1], [0, 1, 0]])
    data = read_attributes(animals)
    assert data.weights[0].tolist() == [0, 1, 1]
    assert data.level == "class"
    (animals / "predicate-matrix-continuous.txt").unlink()
    np.testing.assert_array_equal(read_awa2_tables(animals).matrix, [[1, 0, 1], [0, 1, 0]])


def test_pictures_are_split_40_20_40_whatever_the_seed(animals) -> None:
    one, other = read_attributes(animals), read_attributes(animals, seed=5, validation=0.5)
    assert [len(one.rows(name)) for name in ("train", "validation", "test")] == [8, 4, 8]
    np.testing.assert_array_equal(one.split, other.split)
    assert one.targets[one.labels == 1].tolist() == [[0, 1, 0]] * 10
    assert one.files[0] == animals / "JPEGImages" / "grizzly+bear" / "grizzly+bear_00000.jpg"


def test_a_class_without_pictures_is_named(animals) -> None:
    for file in (animals / "JPEGImages" / "zebra").iterdir():
        file.unlink()
    with pytest.raises(DataError, match=r"1 of 2 classes have no picture in .*: zebra; unpack them"):
        read_attributes(animals)
    data = read_attributes(animals, incomplete=True)
    assert len(data) == 10
    assert any("classes without pictures: zebra" in note for note in data.notes)


def test_tables_without_pictures_are_read_alone(tmp_path) -> None:
    root = write(tmp_path / "AwA2", FILES)
    assert read_awa2_tables(root).matrix.shape == (2, 3)
    with pytest.raises(DataError, match=r"tables but no pictures .* read_awa2_tables"):
        read_attributes(root)


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("predicate-matrix-binary.txt", "1 0 2\n0 1 0\n", "a binary matrix is made of 0 and 1"),
        ("predicate-matrix-binary.txt", "1 0 1\n", "1 rows of numbers; there are 2 classes"),
        ("predicate-matrix-binary.txt", "1 0\n0 1\n", "expected 3 finite numbers, found 2"),
        ("predicate-matrix-continuous.txt", "-2 0 50\n0 1 0\n", "expected percent, 0 to 100, or -1"),
        ("predicate-matrix-continuous.txt", "0 0 0.5\n0 1 0\n", "expected percent, 0 to 100, or -1"),
        ("classes.txt", "1 ant\n3 bee\n", "line 2: expected `2 name`, found '3 bee'"),
    ],
)
def test_a_broken_table_is_refused(animals, file, text, said) -> None:
    write(animals, {file: text})
    with pytest.raises(DataError, match=said):
        read_awa2_tables(animals)


def test_what_is_missing_is_said(animals) -> None:
    with pytest.raises(DataError, match="AwA2 has no matrix 'binari'; near names: 'binary'"):
        read_awa2_tables(animals, matrix="binari")
    with pytest.raises(DataError, match="no table of classes of its own"):
        read_attributes(animals, targets="table")
    (animals / "predicates.txt").unlink()
    with pytest.raises(DataError, match=r"predicates.txt is missing; attributes cannot be read without it"):
        read_awa2_tables(animals)


@pytest.mark.pack
def test_the_real_tables_have_50_animals_85_predicates_and_zebras_have_stripes(pack) -> None:
    tables = read_awa2_tables(pack / "awa2_attributes")
    words = tables.vocabulary
    assert tables.matrix.shape == (50, 85)

    def has(animal: str, predicate: str) -> bool:
        return bool(tables.matrix[tables.classes.index(animal), words.index(predicate)])

    assert has("zebra", "stripes")
    assert not has("polar bear", "stripes")
    assert has("killer whale", "ocean")
    scopes = {word.name: (word.scope, word.part) for word in words.attributes}
    assert scopes["yellow"] == scopes["lean"] == ("object", "")
    assert scopes["flippers"] == ("part", "flippers")
    assert scopes["tusks"] == ("part", "tusks")
    assert scopes["longneck"] == ("part", "neck")
    assert scopes["smelly"] == scopes["oldworld"] == scopes["fierce"] == ("abstract", "")
    assert scopes["arctic"] == scopes["cave"] == ("context", "")
