"""EAT on drawn scenes, small nets from random weights: the tables of `docs/studies/attributes.md`; resumable.

    python benchmarks/eat.py train --study controls --work eat.work
    python benchmarks/eat.py tables --work eat.work --write

On photos and with real weights: `eat_study.py`. A cell that is there is not trained again; several processes may
share one folder (`--part 0/2`, `--part 1/2`).
"""

from __future__ import annotations

import time
from pathlib import Path

from _eat_cells import STUDIES, cells, train
from _eat_tables import (
    Study,
    bottlenecks,
    controls,
    faithfulness,
    grounding,
    guided,
    text,
)
from _study import Rows, arguments, part_of, publish


def main() -> None:
    """Train, or print."""
    asked = arguments(__doc__, "eat.work", "attributes.md", STUDIES).parse_args()
    if asked.toy:
        _toy()
        return
    if asked.what == "train":
        at, of = part_of(asked)
        for study in asked.study or STUDIES:
            _train(cells(study, asked.seeds)[at::of], asked.work)
        return
    publish(_tables(asked.seeds, asked.work), "eat", json_to=asked.json, write=asked.write)


def _tables(seeds: int, work: Path, tests: int = 600, toy: bool = False) -> dict[str, Rows]:
    """Every table for which there are cells."""
    have = {name: Study(name, seeds, work, tests, toy) for name in STUDIES}
    return {
        "controls": controls(have["controls"]),
        "guided": guided(have["guided"]),
        "bottlenecks": bottlenecks(have["guided"]),
        "grounding": grounding(have, work, tests),
        "text": text(have, work, tests),
        "faithfulness": faithfulness(have["guided"]),
    }


def _train(todo: list, work: Path) -> None:
    for cell in todo:
        if (work / "nets" / f"{cell.name}.safetensors").exists():
            continue
        begun = time.process_time()
        train(cell, work)
        print(f"{cell.name}: {time.process_time() - begun:.0f} s of CPU", flush=True)


def _toy() -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        for study in STUDIES:
            _train(cells(study, 1, toy=True), Path(folder))
        publish(_tables(1, Path(folder), tests=12, toy=True), "eat")


if __name__ == "__main__":
    main()
