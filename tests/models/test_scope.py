"""A network says what it knows: at every image, and louder where an image is unlike what it was trained on."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import sightline
from sightline.cli.app import app
from sightline.models.load import load_model
from sightline.models.scope import Scope, fitted, scope_of
from sightline.models.zoo.birdnet import BirdNet, BirdNetSpec, load_birdnet, save_birdnet
from sightline.tasks.bird import scope as command
from sightline.worlds.aviary.dataset import HELD_OUT

SCENE = Path(sightline.__file__).parent / "assets" / "scene.png"
KNOWS = "knows drawn birds only"
UNLIKE = "unlike what it was trained on"


def photo(path: Path) -> Path:
    """Coloured noise of two scales, as unlike a drawn scene as a photo is."""
    draw = np.random.default_rng(0)
    coarse = Image.fromarray(draw.integers(0, 255, (9, 12, 3), np.uint8)).resize((240, 180), Image.Resampling.BICUBIC)
    fine = draw.normal(0, 18, (180, 240, 3))
    Image.fromarray((np.asarray(coarse) + fine).clip(0, 255).astype(np.uint8)).save(path)
    return path


def test_the_distance_is_mahalanobis_with_one_covariance():
    draw = torch.Generator().manual_seed(3)
    mix = torch.randn(4, 4, generator=draw)
    train, spare = (torch.randn(300, 4, generator=draw) @ mix for _ in range(2))
    mean, whitening, limit = fitted(train, spare, 0.9)
    covariance = np.cov(train.numpy().T.astype(float))
    inverse = np.linalg.inv(covariance + 0.01 * covariance.diagonal().mean() * np.eye(4))
    naive = [
        math.sqrt((row - mean).numpy().astype(float) @ inverse @ (row - mean).numpy().astype(float)) for row in spare
    ]
    scope = Scope("it knows", lambda net, x: x, mean, whitening, limit)
    assert scope.distances(torch.nn.Identity(), spare).tolist() == pytest.approx(naive, rel=1e-4)
    assert sum(distance > limit for distance in naive) == pytest.approx(30, abs=1)


def test_the_bundled_scene_is_known_and_a_photo_is_not(tmp_path):
    opened = sightline.open_model("birdnet")
    (scene,) = sightline.explain(opened, str(SCENE), method="gradcam", layers="last")
    (other,) = sightline.explain(opened, str(photo(tmp_path / "p.png")), method="gradcam", layers="last")
    assert KNOWS in scene.flow.remarks[-1]
    assert UNLIKE not in scene.flow.remarks[-1]
    assert KNOWS in other.flow.remarks[-1]
    assert UNLIKE in other.flow.remarks[-1]
    assert other.provenance["scope"] == other.flow.remarks[-1]


def test_each_image_of_a_batch_gets_its_own_sentence_for_every_decision(tmp_path):
    opened = sightline.open_model("birdnet")
    pictures = [str(SCENE), str(photo(tmp_path / "p.png"))]
    wishes = {"method": ["gradcam", "layercam"], "layers": "last", "target": "top2", "batch_size": 1}
    remarks = [UNLIKE in item.flow.remarks[-1] for item in sightline.explain(opened, pictures, **wishes)]
    assert remarks == [False] * 4 + [True] * 4


def test_the_network_is_left_as_it_was():
    net = load_birdnet().train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    scope_of(net).distances(net, torch.rand(2, 3, 128, 128))
    assert net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_networks_of_which_nothing_is_known_say_nothing(tmp_path):
    spec = BirdNetSpec(labels=("a", "b"), attributes=("has_x::y",), widths=(8, 8, 8, 8), size=64)
    save_birdnet(BirdNet(spec), tmp_path / "own.safetensors")
    own = load_model(weights=tmp_path / "own.safetensors")
    assert scope_of(own.model) is None
    (item,) = sightline.explain(own, str(SCENE), method="gradcam", layers="last")
    assert not item.flow.remarks
    assert "scope" not in item.provenance


@pytest.mark.parametrize("words", [["photo.png", "--model", "birdnet"], []], ids=["photo", "scene"])
def test_terminal_page_and_json_say_it(tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    photo(tmp_path / "photo.png")
    common = [*words, "--method", "gradcam", "--layers", "last"]
    done = CliRunner().invoke(app, ["explain", *common, "--json", "--format", "html", "--out", "o"])
    assert done.exit_code == 0, done.output
    (record,) = json.loads(done.stdout)["photos"]
    (note,) = record["notes"]
    assert KNOWS in note
    assert (UNLIKE in note) == bool(words)
    assert KNOWS in " ".join(done.stderr.split())
    assert KNOWS in (Path(record["folder"]) / "page.html").read_text(encoding="utf-8")
    assert json.loads((Path(record["folder"]) / "summary.json").read_text())["notes"] == [note]


def test_the_command_fits_writes_and_measures(tmp_path, caplog, monkeypatch):
    caplog.set_level("INFO")
    photo(tmp_path / "p.png")
    out = tmp_path / "scope.safetensors"
    toy = ["--count", "8", "--held-out", "4", "--workers", "1", "--out", str(out), "--photos", str(tmp_path)]
    command.main(toy)
    assert "held-out scenes: " in caplog.text
    assert f"{tmp_path}: 1 of 1 beyond the limit" in caplog.text
    monkeypatch.setattr("sightline.models.zoo.birdnet_scope.FILE", str(out))
    assert scope_of(load_model("birdnet").model).mean.shape == (272,)


def test_few_held_out_scenes_lie_beyond_the_limit(tmp_path):
    net = load_birdnet()
    own = scope_of(load_model("birdnet").model)
    rows = command.features_of(net, command.scenes(HELD_OUT + 700, 40, size=128, folder=tmp_path, workers=1))
    assert command.share_of(own, net, rows, "").far <= 4  # 5 % of 60, and one more by chance


@pytest.mark.pack
def test_nearly_all_photos_lie_beyond_the_limit(pack):
    net, own = load_birdnet(), scope_of(load_model("birdnet").model)
    rows = command.photo_features(net, pack / "imagenet_photos" / "images", 40)
    assert command.share_of(own, net, rows, "").far >= 38
