"""Broken data and broken maps, through the command: one clear sentence or a counted status, never an average."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from typer.testing import CliRunner

from sightline.cli.app import app
from sightline.models.zoo.birdnet import BirdNet, BirdNetSpec
from sightline.worlds.aviary import World, WorldConfig
from sightline.worlds.aviary.layout import write_world

pytest.importorskip("pyarrow", reason="comparisons are written with pyarrow: pip install 'sightline[audit]'")

WORLD = World(WorldConfig(species=4, twins=0, train_share=0.3))
SIDE = 32
Damage = Callable[[Path], object]


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    return write_world(WORLD, tmp_path_factory.mktemp("sound") / "w", 10, size=SIDE, image_format="png")


def weights(path: Path, spoil: Callable[[BirdNet], object] = lambda net: None, *, classes: int = 4) -> Path:
    torch.manual_seed(0)
    net = BirdNet(BirdNetSpec(WORLD.labels[:classes], ("has_x::y",), (8, 8, 8, 8), (1, 1, 1, 1), size=SIDE))
    with torch.no_grad():
        spoil(net)
    file = path / "net.safetensors"
    save_file(dict(net.state_dict()), file, metadata={"architecture": "birdnet", "spec": net.spec.to_json()})
    return file


def evaluate(data: Path, net: Path, *more: str, metric: str = "energy-in-mask"):
    words = [
        "evaluate",
        str(data),
        "--model",
        "birdnet",
        "--weights",
        str(net),
        "--cue",
        "none",
        "--method",
        "gradcam",
    ]
    words += ["--metric", metric, "--depth", "late", "--out", str(net.parent / "out"), *more]
    done = CliRunner().invoke(app, words)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def spoiled(sound: Path, tmp_path: Path, damage: Damage) -> Path:
    folder = shutil.copytree(sound, tmp_path / "w")
    damage(folder)
    return folder


def rewritten(file: str, change: Callable[[str], str], *, line: int | None = None) -> Damage:
    def damage(folder: Path) -> None:
        lines = (folder / file).read_text().splitlines()
        lines = [change(text) if line in (None, number) else text for number, text in enumerate(lines)]
        (folder / file).write_text("\n".join(lines) + "\n")

    return damage


def boxed(box: str) -> Damage:
    def damage(folder: Path) -> None:
        shutil.rmtree(folder / "masks")
        rewritten("bounding_boxes.txt", lambda text: f"{text.split()[0]} {box}")(folder)

    return damage


def held_out(folder: Path, kind: str) -> list[Path]:
    """Files of the test split: pictures, or foreground masks."""
    split = [line.endswith(" 0") for line in (folder / "train_test_split.txt").read_text().splitlines()]
    paths = [line.partition(" ")[2] for line in (folder / "images.txt").read_text().splitlines()]
    return [folder / kind / path for path, test in zip(paths, split, strict=True) if test]


def masks_of(colour: int) -> Damage:
    return lambda folder: [Image.new("L", (SIDE, SIDE), colour).save(m) for m in held_out(folder, "masks/foreground")]


LABELS = "attributes/image_attribute_labels.txt"


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda folder: held_out(folder, "images")[1].unlink(), "there is no file"),
        (lambda folder: held_out(folder, "images")[1].write_bytes(b"\x89PNG"), "not an image file of a known format"),
        (lambda folder: held_out(folder, "masks/foreground")[1].unlink(), r"has masks, but none for .*\(1 of"),
        (lambda folder: (folder / "bounding_boxes.txt").unlink(), "bounding_boxes.txt is missing"),
        (rewritten(LABELS, lambda _: "1 6 x 3 1.0", line=5), "line 6: expected 4 numbers, found '1 6 x 3 1.0'"),
        (rewritten(LABELS, lambda _: "1 900 1 3 1.0", line=5), "line 6: expected attribute 1-80"),
        (rewritten("images.txt", lambda _: "1", line=0), "images.txt, line 1"),
        (boxed("500 500 20 20"), r"box \(x 500, y 500, width 20, height 20\) of .* outside its picture of 32 x 32"),
        (boxed("20 20 90 90"), "lies outside its picture"),
        (boxed("5 5 -4 9"), "is empty or lies outside"),
        (boxed("5 5 0 9"), "is empty or lies outside"),
        (boxed("nan 5 4 9"), "line 1: expected 5 numbers"),
        (rewritten("train_test_split.txt", lambda text: f"{text.split()[0]} 1"), "no picture in its test split"),
        (lambda folder: held_out(folder, "masks/foreground")[0].write_bytes(b""), "is empty|no picture"),
    ],
)  # fmt: skip
def test_a_broken_data_set_is_one_sentence(sound, tmp_path, damage, text) -> None:
    import re

    done = evaluate(spoiled(sound, tmp_path, damage), weights(tmp_path))
    assert done.exit_code == 1
    assert re.search(text, " ".join(done.stderr.split())), done.stderr
    assert not (tmp_path / "out" / "table.parquet").exists()


def standings(done) -> dict[str, dict[str, object]]:
    assert done.exit_code == 0, done.output
    return {row["method"]: row for row in json.loads(done.stdout)["standings"]}


def test_empty_masks_are_counted_and_averaged_with_nothing(sound, tmp_path) -> None:
    folder = spoiled(sound, tmp_path, masks_of(0))
    count, file = len(held_out(folder, "images")), weights(tmp_path)
    found = standings(evaluate(folder, file, "--json"))
    assert all(row["skipped"] == {"empty-mask": count} and row["n"] == 0 for row in found.values())
    done = evaluate(folder, file)
    assert done.exit_code == 0, done.stderr
    assert f"{count} empty-mask" in " ".join(done.stdout.split())
    assert "No method beats the controls" in done.stdout


def test_one_empty_mask_is_left_out_of_the_mean(sound, tmp_path) -> None:
    one = lambda folder: Image.new("L", (SIDE, SIDE)).save(held_out(folder, "masks/foreground")[0])  # noqa: E731
    folder = spoiled(sound, tmp_path, one)
    found = standings(evaluate(folder, weights(tmp_path), "--json"))
    assert found["uniform"]["skipped"] == {"empty-mask": 1}
    assert found["uniform"]["n"] == len(held_out(folder, "images")) - 1
    assert found["uniform"]["mean"] > 0.02


@pytest.mark.parametrize(
    ("spoil", "status"),
    [
        (lambda net: net.class_head.weight.zero_(), "zero"),
        (lambda net: net.stage4[0].conv1.weight[0].fill_(float("nan")), "nan"),
    ],
)
def test_maps_of_nothing_and_maps_with_nan_are_counted(sound, tmp_path, spoil, status) -> None:
    found = standings(evaluate(sound, weights(tmp_path, spoil), "--json"))
    count = len(held_out(sound, "images"))
    assert (found["gradcam"]["n"], found["gradcam"]["skipped"]) == (0, {status: count})
    assert found["gradcam"]["mean"] is None
    assert found["random"]["n"] == count


def test_data_of_one_class_is_judged_as_any_other(sound, tmp_path) -> None:
    def single(folder: Path) -> None:
        rewritten("image_class_labels.txt", lambda text: f"{text.split()[0]} 1")(folder)
        (folder / "classes.txt").write_text("1 001.All\n")

    found = standings(evaluate(spoiled(sound, tmp_path, single), weights(tmp_path), "--json"))
    assert found["uniform"]["n"] == len(held_out(sound, "images"))


def test_a_model_of_one_class_decides_nothing(sound, tmp_path) -> None:
    done = evaluate(sound, weights(tmp_path, classes=1), metric="deletion")
    assert done.exit_code == 1
    assert "the model has one class only" in done.stderr


def test_a_world_of_one_class_is_refused(tmp_path) -> None:
    done = CliRunner().invoke(
        app, ["world", "render", "--out", str(tmp_path / "w"), "--species", "1", "--count", "2"]
    )
    assert done.exit_code == 1
    assert "1 species were asked for" in done.stderr
    assert list(tmp_path.iterdir()) == []
