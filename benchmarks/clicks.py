"""Whether click models find what is planted, which class wins, and what they cost: `docs/studies/clicks.md`.

    python benchmarks/clicks.py --work clicks.work --study planted --study classes --study wide --study speed
    python benchmarks/clicks.py tables --work clicks.work --write

Every cell (a model on a world or log, with a seed) is kept as JSON in the work folder; a run goes on with the rest,
and `--jobs 8` trains eight cells side by side. `frappe` and `bandit` need the test pack (`SIGHTLINE_PACK`). `speed`
compares with DeepCTR-Torch where it is installed. Times are CPU seconds of the process on one thread; `device` times
steps on a GPU by the clock (`--device cuda`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

import _clicks_cells as cells
import _clicks_speed as costs
import _clicks_tables as tables
from _clicks_jobs import Cell, Job, cells_of, run_jobs
from _study import Rows, arguments, publish

JOBS: dict[str, Callable[[Path, range, bool], list[Job]]] = {
    "planted": cells.planted_jobs,
    "classes": cells.classes_jobs,
    "ways": cells.ways_jobs,
    "wide": cells.wide_jobs,
    "frappe": cells.frappe_jobs,
    "movielens": cells.movielens_jobs,
    "bandit": cells.bandit_jobs,
    "speed": costs.speed_jobs,
    "encoding": costs.encoding_jobs,
    "memory": costs.memory_jobs,
}
TABLES: dict[str, Callable[[list[Cell]], Rows]] = {
    "planted": tables.table_planted,
    "classes": tables.table_classes,
    "ways": tables.table_ways,
    "wide": tables.table_wide,
    "frappe": tables.table_frappe,
    "movielens": tables.table_frappe,
    "bandit": tables.table_bandit,
    "speed": tables.table_speed,
    "device": tables.table_device,
    "encoding": tables.table_encoding,
    "memory": tables.table_memory,
}
ALONE = ("speed", "device", "encoding", "memory")
"""Studies of costs: one cell at a time, so that none disturbs another."""
TOY = ("planted", "classes", "ways", "wide", "speed", "device", "encoding")


def main() -> None:
    """Train the cells that are missing, then print the tables."""
    parser = arguments(__doc__, "clicks.work", "clicks.md", tuple(TABLES))
    parser.add_argument("--jobs", type=int, default=1, help="cells that are trained side by side, each in a process")
    parser.add_argument("--device", default="cuda", help="where the study `device` is run")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary) if asked.toy else asked.work
        studies = asked.study or (TOY if asked.toy else tuple(JOBS))
        device = "cpu" if asked.toy else asked.device
        jobs = {**JOBS, "device": partial(costs.device_jobs, device=device)}
        if asked.what == "train":
            for study in studies:
                own = jobs[study](work / study, range(1 if asked.toy else asked.seeds), asked.toy)
                run_jobs(work / study, own, 1 if study in ALONE else asked.jobs)
        rows = {study: TABLES[study](cells_of(work / study)) for study in studies}
        publish(rows, "clicks", json_to=asked.json, write=asked.write)


if __name__ == "__main__":
    main()
