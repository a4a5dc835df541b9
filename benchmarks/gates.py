"""Does a gate help? Train every cell of the study (resumable), then print the tables of `docs/gates.md`.

    python benchmarks/gates.py train --work gates.work
    python benchmarks/gates.py tables --work gates.work --write

`train` explores the supernets first, because the arms ean-* take the schemes that were found there. A cell that is
there is not trained again; several processes may share one folder (`--part 0/2`, `--part 1/2`).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from _gates_cells import STUDIES, SUPERNETS, TOY, Size, cells, explore, table_of, train
from _gates_tables import TABLES, markdown


def main() -> None:
    """Train, or print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", default="train", choices=("train", "tables"))
    parser.add_argument("--study", action="append", choices=STUDIES, help="which studies; all by default")
    parser.add_argument("--work", type=Path, default=Path("gates.work"), help="folder of scenes, tables and cells")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--part", default="0/1", help="which share of the cells this process trains")
    parser.add_argument("--json", type=Path, help="a file for the tables")
    parser.add_argument("--write", action="store_true", help="put the tables between their marks in docs/gates.md")
    parser.add_argument("--toy", action="store_true", help="a few cells of seconds, in a folder that is thrown away")
    asked = parser.parse_args()
    if asked.toy:
        _toy(asked.json)
    elif asked.what == "train":
        at, of = (int(v) for v in asked.part.split("/"))
        for study in asked.study or STUDIES:
            _train(study, asked.seeds, asked.work, at, of, Size())
    else:
        _print(asked.seeds, asked.work, asked.json, write=asked.write)


def _train(study: str, seeds: int, work: Path, at: int, of: int, size: Size, most: int | None = None) -> None:
    if study == "search":
        for gate in SUPERNETS[at::of]:
            begun = time.process_time()
            if table_of(work, gate) is None:
                explore(gate, work, size)
                print(f"supernet with {gate}: {time.process_time() - begun:.0f} s of CPU", flush=True)
        _wait(work, of)
        return
    for cell in cells(study, seeds, work)[at::of][:most]:
        if (work / "cells" / f"{cell.name}.json").exists():
            continue
        found = train(cell, work, size)
        print(f"{cell.name}: accuracy {found['accuracy']:.3f}, {found['seconds']:.0f} s of CPU", flush=True)


def _wait(work: Path, of: int) -> None:
    """All processes train the arms ean-* with the same schemes, so they wait for all supernets."""
    while of > 1 and any(table_of(work, gate) is None for gate in SUPERNETS):
        time.sleep(5)


def _print(seeds: int, work: Path, file: Path | None, *, write: bool) -> dict:
    tables = {name: make(seeds, work) for name, make in TABLES.items()}
    for name, rows in tables.items():
        print(f"\n{name}\n\n{markdown(rows)}")
    if file:
        file.write_text(json.dumps(tables, indent=1), encoding="utf-8")
    if write:
        _write(tables)
    return tables


def _write(tables: dict) -> None:
    """Between `<!-- gates NAME -->` and `<!-- end -->`."""
    page = Path(__file__).resolve().parents[1] / "docs" / "gates.md"
    words = page.read_text(encoding="utf-8")
    for name, rows in tables.items():
        mark = f"<!-- gates {name} -->"
        if mark in words and rows:
            before, _, rest = words.partition(mark)
            words = f"{before}{mark}\n\n{markdown(rows)}\n\n<!-- end -->{rest.partition('<!-- end -->')[2]}"
    page.write_text(words, encoding="utf-8")


def _toy(file: Path | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for study, most in (("search", None), ("gain", 14), ("ablations", 3), ("retrained", None)):
            _train(study, 1, Path(folder), 0, 1, TOY, most)
        _print(1, Path(folder), file, write=False)


if __name__ == "__main__":
    main()
