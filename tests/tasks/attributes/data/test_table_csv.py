"""Any photos with a CSV file: the four types of columns, what is declared, and every way to break it."""

import numpy as np
import pytest

from sightline.errors import DataError
from sightline.tasks.attributes.data import read_attributes
from tests.tasks.attributes.data.folders import picture, write

HEAD = "file,class,split,x,y,width,height,mask,ripe,colour,size,grams"
ROWS = (
    "a.png,apple,train,0,1,2,3,m/a.png,yes,red,small,100",
    "b.png,apple,train,,,,,,No,green,large,300",
    "c.png,pear,train,0,0,4,4,,,green,medium,200",
    "d.png,pear,validation,0,0,4,4,,1,,small,500",
    "e.png,pear,test,0,0,4,4,,false,yellow,,",
)
TOML = """
[columns.size]
type = "ordinal"
order = ["small", "medium", "large"]

[columns.colour]
part = "skin"
"""


@pytest.fixture
def fruit(tmp_path):
    for name in ("a", "b", "c", "d", "e", "m/a"):
        picture(tmp_path / f"{name}.png")
    return write(tmp_path, {"fruit.csv": "\n".join((HEAD, *ROWS)), "fruit.toml": TOML})


def rewrite(root, header=HEAD, rows=ROWS):
    return write(root, {"fruit.csv": "\n".join((header, *rows))})


def column(data, name):
    at = data.vocabulary.index(name)
    return data.targets[:, at].tolist(), data.weights[:, at].tolist()


def test_yes_and_no_in_every_spelling_and_an_empty_cell_is_unknown(fruit) -> None:
    assert column(read_attributes(fruit), "ripe") == ([1, 0, 0, 1, 0], [1, 1, 0, 1, 1])


def test_words_are_one_exclusive_choice(fruit) -> None:
    data = read_attributes(fruit)
    assert data.vocabulary.exclusive == ("colour",)
    assert column(data, "colour::green") == ([0, 1, 1, 0, 0], [1, 1, 1, 0, 1])
    word = data.vocabulary.attributes[data.vocabulary.index("colour::green")]
    assert (word.scope, word.part) == ("part", "skin")


def test_ranks_go_from_nought_to_one_in_the_declared_order(fruit) -> None:
    data = read_attributes(fruit)
    assert column(data, "size") == ([0, 1, 0.5, 0, 0], [1, 1, 1, 1, 0])
    assert data.vocabulary.attributes[data.vocabulary.index("size")].kind == "ordinal"


def test_numbers_are_scaled_by_the_training_rows_and_cut_off_beyond_them(fruit) -> None:
    data = read_attributes(fruit)
    assert column(data, "grams") == ([0, 1, 0.5, 1, 0], [1, 1, 1, 1, 0])
    assert data.vocabulary.attributes[data.vocabulary.index("grams")].kind == "continuous"


def test_a_number_that_does_not_vary_in_training_is_unknown(fruit) -> None:
    data = read_attributes(rewrite(fruit, rows=[row.replace("300", "100").replace("200", "100") for row in ROWS]))
    assert column(data, "grams")[1] == [0] * 5
    assert any("grams does not vary" in note for note in data.notes)


@pytest.mark.parametrize(
    ("names", "cells", "note"),
    [
        ("X,Y,WIDTH,Height", "1,2,3,4", ""),
        ("Left,TOP,Width,height", "1,2,3,4", "boxes are read from Left, TOP, width, height"),
        ("XMin,ymin,X_max,YMAX", "1,2,4,6", "boxes are read from XMin, ymin, X_max, YMAX"),
        ("bbox_x,bbox_y,bbox_w,bbox_h", "1,2,3,4", "boxes are read from bbox_x, bbox_y, bbox_w, bbox_h"),
        ("BBox", '"[1, 2, 3.0, 4]"', "boxes are read from BBox"),
    ],
)
def test_boxes_are_read_under_the_names_that_people_give_them(names, cells, note, tmp_path) -> None:
    rows = []
    for at in range(8):
        picture(tmp_path / f"{at}.png")
        empty = "," * cells.count(",") if '"' not in cells else ""
        rows.append(f"{at}.png,{'ab'[at % 2]},{cells if at else empty},{'yes' if at % 3 else 'no'}")
    write(tmp_path, {"t.csv": "\n".join((f"File,CLASS,{names},ripe", *rows))})
    data = read_attributes(tmp_path, validation=0.3)
    assert data.vocabulary.names == ("ripe",)
    assert np.isnan(data.boxes[0]).all()
    assert data.boxes[1].tolist() == [1, 2, 3, 4]
    assert not note or note in data.notes


