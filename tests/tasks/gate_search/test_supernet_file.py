"""A supernet's file says which network, gates and classes it is of, so that it is opened by itself."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from sightline.cli.app import app
from sightline.models.load import load_model

NAMED = ("--model", "timm:test_resnet", "--model-arg", "num_classes=3", "--weights", "random", "--gate", "se")
SEARCH = ("--budget", "2", "--epochs", "1", "--count", "3", "--recalibrate", "0", "--batch-size", "3")


def run(*words):
    return CliRunner().invoke(app, [*map(str, words)])


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> Path:
    """A folder with photos and a search of them."""
    root, generator = tmp_path_factory.mktemp("search"), torch.Generator().manual_seed(0)
    for part in ("train", "val"):
        for name in ("ant", "bee", "cow"):
            (root / "set" / part / name).mkdir(parents=True)
            pixels = torch.randint(256, (48, 48, 3), generator=generator, dtype=torch.uint8)
            Image.fromarray(pixels.numpy()).save(root / "set" / part / name / "0.png")
    done = run("gates", "search", "--data", root / "set", "--log", root / "log", *NAMED, *SEARCH)
    assert done.exit_code == 0, done.output
    return root


def show(found, out, *words):
    photo = found / "set" / "val" / "bee" / "0.png"
    return run("gates", "show", photo, "--out", out, "--no-forest", "--json", *words)


def test_the_file_alone_opens_the_network_with_its_gates_and_classes(found, tmp_path):
    file = found / "log.supernet.safetensors"
    loaded = load_model(weights=file)
    assert loaded.labels == ("ant", "bee", "cow")
    state = loaded.model.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in load_file(file).items())
    done = show(found, tmp_path / "out", "--gated-weights", file)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["trained"]
    assert json.loads(done.stdout)["gate"] == "se"


def test_a_named_network_takes_the_class_names_of_the_file(found, tmp_path):
    words = ("--gated-weights", found / "log.supernet.safetensors", "--target", "bee")
    assert show(found, tmp_path / "named", *NAMED, *words).exit_code == 0
    assert show(found, tmp_path / "alone", *words).exit_code == 0


def test_a_network_without_class_names_is_shown_as_well(found, tmp_path):
    done = show(found, tmp_path / "out", *NAMED)
    assert done.exit_code == 0, done.output


def test_an_older_file_needs_the_name_of_its_network(found, tmp_path):
    old = tmp_path / "old.safetensors"
    save_file(load_file(found / "log.supernet.safetensors"), old)
    done = show(found, tmp_path / "out", "--gated-weights", old)
    assert done.exit_code == 1
    assert "add --model NAME" in " ".join(done.stderr.split())
    assert show(found, tmp_path / "out", *NAMED, "--gated-weights", old).exit_code == 0


def test_a_search_goes_on_with_the_supernet_that_is_there(found):
    done = run("gates", "search", "--data", found / "set", "--log", found / "log", *NAMED, *SEARCH, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["replayed"] == 2


def test_a_cifar_network_is_searched_with_the_classes_of_the_folder(found, tmp_path):
    words = ("gates", "search", "--data", found / "set", "--log", tmp_path / "log", "--model", "cifar-resnet8")
    words = (*words, *SEARCH)
    done = run(*words, "--weights", "random", "--gate", "se")
    assert done.exit_code == 0, done.output
    assert load_model(weights=tmp_path / "log.supernet.safetensors").labels == ("ant", "bee", "cow")
    refused = run(*words[:5], tmp_path / "other", *words[6:])
    assert refused.exit_code == 1
    assert "no published weights of cifar-resnet8 are known here; give a file, or random" in refused.output
