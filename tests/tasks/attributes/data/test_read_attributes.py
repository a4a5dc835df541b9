"""The one door: which layout a folder is in, what is asked of it, and what becomes of the answers."""

import numpy as np
import pytest

from sightline.errors import DataError
from sightline.tasks.attributes.data import LAYOUTS, SPLITS, Layout, read_attributes
from tests.tasks.attributes.data.folders import NAMES, picture, write


def test_a_layout_is_known_by_its_files(birds) -> None:
    assert read_attributes(birds).vocabulary.names == NAMES
    write(birds, {"also.csv": "file,class,tail\n"})
    assert read_attributes(birds).vocabulary.names == NAMES


def test_a_named_layout_is_taken(birds) -> None:
    picture(birds / "a.png")
    write(birds, {"also.csv": "file,class,tail\na.png,K,yes\n"})
    assert read_attributes(birds, layout="table").vocabulary.names == ("tail",)
    with pytest.raises(DataError, match="there is no layout 'cup'; near names: 'cub'"):
        read_attributes(birds, layout="cup")


def test_a_plug_in_is_asked_before_any_csv_file_will_do(birds, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(LAYOUTS, "_items", dict(LAYOUTS._items))
    ours = read_attributes(birds)
    LAYOUTS.add("a plug-in", Layout(("plug-in.json",), lambda root, asked: ours))
    assert read_attributes(write(tmp_path / "o", {"plug-in.json": "", "x.csv": ""})) is ours


def test_a_folder_in_no_layout_is_told_what_was_looked_for(tmp_path) -> None:
    with pytest.raises(DataError, match=r"has no known layout; looked for the files of .*cub \(images.txt") as found:
        read_attributes(tmp_path)
    assert all(name in str(found.value) for name in LAYOUTS)
    with pytest.raises(DataError, match=r"there is no folder .* to read attributes from"):
        read_attributes(tmp_path / "nowhere")


def test_only_some_attributes_are_kept(birds) -> None:
    data = read_attributes(birds, only=["*::blue", "has_bill_shape"])
    assert data.vocabulary.names == (NAMES[0], NAMES[1], NAMES[3])
    assert data.targets[0].tolist() == [1, 0, 1]
    assert data.weights[1].tolist() == [1, 1, 0]
    assert data.prototypes.shape == (2, 3)
    with pytest.raises(
        DataError, match="no attribute or group is called 'has_bil_shape'; near names: 'has_bill_shape'"
    ):
        read_attributes(birds, only=["has_bil_shape"])


def test_unknown_targets_are_refused(birds) -> None:
    with pytest.raises(DataError, match="there are no targets 'classes'; near names: 'class'"):
        read_attributes(birds, targets="classes")


def test_splits_do_not_overlap_and_cover_everything(birds) -> None:
    data = read_attributes(birds, validation=0)
    with pytest.raises(DataError, match="no picture in the split 'validation'"):
        data.rows("validation")
    rows = np.concatenate([data.rows(name) for name in SPLITS if name != "validation"])
    assert sorted(rows) == list(range(len(data)))
    with pytest.raises(DataError, match="no split 'tests'; near names: 'test'"):
        data.rows("tests")


def test_taking_rows_takes_all_that_belongs_to_them(birds) -> None:
    data = read_attributes(birds)
    last = data.take([2])
    assert last.files == (data.files[2],)
    for name in ("labels", "targets", "weights", "split", "boxes", "points"):
        np.testing.assert_array_equal(getattr(last, name), getattr(data, name)[2:])
