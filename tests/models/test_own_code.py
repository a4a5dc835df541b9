"""Networks of the user's own code are built by name, filled from any checkpoint, or refused in one sentence."""

from __future__ import annotations

import argparse
import functools
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.optim.swa_utils import AveragedModel
from typer.testing import CliRunner

from sightline.cli.app import app
from sightline.errors import ModelError, SightlineError
from sightline.models.load import load_model
from sightline.models.own_code import is_own_code
from sightline.models.preprocess import Preprocess

CODE = """
import torch
from torch import nn
import sightline_test_helper

class Net(nn.Module):
    def __init__(self, classes=3, channels=3):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(channels, 4, 3, padding=1), nn.ReLU())
        self.head = nn.Linear(4, classes)
    def forward(self, x):
        return self.head(self.body(x).mean((2, 3)))

class Nested:
    Inner = Net

class Wrapped(nn.Module):
    def __init__(self):
        super().__init__()
        self.model = Net()
    def forward(self, x):
        return self.model(x)

def build(**arguments):
    return Net(**arguments)

net = Net()
three = 3

def broken():
    raise ValueError("no data")

def nothing():
    return 3
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch):
    """A folder with the code of a network and what it imports, and a photo."""
    (tmp_path / "sightline_test_nets.py").write_text(CODE)
    (tmp_path / "sightline_test_helper.py").write_text("")
    (tmp_path / "sightline_test_bad.py").write_text("1 / 0")
    (tmp_path / "sightline_test_needs.py").write_text("import surely_not_installed")
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8)).save(tmp_path / "photo.png")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("sightline_test_")]:
        del sys.modules[name]


def net(name: str = "Net", **arguments):
    return load_model(f"sightline_test_nets:{name}", model_args=arguments)


@pytest.mark.parametrize("name", ["Net", "build", "net", "Nested.Inner"])
def test_a_class_a_function_and_a_network_are_taken(home, name):
    loaded = net(name)
    assert type(loaded.model).__name__ == "Net"
    assert not loaded.model.training
    assert loaded.provenance["model"] == f"sightline_test_nets:{name}"


@pytest.mark.parametrize("place", ["sightline_test_nets.py", "{home}/sightline_test_nets.py"])
def test_a_file_is_taken_wherever_one_is(home, place, monkeypatch, tmp_path_factory):
    if place.startswith("{"):
        monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert type(load_model(place.format(home=home) + ":build").model).__name__ == "Net"


def test_arguments_reach_the_builder(home):
    assert net("build", classes=7).model.head.out_features == 7


def test_the_seed_makes_the_weights_and_the_random_state_stays(home):
    state = torch.get_rng_state()
    one, other = (load_model("sightline_test_nets:Net", seed=seed).model.head.weight for seed in (1, 1))
    assert torch.equal(one, other)
    assert torch.equal(state, torch.get_rng_state())


def test_where_modules_are_sought_stays_as_it_was(home):
    before = list(sys.path)
    net()
    assert sys.path == before


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("sightline_test_nts:Net", "no module 'sightline_test_nts' .*searched were the current folder"),
        ("sightline_test_nets:Nett", "no 'Nett' in 'sightline_test_nets'; near names: '[Nn]et'"),
        ("sightline_test_nets:three", "is a int, not a class, a function or a network"),
        ("sightline_test_nets:broken", "cannot be built with no arguments: no data"),
        ("sightline_test_nets:nothing", "gave a int, not a torch.nn.Module"),
        ("sightline_test_bad:Net", "cannot be imported: ZeroDivisionError"),
        ("sightline_test_needs:Net", "needs 'surely_not_installed', which is not installed"),
        ("nowhere.py:Net", "there is no file 'nowhere.py'"),
        ("some/hub-name", "own code is named package.module:build"),
    ],
)
def test_what_cannot_be_built_is_refused_in_a_sentence(home, name, says):
    with pytest.raises(ModelError, match=says) as caught:
        load_model(name)
    assert "\n" not in str(caught.value)


def test_arguments_that_do_not_fit_are_named(home):
    with pytest.raises(ModelError, match=r"built with classses=3: .*unexpected keyword"):
        net("build", classses=3)
    with pytest.raises(ModelError, match="network already and takes no --model-arg 'classes'"):
        net("net", classes=3)


def test_names_of_the_catalogue_are_no_code():
    assert not any(map(is_own_code, ("timm:resnet18", "torchvision:resnet18", "resnet18", "a:", ":b")))
    assert all(map(is_own_code, ("a:b", "a.b:C.d", "a/b.py:C.d")))


def test_preprocessing_is_the_networks_own_or_assumed_and_said(home):
    loaded = net()
    assert "is not known" in loaded.notes[0]
    assert loaded.provenance["assumed"] == loaded.notes[0]
    assert net("build", channels=1).preprocess.channels == 1
    module = sys.modules["sightline_test_nets"]
    module.Net.preprocess = Preprocess((20, 20), mean=(0.1,) * 3)
    assert (net().preprocess, net().notes) == (module.Net.preprocess, ())


class Run(dict):
    """What a training program keeps."""


def checkpoints(net):
    state = net.state_dict()
    inside = {f"model.{name}": value for name, value in state.items()}
    return {
        "state_dict": state,
        "lightning": {"state_dict": inside, "epoch": 3, "hyper_parameters": {"lr": 0.1}, "optimizer_states": [{}]},
        "lightning, net.": {"state_dict": {f"net.{name}": value for name, value in state.items()}},
        "lightning with a loss": {"state_dict": {**inside, "loss.weight": torch.ones(3)}},
        "lightning with a namespace": {"state_dict": inside, "hyper_parameters": argparse.Namespace(lr=0.1)},
        "with a path": {"state_dict": state, "hyper_parameters": {"data": Path("x")}},
        "with numpy's numbers": {"model": state, "best": np.float64(0.5), "curve": np.arange(3)},
        "with a partial": {"model": state, "optimiser": functools.partial(torch.optim.AdamW, lr=0.1)},
        "DataParallel": {f"module.{name}": value for name, value in state.items()},
        "DataParallel in Lightning": {"state_dict": {f"model.module.{name}": value for name, value in state.items()}},
        "EMA": AveragedModel(net).state_dict(),
        "timm": {"state_dict_ema": state, "arch": "mine", "epoch": 1},
        "plain": {"model_state_dict": state, "optimizer_state_dict": {"state": {}}},
    }  # fmt: skip


@pytest.mark.parametrize("kind", checkpoints(torch.nn.Linear(1, 1)))
def test_a_checkpoint_fills_the_network_whatever_wraps_it(home, kind):
    trained = load_model("sightline_test_nets:Net", seed=5).model
    torch.save(checkpoints(trained)[kind], "run.ckpt")
    loaded = load_model("sightline_test_nets:Net", weights="run.ckpt", seed=1)
    assert all(torch.equal(a, b) for a, b in zip(loaded.model.parameters(), trained.parameters(), strict=True))
    assert len(loaded.provenance["sha256"]) == 64


def test_a_wrapped_network_takes_its_own_checkpoint(home):
    trained = load_model("sightline_test_nets:Wrapped", seed=5).model
    torch.save({"state_dict": trained.state_dict()}, "run.ckpt")
    loaded = load_model("sightline_test_nets:Wrapped", weights="run.ckpt", seed=1).model
    assert torch.equal(loaded.model.head.weight, trained.model.head.weight)


class Evil:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("call", [(os.system, "touch ran"), (eval, "open('ran', 'w')"), (exec, "open('ran', 'w')")])
def test_a_checkpoint_that_would_run_code_is_refused_and_runs_none(home, call):
    torch.save({"state_dict": load_model("sightline_test_nets:Net").model.state_dict(), "x": Evil(*call)}, "run.ckpt")
    with pytest.raises(ModelError, match="would run code"):
        load_model("sightline_test_nets:Net", weights="run.ckpt")
    assert not Path("ran").exists()


def test_an_object_of_any_other_kind_beside_the_tensors_is_refused(home):
    torch.save({"state_dict": load_model("sightline_test_nets:Net").model.state_dict(), "run": Run()}, "run.ckpt")
    with pytest.raises(ModelError, match=r"Python objects .*Run"):
        load_model("sightline_test_nets:Net", weights="run.ckpt")


def test_code_behind_a_harmless_name_is_not_run(home):
    evil = Evil(functools.partial, os.system, "touch ran")
    torch.save({"state_dict": load_model("sightline_test_nets:Net").model.state_dict(), "x": evil}, "run.ckpt")
    with pytest.raises(ModelError, match="would run code"):
        load_model("sightline_test_nets:Net", weights="run.ckpt")
    assert not Path("ran").exists()


def test_weights_of_other_sizes_are_counted_and_named(home):
    torch.save(net("build", classes=5).model.state_dict(), "five.pt")
    with pytest.raises(ModelError, match=r"2 keys of another shape .head\.weight: file 5x4, model 3x4"):
        load_model("sightline_test_nets:Net", weights="five.pt")


def test_labels_that_do_not_fit_are_refused(home):
    (home / "names.txt").write_text("ant\nbee\ncat\n")
    assert load_model("sightline_test_nets:Net", labels="names.txt").labels == ("ant", "bee", "cat")
    (home / "names.txt").write_text("ant\nbee\n")
    words = ["explain", "photo.png", "-m", "sightline_test_nets:Net", "--labels", "names.txt"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1
    assert "2" in result.stderr


def test_the_command_line_explains_it_and_says_what_it_assumed(home):
    words = [
        "explain",
        "photo.png",
        "-m",
        "sightline_test_nets.py:build",
        "--model-arg",
        "classes=4",
        "--format",
        "png",
    ]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert "is not known" in result.stderr
    result = CliRunner().invoke(app, [*words, "--size", "32", "--mean", "0.5", "--std", "0.5"])
    assert result.exit_code == 0, result.output
    assert "is not known" not in result.stderr


def test_opened_models_of_own_code_are_explained_in_python_too(home):
    import sightline

    opened = sightline.open_model("sightline_test_nets:Net")
    assert sightline.explain(opened, "photo.png", method="gradcam")[0].image is not None
    with pytest.raises(SightlineError, match="no 'Nope'"):
        sightline.open_model("sightline_test_nets:Nope")
