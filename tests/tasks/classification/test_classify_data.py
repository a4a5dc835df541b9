"""What `sightline train classify` learns from: three layouts of folders, CIFAR's binary files, crops and flips."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sightline.errors import DataError

pytest.importorskip("lightning")

from sightline.tasks.classification.data.pictures import CIFAR_MEAN, gather
from sightline.tasks.classification.recipe import ClassifyRecipe
from sightline.training.augmentation import cropped

SMALL = ClassifyRecipe().but(size=8)


def draw(path: Path, colour: int = 90, size: tuple[int, int] = (8, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (colour, 10, 200)).save(path)


def folder(root: Path, names: dict[str, int]) -> Path:
    for name, count in names.items():
        for at in range(count):
            draw(root / name / f"{at}.png", 7 * at)
    return root


def test_the_split_by_hash_takes_a_share_of_each_class_and_is_the_same_again(tmp_path) -> None:
    root = folder(tmp_path / "set", {"cat": 12, "dog": 9})
    first, again = (gather(root, SMALL, tmp_path / name) for name in "ab")
    assert Counter(first.labels[first.test].tolist()) == {0: 4, 1: 3}
    assert first.test.tolist() == again.test.tolist()
    assert first.test.tolist() != list(range(4)) + list(range(12, 15))
    assert "7 of 21 pictures are tested on" in first.notes[0]
    draw(root / "eel" / "0.png")
    draw(root / "eel" / "1.png")
    draw(root / "eel" / "2.png")
    more = gather(root, SMALL, tmp_path / "c")
    assert more.test.tolist()[:7] == first.test.tolist()


@pytest.mark.parametrize("tests", ["test", "val"])
def test_a_folder_of_train_and_test_is_taken_as_it_is(tests, tmp_path) -> None:
    folder(tmp_path / "set", {"train/cat": 3, "train/dog": 2, f"{tests}/dog": 1, f"{tests}/cat": 1})
    found = gather(tmp_path / "set", SMALL, tmp_path)
    assert (found.classes, len(found.train), len(found.test)) == (("cat", "dog"), 3 + 2, 2)
    assert found.labels[found.test].tolist() == [0, 1]


@pytest.mark.parametrize("inside", ["", "train"])
def test_folders_without_a_picture_are_left_out_and_it_is_said(inside, tmp_path) -> None:
    root = folder(tmp_path / "set", {str(Path(inside, "cat")): 3, str(Path(inside, "dog")): 3})
    (root / inside / "eel").mkdir()
    for name in ("a.heic", "b.txt", ".hidden.png"):
        (root / inside / "fox").mkdir(exist_ok=True)
        (root / inside / "fox" / name).write_text("no picture")
    notes = " ".join(gather(root, SMALL, tmp_path / "work").notes)
    assert "left out, so they are no classes: 'eel' (no file), 'fox' (no picture, only a.heic and 1 more)" in notes


def test_a_class_is_not_said_to_be_left_out_where_it_has_pictures_to_learn_from(tmp_path) -> None:
    root = folder(tmp_path / "set", {"train/cat": 3, "train/dog": 3, "test/cat": 2})
    (root / "test" / "dog").mkdir()
    (root / "test" / "eel").mkdir()
    notes = gather(root, SMALL, tmp_path / "work").notes
    assert notes[0] == "1 classes have no test picture: dog"
    assert notes[1].endswith("no classes: 'eel' (no file)")


def test_one_class_beside_an_empty_folder_is_refused_with_that_folder_s_name(tmp_path) -> None:
    root = folder(tmp_path / "set", {"cat": 4})
    (root / "dog").mkdir()
    with pytest.raises(DataError, match=r"has one class, 'cat'.*left out.*'dog' \(no file\)"):
        gather(root, SMALL, tmp_path)


def test_a_table_names_files_and_classes(tmp_path) -> None:
    for at in range(6):
        draw(tmp_path / "set" / "images" / f"{at}.png", 40 * at)
    rows = "".join(f"images/{at}.png,{at % 2},{'dog' if at % 2 else 'ant'}\n" for at in range(6))
    (tmp_path / "set" / "labels.csv").write_text("file,label,class_name\n" + rows)
    found = gather(tmp_path / "set", SMALL, tmp_path)
    assert found.classes == ("ant", "dog")
    assert found.labels.tolist() == [0, 1, 0, 1, 0, 1]
    assert found.images[3, 0].unique().tolist() == [120]
    (tmp_path / "set" / "images" / "3.png").unlink()
    with pytest.raises(DataError, match=r"row 5: there is no picture"):
        gather(tmp_path / "set", SMALL, tmp_path)


def test_pictures_of_mixed_size_are_scaled_and_it_is_said(tmp_path) -> None:
    root = folder(tmp_path / "set", {"cat": 3, "dog": 3})
    draw(root / "dog" / "wide.png", 50, (40, 20))
    found = gather(root, SMALL, tmp_path)
    assert found.images.shape == (7, 3, 8, 8)
    assert "1 of 7 pictures are not 8x8 (2 sizes" in found.notes[-1]


def bad(root: Path, what: str) -> None:
    if what == "one class":
        folder(root, {"cat": 4})
    elif what == "no classes":
        folder(root, {".": 3})
    elif what == "class that is only tested":
        folder(root, {"train/cat": 2, "train/dog": 2, "test/eel": 1, "test/cat": 1})
    elif what == "nothing to test":
        folder(root, {"cat": 1, "dog": 1})
    elif what == "table without classes":
        folder(root, {"images": 2})
        (root / "labels.csv").write_text("file,size\nimages/0.png,3\n")
    else:
        root.mkdir()
        (root / "batches.meta").write_bytes(b"\x80")


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("one class", "has one class, 'cat'"),
        ("no classes", "has no folders of classes"),
        ("class that is only tested", "no training picture of 'eel'"),
        ("nothing to test", "leaves no picture to test on"),
        ("table without classes", "has the columns file, size"),
        ("pickled CIFAR", "which is pickled and would run code"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(what, text, tmp_path) -> None:
    bad(tmp_path / "set", what)
    with pytest.raises(DataError, match=text):
        gather(tmp_path / "set", SMALL, tmp_path)


def cifar(root: Path, hundred: bool = False) -> np.ndarray:
    """Five pictures, the last one for testing; the red of picture i is i."""
    root.mkdir(parents=True)
    pixels = np.zeros((5, 3, 32, 32), np.uint8)
    pixels[:, 0] = np.arange(5)[:, None, None]
    labels = [[9, at % 3] if hundred else [at % 3] for at in range(5)]
    rows = np.concatenate([np.array(labels, np.uint8), pixels.reshape(5, -1)], 1)
    parts = {"train.bin": rows[:4], "test.bin": rows[4:]} if hundred else {
        "data_batch_1.bin": rows[:2], "data_batch_2.bin": rows[2:4], "test_batch.bin": rows[4:]
    }  # fmt: skip
    for name, part in parts.items():
        part.tofile(root / name)
    (root / ("fine_label_names.txt" if hundred else "batches.meta.txt")).write_text("ape\nbee\ncat\n\n")
    return pixels


@pytest.mark.parametrize("hundred", [False, True])
def test_cifar_s_binary_version_is_read(hundred, tmp_path) -> None:
    place = tmp_path / "cifar-100-binary" if hundred else tmp_path
    pixels = cifar(place / "files" if not hundred else place, hundred)
    found = gather(tmp_path if hundred else place / "files", SMALL.but(size=32), tmp_path)
    assert torch.equal(found.images, torch.from_numpy(pixels))
    assert found.labels.tolist() == [0, 1, 2, 0, 1]
    assert (found.train.tolist(), found.test.tolist()) == ([0, 1, 2, 3], [4])
    assert (found.classes, found.mean) == (("ape", "bee", "cat"), CIFAR_MEAN)


def test_damaged_cifar_files_are_refused(tmp_path) -> None:
    cifar(tmp_path / "a")
    content = (tmp_path / "a" / "data_batch_2.bin").read_bytes()
    (tmp_path / "a" / "data_batch_2.bin").write_bytes(content[:-1])
    with pytest.raises(DataError, match="not a multiple of 3073"):
        gather(tmp_path / "a", SMALL, tmp_path)
    (tmp_path / "a" / "data_batch_2.bin").write_bytes(b"\x07" + content[1:])
    with pytest.raises(DataError, match="has the label 7"):
        gather(tmp_path / "a", SMALL, tmp_path)
    (tmp_path / "a" / "batches.meta.txt").unlink()
    with pytest.raises(DataError, match="is not there, which belongs"):
        gather(tmp_path / "a", SMALL, tmp_path)


def test_a_crop_is_a_window_over_black_that_may_be_mirrored() -> None:
    images = torch.randint(1, 256, (64, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    made = cropped(images, torch.Generator().manual_seed(1))
    again = cropped(images, torch.Generator().manual_seed(1))
    assert torch.equal(made, again)
    wide = torch.nn.functional.pad(images, (2, 2, 2, 2))
    seen = set()
    for at in range(64):
        windows = {
            (dy, dx, flip): wide[at, :, dy : dy + 16, dx : dx + 16]
            for dy in range(5)
            for dx in range(5)
            for flip in (0, 1)
        }
        hits = [key for key, x in windows.items() if torch.equal(x.flip(-1) if key[2] else x, made[at])]
        assert len(hits) == 1
        seen.add(hits[0])
    assert {key[2] for key in seen} == {0, 1}
    assert {key[0] for key in seen} == {key[1] for key in seen} == {0, 1, 2, 3, 4}


def test_the_pack_s_cifar_pictures_are_split_400_to_200(pack, tmp_path) -> None:
    found = gather(pack / "cifar10_test_subset", SMALL.but(size=32), tmp_path)
    assert (len(found.train), len(found.test), len(found.classes)) == (400, 200, 10)
    assert set(Counter(found.labels[found.test].tolist()).values()) == {20}
