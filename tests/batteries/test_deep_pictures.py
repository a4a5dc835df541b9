"""Pictures of more than 8 bits, wherever a photo goes in: the same values come out, whatever file holds them."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from sightline.cli.app import app
from sightline.data.levels import Levels
from sightline.results import load
from tests.data.tiffs import write_tiff

pytest.importorskip("lightning")

from sightline.tasks.attributes.data import read_attributes
from sightline.tasks.attributes.data.examples import from_files
from sightline.tasks.classification.data.pictures import gather
from sightline.tasks.classification.multilabel.pictures import gather_labelled
from sightline.tasks.classification.recipe import ClassifyRecipe

SIDE, WHITE = 16, 4095


def values(at: int, channels: int) -> np.ndarray:
    """Twelve bits in sixteen; every other picture is dark, so that each by its own scale would look alike."""
    draw = np.random.default_rng(at)
    top = 4095 if at % 2 else 800
    return draw.integers(0, top, (SIDE, SIDE, channels)).astype(np.uint16)


def png(path: Path, own: np.ndarray) -> None:
    Image.fromarray(own[..., 0]).save(path)


def tiff(path: Path, own: np.ndarray) -> None:
    write_tiff(path, own)


def radiograph(path: Path, own: np.ndarray) -> None:
    """As X-ray machines write them: white is the least value."""
    write_tiff(path, WHITE - own, photometric=0, tags={281: ("H", [WHITE])})


FORMS: dict[str, tuple[str, int, Callable[[Path, np.ndarray], None]]] = {
    "16-bit grey PNG": ("png", 1, png),
    "16-bit grey TIFF": ("tiff", 1, tiff),
    "16-bit colour TIFF": ("tiff", 3, tiff),
    "radiograph": ("tif", 1, radiograph),
}


@pytest.fixture(params=FORMS, scope="module")
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[np.ndarray]]:
    """A folder with both kinds of tables, and what its pictures hold, in 0..255."""
    ending, channels, write = FORMS[request.param]
    root = tmp_path_factory.mktemp("deep")
    bytes_, lists, rows = [], [["file", "labels"]], [["file", "class", "split", "tone"]]
    for at in range(24):
        own, name = values(at, channels), f"{at:02}.{ending}"
        write(root / name, own)
        bytes_.append(np.broadcast_to(np.round(own.astype(float) * 255 / WHITE), (SIDE, SIDE, 3)))
        split = "test" if at >= 16 else "validation" if at >= 12 else "train"
        rows.append([name, "ab"[at // 2 % 2], split, "bright" if at % 2 else "dark"])
        lists.append([name, ("cat;dog", "no finding", "dog", "cat")[at % 4]])
    for name, table in (("attributes", rows), ("labels", lists)):
        with (root / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows(table)
    return root, bytes_


def near(images: torch.Tensor, expected: list[np.ndarray]) -> bool:
    table = torch.from_numpy(np.stack(expected)).permute(0, 3, 1, 2)
    return bool(((images.double() - table).abs() <= 1).all())


def test_train_eat_learns_from_the_values_on_one_scale(folder: Any, tmp_path: Path) -> None:
    root, expected = folder
    data = read_attributes(root)
    deep = from_files(data, range(24), SIDE, tmp_path, levels=Levels(0, WHITE))
    assert near(deep.images, expected)
    if next(root.glob("00.*")).suffix != ".tif":  # a radiograph is turned round within its scale
        half = from_files(data, range(24), SIDE, tmp_path, levels=Levels(0, 2 * WHITE))
        assert near(half.images, [np.round(own / 2) for own in expected])


def test_train_classify_learns_from_the_same_with_one_label_and_with_several(folder: Any, tmp_path: Path) -> None:
    root, expected = folder
    recipe = ClassifyRecipe().toy().but(size=SIDE, white=float(WHITE), black=0.0, validation=0.3)
    several = gather_labelled(root, recipe, tmp_path)
    assert near(several.images, expected)
    single = root / "classes"
    for kind in "ab":
        (single / kind).mkdir(parents=True, exist_ok=True)
    files = sorted(path for path in root.iterdir() if path.stem.isdigit())
    for at, path in enumerate(files):
        place = single / "ab"[at % 2] / path.name
        if not place.exists():
            place.symlink_to(path)
    pictures = gather(single, recipe, tmp_path)
    order = [*range(0, 24, 2), *range(1, 24, 2)]
    assert near(pictures.images, [expected[at] for at in order])


@pytest.mark.parametrize("folder", ["16-bit colour TIFF", "radiograph"], indirect=True)
def test_what_was_trained_on_them_explains_paints_and_audits_them(folder: Any, tmp_path: Path) -> None:
    root, expected = folder
    out, files = tmp_path / "net.safetensors", sorted(path for path in root.iterdir() if path.stem.isdigit())[:2]
    options = ["--toy", "--weights", "random", "--no-probe", "--epochs", "1", "--white", str(WHITE), "--black", "0"]
    for words in (
        ["train", "eat", "--data", str(root), "--out", str(out), *options],
        ["explain", *map(str, files), "--weights", str(out), "--white", str(WHITE), "--out", str(tmp_path / "set")],
        [
            "audit",
            "eat",
            "--weights",
            str(out),
            "--data",
            str(root),
            "--out",
            str(tmp_path / "audit"),
            "--white",
            "4095",
        ],
    ):
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, result.output
    assert (tmp_path / "set" / "index.html").is_file()
    learnt = [np.load(path) for path in (tmp_path / "net.work" / "photos").glob("*-32.npy")]
    first = next(table for table in learnt if len(table) == 12)[0]  # of the training pictures
    assert float(first.mean()) == pytest.approx(float(expected[0].mean()), abs=6)
    for path, own in zip(files, expected, strict=False):
        (item,) = load(tmp_path / "set" / path.stem)
        assert item.image is not None
        assert float(item.image.mean()) * 255 == pytest.approx(float(own.mean()), abs=6)
        painted = np.asarray(Image.open(tmp_path / "set" / path.stem / "montage.png").convert("L"), float)
        assert painted.std() > 10
