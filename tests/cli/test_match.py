"""`sightline explain` on pairs, galleries and examples: what is written, and what cannot be compared is told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import sightline
from sightline.cli.app import app

MODEL = ("-m", "timm:test_convnext", "--weights", "random", "--format", "png,html,arrays")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with a red, a reddish and a blue photo, and a folder of examples for each of two classes."""
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0).integers(0, 60, (8, 40, 50, 3))
    for i, (name, colour) in enumerate(
        [("red.png", (190, 0, 0)), ("rose.png", (180, 20, 20)), ("blue.png", (0, 0, 190)), ("odd.png", (90, 90, 0))]
        + [
            (f"support/{kind}/{n}.png", c)
            for kind, c in (("warm", (190, 20, 0)), ("cold", (0, 20, 190)))
            for n in "ab"
        ]
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((noise[i] + np.array(colour)).clip(0, 255).astype(np.uint8)).save(path)
    return tmp_path


def explain(*arguments: str, model: tuple[str, ...] = MODEL):
    return CliRunner().invoke(app, ["explain", *arguments, *model])


def test_two_photos_become_one_result_with_a_flow_for_each(here: Path) -> None:
    result = explain("red.png", "rose.png", "--similarity", "cosine", "--method", "gradcam,layercam")
    assert result.exit_code == 0, result.output
    folder = here / "sightline_out" / "red-and-rose"
    flows = sightline.load(folder)
    assert [(item.source, item.method) for item in flows] == [
        ("red.png", "gradcam"), ("red.png", "layercam"), ("rose.png", "gradcam"), ("rose.png", "layercam"),
    ]  # fmt: skip
    assert flows[0].provenance["embedding"] == "input of 'head.fc'"
    assert "Why red.png and rose.png match: cosine" in (folder / "page.html").read_text()
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["photos"] == ["red.png", "rose.png"]
    assert summary["explanations"][0]["decision"] == "cosine similarity to rose.png"


def test_the_embedding_can_be_named(here: Path) -> None:
    explain("red.png", "rose.png", "--similarity", "dot", "--embedding", "none", "--out", "raw")
    explain("red.png", "rose.png", "--similarity", "dot", "--embedding", "head.global_pool", "--out", "pool")
    raw, pool = (sightline.load(here / out / "red-and-rose")[0] for out in ("raw", "pool"))
    assert "embedding" not in raw.provenance
    assert pool.provenance["embedding"] == "output of 'head.global_pool'"
    assert raw.decision.score != pool.decision.score


def test_the_best_match_of_a_gallery_is_found_and_never_the_photo_itself(here: Path) -> None:
    result = explain("red.png", "--gallery", ".", "--json")
    (found,) = json.loads(result.stdout)["photos"]
    scores = [match["score"] for match in found["matches"]]
    assert found["gallery"] == 8
    assert all(Path(match["source"]).name != "red.png" for match in found["matches"])
    assert scores == sorted(scores, reverse=True)
    assert found["photos"][1] == found["matches"][0]["source"]
    assert found["explanations"][0]["score"] == pytest.approx(scores[0], rel=1e-4)


def test_several_photos_sought_in_a_gallery_get_an_index(here: Path) -> None:
    explain("red.png", "blue.png", "--gallery", "support", "--format", "html")
    assert {path.name for path in (here / "sightline_out").iterdir()} == {"red", "blue", "index.html"}


def test_examples_of_classes_make_prototypes(here: Path) -> None:
    result = explain("red.png", "blue.png", "--support", "support", "--json")
    red, blue = json.loads(result.stdout)["photos"]
    for photo in (red, blue):
        (item,) = photo["explanations"]
        assert item["decision"] in ("cold rather than the others", "warm rather than the others")
        assert item["score"] > 0


@pytest.mark.parametrize(
    ("options", "label"),
    [
        (("--target", "cold", "--similarity", "cosine"), "cold rather than the others"),
        (("--target", "cold", "--contrast", "warm"), "cold rather than warm"),
        (("--target", "cold", "--target-score", "log-softmax"), "log p of cold"),
        (("--target", "cold", "--target", "warm"), "log p of cold"),
    ],
)
def test_what_is_asked_of_prototypes(here: Path, options: tuple[str, ...], label: str) -> None:
    item = json.loads(explain("red.png", "--support", "support", *options, "--json").stdout)["photos"][0]
    assert item["explanations"][0]["decision"] == label


@pytest.mark.parametrize(
    ("options", "label"),
    [
        (("--contrast", "others"), "class 3 rather than the others"),
        (("--target-score", "log-softmax"), "log p of class 3"),
    ],
)
def test_classes_against_all_others(here: Path, options: tuple[str, str], label: str) -> None:
    model = ("-m", "timm:test_convnext", "--weights", "random", "--model-arg", "num_classes=7", "--format", "arrays")
    result = explain("red.png", "--target", "3", *options, "--json", model=model)
    assert json.loads(result.stdout)["photos"][0]["explanations"][0]["decision"] == label


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("red.png", "--similarity", "cosine"), "compares two photos, but 1 were given"),
        (("red.png", "rose.png", "blue.png", "--similarity", "dot"), "compares two photos, but 3 were given"),
        (("red.png", "nowhere.png", "--similarity", "dot"), "there is no file"),
        (("red.png", "rose.png", "--similarity", "cosinus"), "near names: 'cosine'"),
        (("red.png", "rose.png", "--similarity", "dot", "--target", "3"), "has no class"),
        (("red.png", "rose.png", "--similarity", "dot", "--embedding", "haed"), "near names: 'head'"),
        (("red.png", "rose.png", "--similarity", "dot", "--embedding", "stages.0"), "needs an embedding of shape"),
        (("red.png", "--support", "support/warm"), "two classes or more, but holds 0 folders"),
        (("red.png", "--support", "support", "--target", "hot"), "there is no class 'hot' among 2 labels"),
        (("red.png", "--gallery", "red.png"), "nothing else than red.png"),
        (("red.png", "--target-score", "probability"), "--target-score cannot be 'probability'"),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(here: Path, arguments: tuple[str, ...], text: str) -> None:
    result = explain(*arguments)
    assert result.exit_code == 1
    assert text in " ".join(result.stderr.split())
    assert not (here / "sightline_out").exists()
