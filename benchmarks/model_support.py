"""Which networks Sightline can look into: layers, their layouts, the LRP flow, and what is refused.

    python benchmarks/model_support.py --resume rows.jsonl    # all; goes on where it stopped
    python benchmarks/model_support.py --toy                  # three small ones, into a temporary file

Weights are random, so this says whether layers are found, laid out rightly and reached, not whether the maps are
good. The Hugging Face classes need `transformers`; `--seconds` ends the run before that time, to go on later.
"""

from __future__ import annotations

import argparse
import json
import logging
import platform
import tempfile
import time
import warnings
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

import sightline
from _measure import refuse
from _support_checks import enliven, flow_row, layout_row, silenced
from _support_zoo import BY_HAND, NAMES, TOY, subject_of
from sightline.common.files import write_text
from sightline.errors import SightlineError

METHOD = "lrp"
"""Named here and on the page: the library's default may change, the table's method may not."""
TABLE = Path(__file__).resolve().parents[1] / "docs" / "data" / "model_support.json"
LEAST = 0.6
"""Correlation of places with places below which a layout counts as wrong, where no closed form says it is right."""


def main() -> None:
    """Ask every network, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--toy", action="store_true", help="three small models, into a temporary file")
    parser.add_argument("--models", nargs="*", help="these instead of the curated ones, into a temporary file")
    parser.add_argument("--resume", type=Path, help="file of rows; those in it are not made again")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no row after so many seconds")
    given = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    names = given.models or (TOY if given.toy else NAMES)
    rows = _rows(names, given.resume, given.seconds)
    if len(rows) < len(names):
        print(f"{len(rows)} of {len(names)} rows; run it again to go on")
        return
    refuse([f"{row['model']}: {problem}" for row in rows for problem in problems(row)])
    path = Path(tempfile.mkdtemp()) / TABLE.name if given.toy or given.models else TABLE
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps({**_about(), "rows": rows}, indent=1) + "\n")
    follows = sum(row.get("flow") == "follows" for row in rows)
    print(f"{len(rows)} models, {follows} explained by {METHOD}; written to {path}")


def _rows(names: list[str], resume: Path | None, seconds: float) -> list[dict[str, Any]]:
    kept = resume.read_text(encoding="utf-8").splitlines() if resume and resume.exists() else []
    rows = {row["model"]: row for row in map(json.loads, kept)}
    start = time.perf_counter()
    for name in names:
        if name in rows or time.perf_counter() - start > seconds:
            continue
        rows[name] = row_of(name)
        print(_line(rows[name]), flush=True)
        if resume:
            with resume.open("a", encoding="utf-8") as file:
                file.write(json.dumps(rows[name]) + "\n")
    return [rows[name] for name in names if name in rows]


def row_of(name: str) -> dict[str, Any]:
    """What came of one network."""
    row: dict[str, Any] = {"model": name, "error": None, "refused": None}
    start = time.perf_counter()
    try:
        subject = subject_of(name)
        enliven(subject)
        row["parameters"] = sum(p.numel() for p in subject.model.parameters())
        row["input"] = list(subject.inputs.shape[1:])
        row |= layout_row(subject)
    except Exception as problem:  # noqa: BLE001 - what cannot be read is a row of the table
        row["error"] = _sentence(problem)
        return row
    if subject.target is None:
        silenced(subject.model)
    try:
        row |= flow_row(subject)
    except SightlineError as problem:
        row["refused"] = _sentence(problem)
    except Exception as problem:  # noqa: BLE001 - no sentence of ours: a fault
        row["error"] = f"{type(problem).__name__}: {_sentence(problem)}"
    return row | {"by_hand": BY_HAND.get(name), "seconds": round(time.perf_counter() - start, 1)}


def problems(row: dict[str, Any]) -> list[str]:
    """What is wrong with a row; a refusal in a sentence is not."""
    wrong = [row["error"]] if row["error"] else []
    if row.get("misfits"):
        wrong.append(f"{row['misfits']} layouts are not those of the closed form")
    if not (row.get("closed_form") or row.get("by_hand")) and row.get("moves") is not None and row["moves"] < LEAST:
        wrong.append(f"places of {row['worst']} do not move with the input ({row['moves']})")
    return wrong


def _sentence(problem: Exception) -> str:
    return next(iter(str(problem).splitlines()), "") or type(problem).__name__


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _about() -> dict[str, Any]:
    names = ("torch", "torchvision", "timm", "transformers")
    return {
        "command": "python benchmarks/model_support.py --resume rows.jsonl",
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {torch.get_num_threads()} thread, CPU",
        "sightline": sightline.__version__,
        "versions": {name: _version(name) for name in names},
    }


def _line(row: dict[str, Any]) -> str:
    if row["error"]:
        return f"{row['model']:55} {row['error']}"
    grids = " -> ".join("x".join(map(str, row[end]["grid"])) for end in ("first", "last"))
    flow = row["refused"] or f"conserved {row['conserved']} at {row['leak']}, not ok {row['not_ok']}"
    own = f"{row['layers']:3} {row['places']:5} {grids:20} moves {row['moves']} at {row['worst']}"
    return f"{row['model']:50} {own} {flow} {row['seconds']} s"


if __name__ == "__main__":
    main()