def test_part_of_a_box_or_four_words_are_attributes(tmp_path) -> None:
    for at in range(8):
        picture(tmp_path / f"{at}.png")
    rows = [f"{at}.png,{'ab'[at % 2]},{at % 3},{at % 4},{('low', 'high')[at % 2]}" for at in range(8)]
    write(tmp_path, {"t.csv": "\n".join(("file,class,left,top,bbox", *rows))})
    data = read_attributes(tmp_path, validation=0.3)
    assert data.boxes is None
    assert data.vocabulary.names == ("left", "top", "bbox::high", "bbox::low")


def test_splits_boxes_masks_and_classes_are_read(fruit) -> None:
    data = read_attributes(fruit)
    assert data.classes == ("apple", "pear")
    assert data.split.tolist() == [0, 0, 0, 1, 2]
    assert data.boxes[0].tolist() == [0, 1, 2, 3]
    assert np.isnan(data.boxes[1]).all()
    assert data.foreground == (fruit / "m/a.png", None, None, None, None)
    assert data.prototypes[1, data.vocabulary.index("colour::green")] == 1


def test_semicolons_a_byte_order_mark_and_json_do_as_well(fruit) -> None:
    expected = read_attributes(fruit)
    (fruit / "fruit.csv").write_text("\n".join((HEAD, *ROWS)).replace(",", ";"), encoding="utf-8-sig")
    (fruit / "fruit.toml").unlink()
    write(fruit, {"fruit.json": '{"columns": {"size": {"type": "ordinal", "order": ["small", "medium", "large"]}}}'})
    data = read_attributes(fruit)
    np.testing.assert_array_equal(data.targets, expected.targets)


def test_without_a_split_all_are_for_training_but_the_validation_share(tmp_path) -> None:
    for number in range(20):
        picture(tmp_path / f"{number}.png")
    rows = "".join(f"{number}.png,{'ab'[number % 2]},{number % 3 == 0}\n" for number in range(20))
    data = read_attributes(write(tmp_path, {"t.csv": f"file,class,tail\n{rows}"}), validation=0.2)
    assert np.bincount(data.split).tolist() == [16, 4]
    assert any("no column `split`" in note for note in data.notes)


def test_an_ignored_column_is_no_attribute(fruit) -> None:
    write(fruit, {"fruit.toml": TOML + '\n[columns.grams]\ntype = "ignore"\n'})
    assert "grams" not in read_attributes(fruit).vocabulary.names


