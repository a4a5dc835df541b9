"""`sightline gates search` on a folder of photos: it trains, searches, tells, and goes on from its log."""

import json

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from sightline.cli.app import app
from sightline.models.load import LoadedModel
from sightline.models.preprocess import Preprocess
from tests.gates.nets import build


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root, generator = tmp_path_factory.mktemp("photos"), torch.Generator().manual_seed(0)
    for part, count in (("train", 4), ("val", 2)):
        for shade, name in enumerate("abcde"):
            (root / part / name).mkdir(parents=True)
            for k in range(count):
                pixels = torch.rand(16, 16, 3, generator=generator) * 90 + 33 * shade
                Image.fromarray(pixels.byte().numpy()).save(root / part / name / f"{k}.png")
    return root


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    def load(name, **wishes):
        model = build("cifar resnet")
        model.linear = torch.nn.Linear(model.linear.in_features, 5)
        return LoadedModel(model, "tiny", None, Preprocess(size=(16, 16), resize=None))

    monkeypatch.setattr("sightline.tasks.gate_search.job.load_model", load)


def run(folder, log, *words):
    fixed = ["--data", str(folder), "--log", str(log), "--gate", "se", "--epochs", "1", "--recalibrate", "8"]
    return CliRunner().invoke(app, ["gates", "search", *fixed, *words])


def test_a_search_trains_searches_and_goes_on_from_its_log(folder, tmp_path):
    log = tmp_path / "log.jsonl"
    done = run(folder, log, "--budget", "6", "--json")
    assert done.exit_code == 0, done.output
    first = json.loads(done.stdout)
    assert first["evaluations"] == len(first["trials"]) == 6
    assert first["lengths"] == [2, 2, 2]
    assert all(round(trial["score"] * 10, 9).is_integer() for trial in first["trials"])
    assert "The best scheme" in (tmp_path / "log.html").read_text(encoding="utf-8")
    assert first["page"] == str(tmp_path / "log.html")
    weights = (tmp_path / "log.supernet.safetensors").read_bytes()
    again = json.loads(run(folder, log, "--budget", "8", "--json").stdout)
    assert again["replayed"] == 6
    assert again["trials"][:6] == first["trials"]
    assert (tmp_path / "log.supernet.safetensors").read_bytes() == weights
    other = run(folder, log, "--budget", "8", "--seed", "1")
    assert other.exit_code == 1
    assert "seed was 0, is now 1" in other.stderr


def test_the_tables_name_the_best_scheme(folder, tmp_path, monkeypatch):
    wanted = "10|01|11"

    def planted(score):
        """Instead of the accuracy: the share of places where a scheme is as wanted, so that only one has all."""
        return lambda schemes: (
            sum(a == b for a, b in zip(str(scheme), wanted, strict=True)) / len(wanted) for scheme in schemes
        )

    monkeypatch.setattr("sightline.tasks.gate_search.executors.in_process", planted)
    done = run(folder, tmp_path / "log", "--budget", "40", "--searcher", "greedy")
    assert done.exit_code == 0, done.output
    front, effects = done.stdout.split("what each block's gate adds")
    assert front.count(wanted) == 1
    assert [line.split()[0] for line in front.splitlines() if "|" in line][-1] == wanted
    assert f"best: {wanted} (1.0000 at density 0.67)" in done.stderr
    rows = [line.split()[:3] for line in effects.splitlines() if line.split()[:1] in (["1"], ["2"], ["3"])]
    assert [float(added) > 0 for _, _, added in rows] == [bit == "1" for bit in wanted.replace("|", "")]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--searcher", "reinforc"), "reinforce"),
        (("--executor", "rai"), "ray"),
        (("--gate", "sx"), "there is no gate"),
    ],
)
def test_what_cannot_be_is_one_sentence(folder, tmp_path, words, said):
    done = run(folder, tmp_path / "log", *words)
    assert done.exit_code == 1
    assert said in done.stderr
    assert not (tmp_path / "log").exists()


def test_a_folder_of_another_shape_is_one_sentence(tmp_path):
    done = run(tmp_path, tmp_path / "log")
    assert done.exit_code == 1
    assert "train/ and val/" in done.stderr


def test_another_number_of_classes_is_one_sentence(folder, tmp_path):
    import shutil

    shutil.copytree(folder, tmp_path / "photos")
    for part in ("train", "val"):
        shutil.rmtree(tmp_path / "photos" / part / "a")
    done = run(tmp_path / "photos", tmp_path / "log")
    assert done.exit_code == 1
    assert "num_classes=4" in done.stderr
