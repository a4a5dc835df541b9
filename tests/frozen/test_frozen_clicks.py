"""Networks of clicks that commit 3b9bf8d trained give the probabilities and parts that they gave then."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sightline.tasks.clicks.explain.run import explain_row
from sightline.tasks.clicks.predict.predictions import write_predictions

FILES = Path(__file__).parent / "files" / "clicks"


def read(name: str, folder: Path) -> dict[str, Any]:
    """What a weights file says of its log: figures of all rows, and the parts of one."""
    weights, log = FILES / f"{name}.safetensors", FILES / "log.csv"
    figures = write_predictions(log, weights, folder / "rows.csv", lambda rows: None)
    _, record = explain_row(log, weights, 7, folder / "row")
    lines = (folder / "rows.csv").read_text().splitlines()[1:]
    probabilities = [float(line.split(",")[1]) for line in lines[::20]]
    parts = {name: record[name] for name in ("logit", "base", "main", "exact", "cells")}
    pairs = {" x ".join(pair["fields"]): pair["value"] for pair in record["pairs"]}
    return {**figures, "probabilities": probabilities, **parts, "pairs": pairs}


@pytest.mark.parametrize("name", ["fwfm", "sam3a"])
def test_a_network_of_clicks_of_former_days_says_what_it_said(name: str, tmp_path: Path) -> None:
    expected, now = json.loads((FILES / "expected.json").read_text())[name], read(name, tmp_path)
    assert now.keys() == expected.keys()
    for key, value in expected.items():
        assert now[key] == (value if key == "cells" else pytest.approx(value, rel=1e-3, abs=1e-5)), key
