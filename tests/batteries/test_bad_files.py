"""Every verb that reads a file, every kind of bad file: one sentence, exit code 1 or 2, no traceback, no waiting."""

import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from typer.testing import CliRunner

import sightline
from sightline.cli.app import app
from sightline.errors import SightlineError
from sightline.models.load import load_model

LONG = "9" * 5000
DEEP = "[" * 100_000
ASSETS = Path(sightline.__file__).parent / "assets"


def write(path, content):
    path.unlink(missing_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def folder(path):
    path.unlink(missing_ok=True)
    path.mkdir()


def link(path, to):
    path.unlink(missing_ok=True)
    path.symlink_to(to)


def pipe(path):
    path.unlink(missing_ok=True)
    os.mkfifo(path)


NO_FILES = {
    "a folder": folder,
    "a link to itself": lambda path: link(path, path.name),
    "a link to nothing": lambda path: link(path, "nowhere"),
    "a pipe": pipe,
    "a device": lambda path: link(path, "/dev/zero"),
}
NO_TEXTS = {
    "latin-1": lambda path: write(path, path.read_bytes() + "é\n".encode("latin-1")),
    "utf-16": lambda path: write(path, path.read_text().encode("utf-16")),
    "a NUL": lambda path: write(path, path.read_bytes() + b"\0\n"),
    "bytes": lambda path: write(path, bytes(range(256))),
}
NO_LISTS = {
    "a superscript": lambda path: write(path, "² ² ² ² ²\n" + path.read_text()),
    "a long number": lambda path: write(path, f"{LONG} 1 1 1 1\n" + path.read_text()),
    "an endless number": lambda path: write(path, "1e999 nan inf 1 1\n" + path.read_text()),
    "a row too many": lambda path: write(path, path.read_text() + path.read_text().splitlines()[0] + "\n"),
    "words": lambda path: write(path, "one two three four five\n" + path.read_text()),
    "half a number": lambda path: write(path, "1.5 1.5 1.5 1.5 1.5\n" + path.read_text()),
}
NO_JSON = {
    "deep": lambda path: write(path, DEEP),
    "deep and closed": lambda path: write(path, "[" * 500 + "]" * 500),
    "cut": lambda path: write(path, path.read_text()[:-3]),
    "a list": lambda path: write(path, "[[]]"),
    "null": lambda path: write(path, "null"),
    "a long number": lambda path: write(path, LONG),
    "empty": lambda path: write(path, ""),
}
NO_TOML = {
    "deep": lambda path: write(path, "a = " + DEEP),
    "deep and closed": lambda path: write(path, "a = " + "[" * 500 + "]" * 500),
    "a long number": lambda path: write(path, f"seed = {LONG}"),
    "another option": lambda path: write(path, "nothing = 1"),
    "a table": lambda path: write(path, "[seed]\nx = 1"),
    "a date": lambda path: write(path, "seed = 2020-01-01"),
    "a list": lambda path: write(path, "seed = [1, 2]"),
    "a nested list": lambda path: write(path, "epochs = [[1]]"),
    "a word": lambda path: write(path, 'epochs = "²"'),
}
NO_TABLES = {
    "header only": lambda path: write(path, path.read_text().splitlines()[0]),
    "empty": lambda path: write(path, ""),
    "a long field": lambda path: write(path, path.read_text() + '"' + "x" * 200_000 + '"'),
    "a quote": lambda path: write(path, path.read_text().replace("\n", '\n"', 1)),
    "a short row": lambda path: write(path, path.read_text() + "0.png\n"),
    "an empty cell": lambda path: write(
        path, path.read_text() + "," * path.read_text().splitlines()[0].count(",") + "\n"
    ),
    "a picture twice": lambda path: write(path, path.read_text() + path.read_text().splitlines()[1] + "\n"),
    "a lost picture": lambda path: write(path, path.read_text().replace("0.png", "lost.png")),
    "a long name": lambda path: write(path, path.read_text().replace("0.png", "0" * 300 + ".png")),
    "a folder": lambda path: write(path, path.read_text().replace("0.png", ".")),
}


def change(path, edit):
    content = json.loads(path.read_text())
    edit(content)
    write(path, json.dumps(content))


def weights(path, tensors=None, **metadata):
    with safe_open(path, "pt") as file:
        held, about = {key: file.get_tensor(key) for key in file.keys()}, file.metadata()  # noqa: SIM118
    save_file({**held, **(tensors or {})}, path, metadata={**about, **metadata})


def spec(path, **fields):
    with safe_open(path, "pt") as file:
        about = json.loads(file.metadata()["spec"])
    weights(path, spec=json.dumps({**about, **fields}))


NO_WEIGHTS = {
    "empty": lambda path: write(path, b""),
    "cut": lambda path: write(path, path.read_bytes()[:-9]),
    "cut in its header": lambda path: write(path, path.read_bytes()[:99]),
    "a header too long": lambda path: write(path, b"\xff" * 8 + path.read_bytes()[8:]),
    "a deep header": lambda path: write(path, (100_000).to_bytes(8, "little") + b'{"a":' * 20_000),
    "no words on it": lambda path: weights(path, spec=""),
    "a list": lambda path: weights(path, spec="[]"),
    "null": lambda path: weights(path, spec="null"),
    "deep": lambda path: weights(path, spec=DEEP),
    "a long number": lambda path: weights(path, spec=LONG),
    "another network": lambda path: weights(path, architecture="x"),
    "another field": lambda path: spec(path, other=1),
    "sizes as words": lambda path: spec(path, widths=["a", "b", "c", "d"]),
    "too few sizes": lambda path: spec(path, widths=[8]),
    "no size": lambda path: spec(path, widths=[0, 0, 0, 0]),
    "sizes below zero": lambda path: spec(path, widths=[-1, -1, -1, -1]),
    "endless sizes": lambda path: spec(path, widths=[10**7] * 4),
    "sizes beyond any": lambda path: spec(path, widths=[10**30] * 4),
    "no labels": lambda path: spec(path, labels=None),
    "labels of numbers": lambda path: spec(path, labels=[1, 2]),
    "no mean": lambda path: spec(path, mean=[]),
    "a std of zero": lambda path: spec(path, std=[0, 0, 0]),
    "a size below zero": lambda path: spec(path, size=-3),
    "a tensor of another shape": lambda path: weights(path, {"class_head.bias": torch.zeros(3, 3)}),
    "a tensor too many": lambda path: weights(path, {"more": torch.zeros(1)}),
    "whole numbers": lambda path: weights(path, {"stem.0.weight": torch.ones(32, 3, 3, 3, dtype=torch.int8)}),
}


@dataclass(frozen=True)
class Reader:
    """A verb and a file that it reads."""

    words: tuple[str, ...]
    file: str
    kinds: dict = field(default_factory=dict)
    passes: tuple[str, ...] = ()


TRAIN = ("--out", "made/c.safetensors", "--toy")
EAT = ("train", "eat", *TRAIN, "--weights", "random", "--data")
CUB = (
    "images.txt", "classes.txt", "image_class_labels.txt", "train_test_split.txt", "bounding_boxes.txt",
    "parts/parts.txt", "parts/part_locs.txt", "attributes/attributes.txt", "attributes/image_attribute_labels.txt",
)  # fmt: skip
EVALUATE = ("evaluate", "world", "--out", "made", "--count", "2", "--metric", "energy-in-mask")
EXPLAIN = ("explain", "0.png", "--model", "birdnet", "--out", "made", "--format", "arrays")
DOUBLED = {"parts/part_locs.txt": ("a row too many",), "attributes/image_attribute_labels.txt": ("a row too many",)}
READERS = {
    "labels.txt": Reader((*EXPLAIN, "--labels", "l.txt"), "l.txt", NO_TEXTS),
    "labels.csv": Reader((*EXPLAIN, "--labels", "l.csv"), "l.csv", NO_TEXTS),
    "labels.json": Reader((*EXPLAIN, "--labels", "l.json"), "l.json", {**NO_TEXTS, **NO_JSON}),
    "weights": Reader((*EXPLAIN, "--weights", "w.safetensors"), "w.safetensors", NO_WEIGHTS),
    "weights of layers": Reader(("layers", "birdnet", "--weights", "w.safetensors"), "w.safetensors", NO_WEIGHTS),
    "a photo": Reader(EXPLAIN, "0.png", {k: NO_TEXTS[k] for k in ("bytes",)}),
    "a mask": Reader((*EXPLAIN, "--masks", "mask.png"), "mask.png", {k: NO_TEXTS[k] for k in ("bytes",)}),
    "a configuration": Reader(("train", "classify", *TRAIN, "--config", "c.toml"), "c.toml", {**NO_TEXTS, **NO_TOML}),
    "a configuration of eat": Reader(("train", "eat", *TRAIN, "--config", "c.toml"), "c.toml", NO_TOML),
    "a table of classes": Reader(
        ("train", "classify", "--data", "set", *TRAIN, "--test-share", "0.4"),
        "set/labels.csv",
        {**NO_TEXTS, **NO_TABLES},
    ),
    "CIFAR's names": Reader(
        ("train", "classify", "--data", "cifar", *TRAIN),
        "cifar/batches.meta.txt",
        {**NO_TEXTS, "empty": NO_JSON["empty"]},
    ),
    "CIFAR's pictures": Reader(
        ("train", "classify", "--data", "cifar", *TRAIN), "cifar/test_batch.bin", {"bytes": NO_TEXTS["bytes"]}
    ),
    "a table of attributes": Reader((*EAT, "table"), "table/attributes.csv", {**NO_TEXTS, **NO_TABLES}),
    "a description in TOML": Reader(
        (*EAT, "table"), "table/attributes.toml", {**NO_TEXTS, "deep": NO_TOML["deep"], "a list": NO_TOML["a list"]}
    ),
    "a comparison's world": Reader((*EVALUATE, "--cue", "foreground"), "world/world.json", {**NO_TEXTS, **NO_JSON}),
    "a comparison's scenes": Reader(
        (*EVALUATE, "--cue", "foreground"), "world/scenes.jsonl", {**NO_TEXTS, **NO_JSON}
    ),
    "COCO": Reader(
        ("evaluate", "coco", "--out", "made", "--count", "2"), "coco/instances.json", {**NO_TEXTS, **NO_JSON}
    ),
    "AwA2's classes": Reader((*EAT, "awa2"), "awa2/classes.txt", {**NO_TEXTS, **NO_LISTS}),
    "AwA2's predicates": Reader((*EAT, "awa2"), "awa2/predicates.txt", {**NO_TEXTS, **NO_LISTS}),
    "AwA2's matrix": Reader((*EAT, "awa2"), "awa2/predicate-matrix-binary.txt", {**NO_TEXTS, **NO_LISTS}),
    **{
        f"{verb} {file}": Reader(words, f"world/{file}", {**NO_TEXTS, **NO_LISTS}, DOUBLED.get(file, ()))
        for verb, words in (("evaluate", (*EVALUATE, "--cue", "none")), ("train eat", (*EAT, "world")))
        for file in CUB
    },
}
CASES = [
    pytest.param(reader, bad, id=f"{name}-{kind}")
    for name, reader in READERS.items()
    for kind, bad in {**NO_FILES, **reader.kinds}.items()
    if kind not in reader.passes
]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """One of every kind of file, as it should be."""
    root = tmp_path_factory.mktemp("home")
    for place in ("set", "table", "coco", "awa2/JPEGImages/ant", "awa2/JPEGImages/dog", "cifar"):
        (root / place).mkdir(parents=True)
    places = [root, root / "set", root / "table", root / "coco", *(root / "awa2" / "JPEGImages").iterdir()]
    for at in range(6):
        for place in places:
            Image.fromarray(np.full((24, 24, 3), 40 * at, np.uint8)).save(place / f"{at}.png")
    Image.fromarray(np.full((24, 24, 3), 255, np.uint8)).save(root / "mask.png")
    names = load_model().labels
    (root / "l.txt").write_text("\n".join(names))
    (root / "l.csv").write_text("index,name\n" + "".join(f"{at},{name}\n" for at, name in enumerate(names)))
    (root / "l.json").write_text(json.dumps(names))
    (root / "c.toml").write_text("seed = 1\n")
    shutil.copy(ASSETS / "birdnet.safetensors", root / "w.safetensors")
    (root / "set/labels.csv").write_text("file,class\n" + "".join(f"{at}.png,{'ab'[at % 2]}\n" for at in range(6)))
    (root / "table/attributes.csv").write_text(
        "file,class,tail,split\n"
        + "".join(f"{at}.png,{'ab'[at % 2]},{'yes' if at % 3 else 'no'},train\n" for at in range(6))
    )
    (root / "table/attributes.toml").write_text('[columns.tail]\ntype = "boolean"\n')
    (root / "coco/instances.json").write_text(json.dumps(coco()))
    (root / "awa2/classes.txt").write_text("1\tant\n2\tdog\n")
    (root / "awa2/predicates.txt").write_text("1\tblack\n2\tred\n")
    (root / "awa2/predicate-matrix-binary.txt").write_text("0 1\n1 0\n")
    (root / "cifar/batches.meta.txt").write_text("ant\ndog\n")
    record = bytes([1]) + bytes(3072)
    for name in ("data_batch_1.bin", "test_batch.bin"):
        (root / "cifar" / name).write_bytes(record * 4)
    render = ("world", "render", "--out", str(root / "world"), "--count", "8", "--size", "32", "--species", "2")
    assert CliRunner().invoke(app, render).exit_code == 0
    (root / "world" / "train_test_split.txt").write_text("".join(f"{at} {at % 2}\n" for at in range(1, 9)))
    return root


def coco():
    return {
        "categories": [{"id": 1, "name": "ant"}],
        "images": [{"id": at, "file_name": f"{at}.png"} for at in range(6)],
        "annotations": [{"image_id": at, "category_id": 1, "bbox": [2, 2, 9, 9]} for at in range(6)],
    }


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("reader", "bad"), CASES)
def test_a_bad_file_is_refused_in_one_sentence(home, tmp_path, monkeypatch, reader, bad) -> None:
    place = tmp_path / "here"
    shutil.copytree(home, place)
    monkeypatch.chdir(place)
    bad(place / reader.file)
    result = CliRunner().invoke(app, list(reader.words))
    refused(result)
    usage = result.exit_code == 2 and reader.file == "c.toml"  # an option is named, wherever its value came from
    file = Path(reader.file)
    assert usage or file.name in result.stderr or (file.parent.name and str(file.parent) in result.stderr)
    assert not (place / "made" / "c.safetensors").exists()


