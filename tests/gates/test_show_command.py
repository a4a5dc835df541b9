"""`sightline gates show`: figures, the page with both panels, the table."""

import base64
import json
import re

import torch
from PIL import Image
from typer.testing import CliRunner

from sightline.cli.app import app
from sightline.models.load import LoadedModel
from sightline.models.preprocess import Preprocess
from tests.gates.nets import build

ALWAYS = {"derivative through the state", "state replaced by its mean"}
FORESTS = {"forest", "forest, state cut (control)"}


def show(tmp_path, monkeypatch, photos, *more, labels=tuple("abcdefghij")):
    """Call the command on so many photos; its JSON, its notes and its folder."""
    monkeypatch.setattr(
        "sightline.models.load.load_model",
        lambda name, **wishes: LoadedModel(
            build("cifar resnet"), "tiny", labels, Preprocess(size=(32, 32), resize=None)
        ),
    )
    for k in range(photos):
        pixels = torch.randint(256, (32, 32, 3), generator=torch.Generator().manual_seed(k), dtype=torch.uint8)
        Image.fromarray(pixels.numpy()).save(tmp_path / f"{k}.png")
    out = tmp_path / "out"
    named = [str(tmp_path / f"{k}.png") for k in range(photos)]
    done = CliRunner().invoke(app, ["gates", "show", *named, *more, "--out", str(out), "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout), done.stderr, out


def test_a_photo_is_shown_with_and_without_its_gates(tmp_path, monkeypatch):
    found, said, out = show(tmp_path, monkeypatch, 2, "--gate", "dia")
    assert len(found["sites"]) == 6
    assert all(0.1 < row["mean"] < 0.5 for row in found["sites"])
    assert not found["trained"]
    assert "no trained weights" in said
    page = (out / "page.html").read_text(encoding="utf-8")
    assert "gradcam with gates" in page
    assert "gradcam without gates" in page
    assert all((out / name).stat().st_size > 1000 for name in ("gates.png", "memory.png", "montage.png"))
    assert page.count("data:image/png;base64," + base64.b64encode((out / "memory.png").read_bytes()).decode()) == 1
    assert {one["way"] for one in found["memory"]} == ALWAYS
    assert "at least 8 photos, and 2 were given" in page


def test_a_network_without_names_of_classes_is_asked_for_its_classes_by_number(tmp_path, monkeypatch):
    _, _, out = show(tmp_path, monkeypatch, 1, "--gate", "se", "--target", "top2", labels=None)
    page = (out / "page.html").read_text(encoding="utf-8")
    own, plain = (
        set(re.findall(rf'"method":"gradcam {how} gates".*?"label":"(.*?)"', page)) for how in ("with", "without")
    )
    assert own == plain
    assert len(own) == 2


def test_enough_photos_grow_forests_and_the_null_that_has_no_memory(tmp_path, monkeypatch):
    found, _, _ = show(tmp_path, monkeypatch, 8, "--gate", "dia", "--shown", "1")
    assert {one["way"] for one in found["memory"]} == FORESTS | ALWAYS
    assert {one["stage"] for one in found["memory"]} == {1, 2, 3}
    assert not found["not_asked"]
    again, _, _ = show(tmp_path, monkeypatch, 8, "--gate", "dia", "--no-forest", "--shown", "1")
    assert {one["way"] for one in again["memory"]} == ALWAYS
    assert again["not_asked"] == ["the forest was not asked for"]


def test_maps_are_drawn_of_the_first_photos_and_gates_read_over_all(tmp_path, monkeypatch):
    monkeypatch.setattr("sightline.cli.gate_show.STATE_PHOTOS", 3)
    _, said, out = show(tmp_path, monkeypatch, 4, "--shown", "2")
    page = (out / "page.html").read_text(encoding="utf-8")
    assert [f"{k}.png" in page for k in range(4)] == [True, True, False, False]
    assert "maps of the first 2 of 4 photos are drawn; --shown 4 draws all" in said
    assert "The state is followed over the first 3 of 4 photos." in page


def test_gates_without_a_state_do_not_say_over_how_many_photos_it_was_followed(tmp_path, monkeypatch):
    monkeypatch.setattr("sightline.cli.gate_show.STATE_PHOTOS", 3)
    found, _, out = show(tmp_path, monkeypatch, 8, "--gate", "se", "--shown", "1")
    assert {one["way"] for one in found["memory"]} == {"forest"}
    assert "The state is followed" not in (out / "page.html").read_text(encoding="utf-8")


def test_gates_without_a_state_say_so_on_the_page(tmp_path, monkeypatch):
    found, _, out = show(tmp_path, monkeypatch, 1, "--gate", "se")
    assert not found["memory"]
    assert not (out / "memory.png").exists()
    assert "se carries no state from block to block" in (out / "page.html").read_text(encoding="utf-8")
