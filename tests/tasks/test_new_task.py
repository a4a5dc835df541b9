"""A task of another package brings its verb, network, inputs, decisions and panel, and nothing in `src` is edited."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sightline.data.openers import find_inputs, open_input
from sightline.errors import InputError

PACKAGE = Path(__file__).parent / "new_task"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(PACKAGE), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "sightline", *arguments]
    if arguments[0] == "-c":
        command = [sys.executable, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, env={**os.environ, "PYTHONPATH": path}
    )


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("colours") / "colours.safetensors"
    done = run("train", "colours", "--out", str(file), "--steps", "50")
    assert done.returncode == 0, done.stderr
    assert "after 50 steps" in done.stdout
    return file


def test_its_verb_stands_beside_those_of_the_house() -> None:
    shown = run("train", "--help").stdout
    assert "colours" in shown
    assert "eat" in shown


def test_its_file_is_opened_by_its_network_and_asked_for_its_decision(weights: Path, tmp_path: Path) -> None:
    (tmp_path / "sky.rgb").write_text("20 40 250\n")
    words = [str(tmp_path), "--weights", str(weights), "--target", "colour:blue", "--layers", "0"]
    done = run("explain", *words, "--method", "gradcam", "--format", "html", "--out", str(tmp_path / "out"), "--json")
    assert done.returncode == 0, done.stderr
    (photo,) = json.loads(done.stdout)["photos"]
    assert Path(photo["source"]).name == "sky.rgb"
    (explanation,) = photo["explanations"]
    assert explanation["decision"] == "blue"
    assert (Path(photo["folder"]) / "page.html").is_file()


def test_a_file_of_its_kind_means_nothing_without_it(tmp_path: Path) -> None:
    (tmp_path / "sky.rgb").write_text("20 40 250\n")
    with pytest.raises(InputError, match="not an image file of a known format"):
        open_input(tmp_path / "sky.rgb")
    with pytest.raises(InputError, match="holds no picture"):
        find_inputs([tmp_path])


CODE = """
import sys
from importlib.metadata import entry_points
from pathlib import Path
import torch
from sightline.reports import save_montage, save_page
from sightline.results import AttentionMap, Decision, Domain, Explanation, Flow
words = Domain("words", ("a", "blue", "sky"))
item = Explanation(Flow((AttentionMap(torch.tensor([0.0, 2.0, 1.0]), "last", words),), "any"), Decision("blue", 1.0))
save_page([item], Path(sys.argv[1]) / "page.html")
save_montage([item], Path(sys.argv[1]) / "montage.png")
for name in ("tasks", "architectures", "openers", "panels", "targets"):
    (point,) = entry_points(group="sightline.registries", name=name)
    print(name, *point.load())
"""


def test_its_panel_draws_what_no_picture_can_carry_and_the_registries_list_what_it_brings(tmp_path: Path) -> None:
    done = run("-c", CODE, str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert '"height":1,"width":3' in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert (tmp_path / "montage.png").is_file()
    members = {words[0]: words[1:] for words in map(str.split, done.stdout.splitlines())}
    assert "colours" in members["tasks"]
    assert "colours" in members["architectures"]
    assert {"photo", "colours"} <= set(members["openers"])
    assert {"spectrogram", "image", "words"} <= set(members["panels"])
    assert "colour:NAME" in members["targets"]
