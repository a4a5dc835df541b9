"""Names of files, folders and classes may hold anything: they are kept as they are, and never steer a terminal."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import sightline
from sightline.cli.app import app

NAMES = {
    "not UTF-8": b"b\xff",
    "an escape": b"x\x1b[2J\x1b]0;title\x07",
    "an escape of 8 bits": "x\x9b2Jy".encode(),
    "a line": b"a\nerror: b",
    "other direction": "a\u202eb".encode(),
    "long": b"n" * 240,
    "markup": b"[red]a[-]",
    "quotes": b"\"'<&>",
    "dashes": b"-- --",
}
STEERING = {*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0)), "\u202e"} - {"\n"}
MODEL = ("-m", "timm:test_convnext", "--weights", "random", "--layers", "last")


def draw(path, value):
    with open(path, "wb") as file:
        Image.fromarray(np.full((32, 32, 3), value, np.uint8)).save(file, "PNG")


def done(words):
    result = CliRunner().invoke(app, [*map(str, words)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert "Traceback" not in result.output
    assert not STEERING & set(result.output)
    return result


@pytest.fixture(params=NAMES.values(), ids=NAMES)
def place(request, tmp_path, monkeypatch):
    """A folder with three photos, one of an odd name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for at, name in enumerate((b"a", request.param, b"c")):
        draw(os.fsencode(tmp_path / "in") + b"/" + name + b".png", 40 * at)
    return tmp_path


def test_a_photo_of_an_odd_name_is_explained_with_its_neighbours(place) -> None:
    result = done(("explain", "in", "--out", "out", "--format", "png,html,gif,arrays", *MODEL))
    assert result.exit_code == 0, result.output
    folders = [path for path in Path("out").iterdir() if path.is_dir()]
    assert len(folders) == 3
    for folder in folders:
        assert {"montage.png", "page.html", "walk.gif", "manifest.json"} <= {path.name for path in folder.iterdir()}
        assert sightline.load(folder)[0].source
        source = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["source"]
        assert os.path.exists(source)
    assert (place / "out" / "index.html").read_text(encoding="utf-8")


def test_the_summary_as_json_reads_back(place) -> None:
    result = done(("explain", "in", "--out", "out", "--format", "arrays", "--json", *MODEL))
    assert result.exit_code == 0, result.output
    assert all(os.path.exists(photo["source"]) for photo in json.loads(result.stdout)["photos"])


def test_a_photo_of_an_odd_name_that_cannot_be_read_is_named(place) -> None:
    (bad,) = (path for path in Path("in").iterdir() if path.name not in ("a.png", "c.png"))
    bad.write_bytes(b"no picture")
    result = done(("explain", "in", "--out", "out", "--format", "html", *MODEL))
    assert result.exit_code == 1
    assert "is not an image file" in result.stderr


def test_a_pair_with_an_odd_name_is_compared(place) -> None:
    odd = [path for path in Path("in").iterdir() if path.name != "a.png"]
    words = ("explain", *(f"./{path}" for path in odd), "--similarity", "cosine", "--out", "out", "--format", "html")
    assert done((*words, *MODEL)).exit_code == 0


def test_a_class_of_an_odd_name_is_learnt(place) -> None:
    (odd,) = (path for path in Path("in").iterdir() if path.name not in ("a.png", "c.png"))
    for kind in (odd.stem, "plain"):
        (place / "set" / kind).mkdir(parents=True)
        for at in range(3):
            draw(place / "set" / kind / f"{odd.stem[:200]}{at}.png", 50 * at)
    result = done(("train", "classify", "--data", "set", "--out", "c.safetensors", "--toy", "--size", "16"))
    assert result.exit_code in (0, 1)
    if result.exit_code == 0:
        assert (
            done(("explain", "in", "--out", "out", "--format", "html", "--weights", "c.safetensors")).exit_code == 0
        )


def test_labels_of_odd_letters_are_shown_without_steering(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    draw(tmp_path / "a.png", 9)
    (tmp_path / "l.json").write_text(json.dumps([f"\ud800\x1b[2J{at}" for at in range(1000)]))
    words = ("explain", "a.png", "--labels", "l.json", "--out", "out", "--format", "png,html,gif,arrays")
    assert done((*words, *MODEL)).exit_code == 0
    assert done((*words, "--json", *MODEL)).exit_code == 0
