"""The benchmark scripts run, and put their tables between their markers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(SCRIPTS))
import _measure  # noqa: E402


@pytest.mark.parametrize(
    "script",
    [
        "flow_cost.py",
        "gates_cost.py",
        "maps_cost.py",
        "maps_memory.py",
        "metrics_cost.py",
        "naflow_cost.py",
        "start_up.py",
    ],
)
def test_script_runs_on_the_toy(script, tmp_path):
    command = [sys.executable, str(SCRIPTS / script), "--toy", "--json", str(tmp_path / "found.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "sightline 0." in done.stdout
    assert json.loads((tmp_path / "found.json").read_text())["about"]


@pytest.mark.parametrize("study", ["mosaics", "faithful", "shuffled", "causal", "damping"])
def test_a_study_of_truth_runs_on_the_toy_and_goes_on_where_it_stopped(study, tmp_path):
    command = [sys.executable, str(SCRIPTS / "flow_truth.py"), study, "--toy", "--work", str(tmp_path / "work")]
    tables = []
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
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
