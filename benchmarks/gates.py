"""Does a gate help? Train every cell of the study (resumable), then print the tables of `docs/studies/gates.md`.

    python benchmarks/gates.py train --work gates.work
    python benchmarks/gates.py tables --work gates.work --write

`train` explores the supernets first, because the arms ean-* take the schemes that were found there. A cell that is
there is not trained again; several processes may share one folder (`--part 0/2`, `--part 1/2`).
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from _gates_cells import STUDIES, SUPERNETS, TOY, Size, cells, explore, table_of, train
from _gates_tables import TABLES
from _study import Rows, arguments, part_of, publish


def main() -> None:
    """Train, or print."""
    asked = arguments(__doc__, "gates.work", "gates.md", STUDIES).parse_args()
    if asked.toy:
        _toy(asked.json)
    elif asked.what == "train":
        at, of = part_of(asked)
        for study in asked.study or STUDIES:
            _train(study, asked.seeds, asked.work, at, of, Size())
    else:
        publish(_tables(asked.seeds, asked.work), "gates", json_to=asked.json, write=asked.write)


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


def _tables(seeds: int, work: Path) -> dict[str, Rows]:
    return {name: make(seeds, work) for name, make in TABLES.items()}


def _toy(file: Path | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for study, most in (("search", None), ("gain", 14), ("ablations", 3), ("retrained", None)):
            _train(study, 1, Path(folder), 0, 1, TOY, most)
        publish(_tables(1, Path(folder)), "gates", json_to=file)


if __name__ == "__main__":
    main()
