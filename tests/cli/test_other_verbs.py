"""`models`, `methods`, `layers` and `doctor`: what they list, for people and for programs."""

import json
import re
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from typer.testing import CliRunner

import sightline
from sightline import installed
from sightline.cli import doctor
from sightline.cli.app import app


def run(*arguments):
    return CliRunner().invoke(app, list(arguments))


def test_networks_that_come_as_a_package_are_listed_by_the_name_that_model_takes():
    entries = json.loads(run("models", "imagenet*", "--json").stdout)
    assert {entry["origin"] for entry in entries} == {"package"}
    assert [entry["name"] for entry in entries] == ["imagenet", "imagenet-lite1", "imagenet-lite2"]
    assert "package:" not in run("models", "imagenet").stdout


def test_models_are_listed_by_pattern():
    assert "torchvision:squeezenet1_0" in run("models", "squeezenet").stdout
    (entry,) = json.loads(run("models", "torchvision:resnet50", "--json").stdout)
    assert entry == {
        "name": "resnet50",
        "origin": "torchvision",
        "family": "resnet",
        "parameters": 25_557_032,
        "published": True,
    }


def test_a_pattern_without_models_names_what_is_near():
    result = run("models", "squeezenett1_1")
    assert result.exit_code == 1
    assert "'squeezenet1_1'" in result.stderr


def test_methods_come_from_the_registry():
    from sightline.explainers import METHODS

    rows = json.loads(run("methods", "--json").stdout)
    assert [row["name"] for row in rows] == list(METHODS)
    assert {"title", "family", "needs", "cost", "signed", "source", "equation", "default_layers"} <= rows[0].keys()
    assert "Grad-CAM" in run("methods").stdout


def test_stages_need_no_weights():
    result = run("layers", "timm:test_vit", "--json")
    facts = json.loads(result.stdout)
    assert facts["model"] == "timm:test_vit"
    assert facts["layers"][-1]["kind"] == "tokens"
    assert facts["layers"][0]["grid"] == [10, 10]
    assert facts["layers"][0]["stride"] == 16
    assert "10x10" in run("layers", "timm:test_vit").stdout


def test_stages_can_be_chosen_and_an_unknown_one_is_an_error():
    result = run("layers", "squeezenet1_1", "--layers", "last", "--size", "64x96", "--json")
    (layer,) = json.loads(result.stdout)["layers"]
    assert layer["grid"] == [3, 5]
    assert run("layers", "squeezenet1_1", "--layers", "feature.3").exit_code == 1


def test_an_unknown_model_is_one_sentence():
    result = run("layers", "squeezenet1_2")
    assert result.exit_code == 1
    assert "near names: 'squeezenet1_1'" in result.stderr


def test_doctor_says_what_is_there_and_how_to_get_the_rest(monkeypatch):
    monkeypatch.setattr(doctor, "_version", lambda name: None if name == "captum" else "1.0")
    facts = json.loads(run("doctor", "--json").stdout)
    assert facts["extras"]["captum"] == {"missing": ["captum"], "install": "pip install 'sightline[captum]'"}
    assert facts["extras"]["video"] == {"missing": [], "install": None}
    assert facts["devices"][0].startswith("cpu")
    assert facts["versions"]["torch"] == "1.0"
    assert isinstance(facts["bundled_model"]["loads"], bool)
    assert "pip install 'sightline[captum]'" in run("doctor").stdout


def test_doctor_says_whether_the_network_for_photos_is_there(monkeypatch):
    from sightline.models.zoo import packaged

    facts = json.loads(run("doctor", "--json").stdout)["photo_models"]
    assert facts["imagenet"]["loads"] == (packaged.installed_file("imagenet") is not None)
    monkeypatch.setattr(packaged, "installed_file", lambda name: None)
    facts = json.loads(run("doctor", "--json").stdout)["photo_models"]
    assert list(facts) == ["imagenet"]
    assert facts["imagenet"]["error"] == "pip install 'sightline[imagenet]'"
    assert "its package is not installed" in run("doctor").stdout


def test_doctor_lists_every_registry_with_its_members():
    registries = json.loads(run("doctor", "--json").stdout)["registries"]
    house = Path(sightline.__file__).parent
    texts = [path.read_text(encoding="utf-8") for path in house.rglob("*.py") if path.name != "registry.py"]
    texts.append((house / "metrics" / "registry.py").read_text(encoding="utf-8"))
    groups = {group for text in texts for group in re.findall(r'group="sightline\.([a-z]+)"', text)}
    assert registries.keys() == groups - {"registries"}
    assert not [registry for registry in registries.values() if registry["error"]]
    assert "gradcam" in registries["methods"]["members"]
    assert "gated" in registries["architectures"]["members"]


def test_doctor_names_what_is_declared_and_not_installed_and_what_does_not_load(monkeypatch):
    broken = EntryPoint("broken", "sightline.no_such_file", "sightline.methods")
    monkeypatch.setattr(installed, "declared", lambda: (EntryPoint("new", "sightline.new", "sightline.methods"),))
    monkeypatch.setattr(installed, "entries", lambda: [broken])
    first, second = json.loads(run("doctor", "--json").stdout)["entry_points"]
    assert first["name"] == "broken"
    assert first["state"] == "does not load: No module named 'sightline.no_such_file'"
    assert (second["name"], second["state"], second["do"]) == ("new", "not installed", "pip install -e .")
    assert "0 of 2 load" in run("doctor").stdout


@pytest.mark.parametrize("group", ["world", "train"])
def test_groups_of_other_rooms_are_there(group):
    assert run(group, "--help").exit_code == 0