def refused(result):
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code in (1, 2), result.output
    assert "Traceback" not in result.output
    assert len(result.stderr.strip()) > 20
    assert len(result.stderr) < 1500


@pytest.mark.parametrize(
    "edit",
    [
        lambda about: about["images"][0].update(file_name=3),
        lambda about: about["images"][0].update(file_name="x" * 300),
        lambda about: about["images"][0].pop("id"),
        lambda about: about["annotations"][0].update(bbox=[1, 2]),
        lambda about: about["annotations"][0].update(bbox="abcd"),
        lambda about: about["annotations"][0].update(bbox=[1, 2, 3, None]),
        lambda about: about["annotations"][0].update(bbox=[1e400, 0, 1, 1]),
        lambda about: about["annotations"][0].update(category_id=9),
        lambda about: about["categories"][0].update(name=7),
        lambda about: about.update(images={}),
        lambda about: about.update(annotations=3),
        lambda about: about["images"][0].update(id=[]),
    ],
)
def test_a_field_of_another_kind_in_cocos_file_is_refused(home, tmp_path, monkeypatch, edit) -> None:
    shutil.copytree(home / "coco", tmp_path / "coco")
    monkeypatch.chdir(tmp_path)
    change(tmp_path / "coco" / "instances.json", edit)
    words = ("evaluate", "coco", "--out", "made", "--count", "2", "--metric", "energy-in-mask", "--method", "gradcam")
    refused(CliRunner().invoke(app, words))


