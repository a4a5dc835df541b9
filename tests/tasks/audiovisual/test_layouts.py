"""Lists of AVE, VGGSound, AudioSet and VGG-SS, and AVE's features: read as published, refused in a sentence."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sightline.errors import DataError
from sightline.tasks.audiovisual.data.features import read_ave_features
from sightline.tasks.audiovisual.data.layouts import (
    Entry,
    present,
    read_audioset,
    read_ave,
    read_vggsound,
    read_vggss,
)


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_ave_is_read_with_and_without_its_header(tmp_path: Path) -> None:
    lines = "Church bell&RUhOCu3LNXM&good&0&10\nBark&-x&good&5&7\n"
    entries = read_ave(written(tmp_path / "a.txt", "Category&VideoID&Quality&StartTime&EndTime\n" + lines))
    assert entries == read_ave(written(tmp_path / "b.txt", lines))
    assert entries[1] == Entry("-x", ("Bark",), 5.0, 7.0)
    assert [entry.is_partial() for entry in entries] == [False, True]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("a&b&good&1", "line 1: expected 5 fields between &, found 4"),
        ("a&b&good&x&3", "'x' is not a time in seconds"),
        ("a&b&good&7&3", "ends at 3 s, before it begins"),
    ],
)
def test_a_damaged_line_of_ave_is_named(tmp_path: Path, line: str, text: str) -> None:
    with pytest.raises(DataError, match=text):
        read_ave(written(tmp_path / "a.txt", line))


def test_vggsound_and_audioset_are_read(tmp_path: Path) -> None:
    (one,) = read_vggsound(written(tmp_path / "v.csv", '---g-f_I2yQ,1,"people marching, slowly",test\n'))
    assert one == Entry("---g-f_I2yQ_000001", ("people marching, slowly",), split="test")
    text = '# Segments csv\n# YTID, start\n--PJHxphWEs, 30.000, 40.000, "/m/09x0r,/t/dd00088"\n'
    (other,) = read_audioset(written(tmp_path / "s.csv", text))
    assert other == Entry("--PJHxphWEs_30.000_40.000", ("/m/09x0r", "/t/dd00088"))
    with pytest.raises(DataError, match="row 1: expected 4 cells, found 2"):
        read_vggsound(written(tmp_path / "w.csv", "a,1\n"))


def test_missing_clips_are_counted_and_passed_over(tmp_path: Path) -> None:
    (tmp_path / "-x.mp4").touch()
    there, missing = present([Entry("-x", ("Bark",)), Entry("y", ("Bark",))], tmp_path)
    assert [entry.clip for entry, _ in there] == ["-x"]
    assert missing == 1
    with pytest.raises(DataError, match="holds none of the 1 clips"):
        present([Entry("z", ())], tmp_path)


def test_boxes_without_an_area_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = [{"file": "a", "class": "dog", "bbox": [[0.1, 0.1, 0.5, 0.5], [0.2, 0.2, 0.2, 0.4], [-2.9e16, 0, 1, 1]]}]
    entries, broken = read_vggss(written(tmp_path / "v.json", json.dumps(rows)))
    assert entries[0].boxes == ((0.1, 0.1, 0.5, 0.5),)
    assert broken == 2
    with pytest.raises(DataError, match="not a list of file, class and bbox"):
        read_vggss(written(tmp_path / "w.json", '[{"file": 1}]'))


def h5(path: Path, **arrays: np.ndarray) -> Path:
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array
    return path


def test_features_are_read_and_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    sound = h5(tmp_path / "a.h5", avadataset=np.ones((3, 10, 128)))
    labels = h5(tmp_path / "l.h5", avadataset=np.zeros((3, 10, 29)))
    assert read_ave_features(sound, labels).sound.dtype == np.float32
    for name, arrays, text in (
        ("few", {"avadataset": np.zeros((2, 10, 29))}, "holds 3 clips, but .* labels of 2"),
        ("other", {"avadataset": np.zeros((3, 10, 20))}, "has 20 classes, and AVE 29"),
        ("key", {"data": np.zeros(3)}, "has no 'avadataset'; it holds data"),
    ):
        with pytest.raises(DataError, match=text):
            read_ave_features(sound, h5(tmp_path / f"{name}.h5", **arrays))
    with pytest.raises(DataError, match="there is no feature file"):
        read_ave_features(tmp_path / "none.h5", labels)
    with pytest.raises(DataError, match="damaged or not HDF5"):
        read_ave_features(written(tmp_path / "bad.h5", "no"), labels)
    with pytest.raises(DataError, match="has 9 seconds of each clip"):
        read_ave_features(sound, labels, picture=h5(tmp_path / "p.h5", avadataset=np.ones((3, 9, 2, 2, 4))))


def test_the_lists_of_the_pack_are_read(pack: Path) -> None:
    entries = read_ave(pack / "ave_labels" / "Annotations.txt")
    assert len(entries) == 4143
    assert sum((entry.start, entry.end) == (0.0, 10.0) for entry in entries) == 2750
    there, missing = present(entries, pack / "events" / "clips")
    assert len(there) + missing == 4143
    assert {entry.clip for entry, _ in there} == {"22olCB3wQaA", "0lFf-HP86Q0"}
    boxes, broken = read_vggss(pack / "events" / "vggss.json")
    assert (len(boxes), broken) == (5158, 18)
    folder = pack / "events" / "ave_features"
    found = read_ave_features(
        folder / "audio_feature_noisy.h5", folder / "labels_noisy.h5", order=folder / "val_order_match.h5"
    )
    assert found.sound.shape == (178, 10, 128)
    assert (found.labels.argmax(-1) == 28).all()
