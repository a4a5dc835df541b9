"""`sightline gates show`: figures, the page with both panels, the table."""

import json

import torch
from PIL import Image
from typer.testing import CliRunner

from sightline.backbones.load import LoadedModel
from sightline.backbones.preprocess import Preprocess
from sightline.cli.app import app
from tests.gates.nets import build


def test_a_photo_is_shown_with_and_without_its_gates(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "sightline.backbones.load.load_model",
        lambda name, **wishes: LoadedModel(
            build("cifar resnet"), "tiny", tuple("abcdefghij"), Preprocess(size=(32, 32), resize=None)
        ),
    )
    for k in range(2):
        pixels = torch.randint(256, (32, 32, 3), generator=torch.Generator().manual_seed(k), dtype=torch.uint8)
        Image.fromarray(pixels.numpy()).save(tmp_path / f"{k}.png")
    out = tmp_path / "out"
    words = [str(tmp_path / "0.png"), str(tmp_path / "1.png"), "--gate", "dia", "--out", str(out), "--json"]
    done = CliRunner().invoke(app, ["gates", "show", *words])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert len(found["sites"]) == 6
    assert all(0.1 < row["mean"] < 0.5 for row in found["sites"])
    assert not found["trained"]
    assert "no trained weights" in done.stderr
    page = (out / "page.html").read_text(encoding="utf-8")
    assert "gradcam with gates" in page
    assert "gradcam without gates" in page
    assert all((out / name).stat().st_size > 1000 for name in ("gates.png", "montage.png"))