ODD = (None, 3, -1, 1.5, True, "x", "", [], [1], {}, {"a": 1}, ["x"], 10**400, float("nan"))


def places(content, at=()):
    """Ways to every field of a JSON content."""
    if isinstance(content, dict):
        for key, inside in content.items():
            yield (*at, key)
            yield from places(inside, (*at, key))
    elif isinstance(content, list) and content:
        yield (*at, 0)
        yield from places(content[0], (*at, 0))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A saved explanation with words."""
    from sightline.results import AttentionMap, Decision, Domain, Explanation, Explanations, Flow, Phrase

    root = tmp_path_factory.mktemp("saved")
    image = AttentionMap(torch.rand(4, 4), "a.b", notes={"error": 0.1})
    words = AttentionMap(torch.rand(2), "c", Domain("words", ("one", "two")), signed=True)
    phrase = Phrase("red crown", 0.5, 0.2, image, (0.1, 0.1, 0.2, 0.2), "why", 0.3, "a note", (0, 0, 3))
    Explanations(
        (
            Explanation(
                Flow((image, AttentionMap(torch.rand(2, 2), "d")), "gradcam", ("a remark",)),
                Decision("bird", 1.0, 0, 0.5, 1),
                torch.rand(3, 8, 8), "a.png", (phrase,), {"model": {"model": "x"}}, ("Red it is.",),
            ),
            Explanation(Flow((words,), "gradcam"), Decision("word", 1.0)),
        )
    ).save(root)  # fmt: skip
    return root


def test_no_field_of_a_manifest_can_break_what_is_made_of_it(saved, tmp_path) -> None:
    from sightline.reports import save_montage, save_page

    text = (saved / "manifest.json").read_text()
    loaded = 0
    for way in places(json.loads(text)):
        for value in ODD:
            content = json.loads(text)
            inside = content
            for key in way[:-1]:
                inside = inside[key]
            inside[way[-1]] = value
            (saved / "manifest.json").write_text(json.dumps(content))
            try:
                items = sightline.load(saved)
            except SightlineError:
                continue
            loaded += 1
            assert repr(items)
            try:
                save_page(items, tmp_path / "p.html")
                save_montage(items, tmp_path / "p.png")
            except SightlineError:
                continue
            except Exception as problem:
                raise AssertionError(f"{way} as {value!r}: {problem!r}") from problem
    (saved / "manifest.json").write_text(text)
    assert loaded


@pytest.mark.parametrize("kind", [torch.bool, torch.int64, torch.float8_e4m3fn, torch.complex64])
def test_an_array_of_another_kind_is_refused(saved, tmp_path, kind) -> None:
    shutil.copytree(saved, tmp_path / "r")
    with safe_open(saved / "arrays.safetensors", "pt") as file:
        arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    save_file({**arrays, "0.map.0": torch.ones(4, 4).to(kind)}, tmp_path / "r" / "arrays.safetensors")
    with pytest.raises(SightlineError, match="damaged"):
        sightline.load(tmp_path / "r")


@pytest.mark.parametrize("file", ["manifest.json", "arrays.safetensors"])
@pytest.mark.parametrize("bad", [*NO_FILES.values(), *NO_TEXTS.values(), *NO_JSON.values()])
@pytest.mark.timeout(20)
def test_a_damaged_result_is_refused(saved, tmp_path, file, bad) -> None:
    shutil.copytree(saved, tmp_path / "r")
    place = tmp_path / "r" / file
    if file == "arrays.safetensors" and bad in (NO_TEXTS["utf-16"], NO_JSON["cut"]):
        place.write_text("x" * 50)
    bad(place)
    with pytest.raises(SightlineError):
        sightline.load(tmp_path / "r")