@pytest.mark.parametrize(
    ("header", "rows", "said"),
    [
        (
            "a.png,apple,train,0",
            ("b.png,apple,train,0",),
            "needs a header with the columns file and class; file is miss",
        ),
        ("", (), "not even a header"),
        ("file,class,tail,tail", ("a.png,x,1,1",), "'tail' stands twice or is empty"),
        ("file,class", ("a.png,x",), "has no column beside file, class"),
        ("file,class,tail", (), "has a header but no row"),
        ("file,class,tail", ("a.png,x",), "row 2: expected 3 cells as in the header, found 2"),
        ("file,class,tail", ("a.png,,1",), "row 2: the file and the class of a picture cannot be empty"),
        (
            "file,class,tail",
            ("a.png,x,1", "a.png,x,0", "b.png,x,1"),
            "names 1 pictures in several rows, such as a.png",
        ),
        (
            "file,class,tail",
            ("a.png,x,1", "y.png,x,0", "z.png,x,1"),
            "lacks 2 of 3 pictures .*, such as y.png, z.png",
        ),
        ("file,class,mask,tail", ("a.png,x,n.png,1", "b.png,x,,1"), "lacks 1 of 1 masks .*, such as n.png"),
        ("file,class,split,tail", ("a.png,x,tets,1",), "row 2: there is no split 'tets'; near names: 'test'"),
        ("file,class,x,y,width,height,tail", ("a.png,x,1,2,3,,1",), "row 2: a box is four numbers"),
        ("file,class,tail", ("a.png,x,", "b.png,x,"), "the column 'tail' is empty"),
    ],
)
def test_a_broken_table_is_refused(fruit, header, rows, said) -> None:
    (fruit / "fruit.toml").unlink()
    with pytest.raises(DataError, match=said):
        read_attributes(rewrite(fruit, header, rows), layout="table")


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ("[columns.size", "is not in TOML"),
        ("columns = 3", "describes no columns"),
        ("[columns]\nsize = 3", "describes no columns"),
        ('[columns.size]\norder = "small"', "an order that is not a list"),
        ('[columns.colr]\ntype = "boolean"', "describes the column 'colr', .*; near names: 'colour'"),
        ('[columns.colour]\ntype = "categories"', "the type 'categories'; near names: 'categorical'"),
        ('[columns.colour]\nscope = "parts"', "the scope 'parts'; near names: 'part'"),
        ('[columns.colour]\nkind = "boolean"', "says 'kind' of the column 'colour'; known names"),
        (
            '[columns.colour]\ntype = "boolean"',
            "row 2: the column 'colour' has 'red'; it takes yes, true, 1, no, false, 0",
        ),
        ('[columns.colour]\ntype = "continuous"', "'colour' has 'red', which is not a finite number"),
        ('[columns.size]\ntype = "ordinal"', "needs its `order`"),
        ('[columns.size]\ntype = "ordinal"\norder = ["small", "large"]', "row 4: the column 'size' has 'medium'"),
        (
            "".join(f'[columns.{n}]\ntype = "ignore"\n' for n in ("ripe", "colour", "size", "grams")),
            "has no attribute",
        ),
    ],
)
def test_a_wrong_description_is_refused(fruit, about, said) -> None:
    write(fruit, {"fruit.toml": about})
    with pytest.raises(DataError, match=said):
        read_attributes(fruit)


def test_a_table_in_another_encoding_is_refused(fruit) -> None:
    (fruit / "fruit.csv").write_bytes("file,class,tail\na.png,é,1".encode("latin-1"))
    with pytest.raises(DataError, match="line 2, is not UTF-8 text; save it as UTF-8"):
        read_attributes(fruit)


def test_a_column_of_notes_is_not_taken_for_a_choice(tmp_path) -> None:
    for number in range(70):
        picture(tmp_path / f"{number}.png")
    rows = "".join(f"{number}.png,x,note {number}\n" for number in range(70))
    with pytest.raises(DataError, match="the column 'notes' has 70 different values; declare its type"):
        read_attributes(write(tmp_path, {"t.csv": f"file,class,notes\n{rows}"}))


def test_of_several_tables_one_must_be_called_attributes(fruit) -> None:
    write(fruit, {"other.csv": "file,class,tail\na.png,x,1\n"})
    with pytest.raises(DataError, match=r"has 2 CSV files; call the one to be read attributes.csv"):
        read_attributes(fruit)
    (fruit / "other.csv").rename(fruit / "attributes.csv")
    assert read_attributes(fruit).vocabulary.names == ("tail",)
    (fruit / "fruit.csv").unlink()
    (fruit / "attributes.csv").unlink()
    with pytest.raises(DataError, match="has no CSV file with a row per picture"):
        read_attributes(fruit, layout="table")
