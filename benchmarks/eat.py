"""The claims of EAT put to the test: train every cell (resumable), then print the tables of `docs/eat.md`.

    python benchmarks/eat.py train --study controls --work eat.work
    python benchmarks/eat.py tables --work eat.work --write

A cell that is there is not trained again; several processes may share one folder (`--part 0/2`, `--part 1/2`).
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from _eat_cells import STUDIES, _pack, cells, train
from _eat_tables import (
    Study,
    as_json,
    bottlenecks,
    controls,
    faithfulness,
    frame,
    grounding,
    guided,
    markdown,
    photos,
    text,
)


def main() -> None:
    """Train, or print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", default="train", choices=("train", "tables"))
    parser.add_argument("--study", action="append", choices=STUDIES, help="which studies; all by default")
    parser.add_argument("--work", type=Path, default=Path("eat.work"), help="folder of scenes and networks")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--part", default="0/1", help="which share of the cells this process trains")
    parser.add_argument("--json", type=Path, help="a file for the tables")
    parser.add_argument("--write", action="store_true", help="put the tables between their marks in docs/eat.md")
    parser.add_argument("--toy", action="store_true", help="a few cells of seconds, in a folder that is thrown away")
    asked = parser.parse_args()
    if asked.toy:
        _toy()
        return
    if asked.what == "train":
        at, of = (int(v) for v in asked.part.split("/"))
        for study in asked.study or STUDIES:
            _train(cells(study, asked.seeds)[at::of], asked.work)
        return
    tables = _tables(asked.seeds, asked.work)
    if asked.json:
        asked.json.write_text(as_json(tables), encoding="utf-8")
    if asked.write:
        _write(tables)


def _tables(seeds: int, work: Path, tests: int = 600, toy: bool = False) -> dict:
    """Print every table for which there are cells."""
    pack = _pack() if _pack().is_dir() else None
    named = STUDIES if pack else ("controls", "guided")
    have = {name: Study(name, seeds, work, pack, tests, toy) for name in named}
    aviary = {name: have[name] for name in ("controls", "guided")}
    tables = {
        "controls": controls(have["controls"]),
        "guided": guided(have["guided"]),
        "bottlenecks": bottlenecks(have["guided"]),
        "grounding": grounding(aviary, work, tests),
        "text": text(aviary, work, tests),
        "faithfulness": faithfulness(have["guided"]),
    }
    if pack:
        tables |= {"frame": frame(have["frame"]), "photos": photos(have["photos"])}
    for name, rows in tables.items():
        print(f"\n{name}\n\n{markdown(rows)}")
    return tables


def _write(tables: dict) -> None:
    """Between `<!-- eat NAME -->` and `<!-- end -->`."""
    page = Path(__file__).resolve().parents[1] / "docs" / "eat.md"
    words = page.read_text(encoding="utf-8")
    for name, rows in tables.items():
        mark = f"<!-- eat {name} -->"
        if mark in words and rows:
            before, _, rest = words.partition(mark)
            words = f"{before}{mark}\n\n{markdown(rows)}\n\n<!-- end -->{rest.partition('<!-- end -->')[2]}"
    page.write_text(words, encoding="utf-8")


def _train(todo: list, work: Path) -> None:
    pack = _pack() if _pack().is_dir() else None
    for cell in todo:
        if (work / "nets" / f"{cell.name}.safetensors").exists() or (cell.world == "cub" and pack is None):
            continue
        begun = time.process_time()
        train(cell, work, pack)
        print(f"{cell.name}: {time.process_time() - begun:.0f} s of CPU", flush=True)


def _toy() -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        for study in ("controls", "guided"):
            _train(cells(study, 1, toy=True), Path(folder))
        _tables(1, Path(folder), tests=12, toy=True)


if __name__ == "__main__":
    main()
