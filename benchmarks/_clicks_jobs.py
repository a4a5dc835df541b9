"""How cells of the study of clicks are made: those that are missing, one by one or side by side in processes."""

from __future__ import annotations

import json
import multiprocessing
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sightline.common.files import write_text

Cell = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """A cell: its name, and what makes it."""

    name: str
    make: Callable[..., Cell]
    words: tuple[Any, ...]


def run_jobs(folder: Path, jobs: list[Job], processes: int) -> None:
    """Make what is missing; every cell is written when it is finished."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [job for job in jobs if not (folder / f"{job.name}.json").is_file()]
    if processes < 2:
        for job in missing:
            run_job(folder, job)
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, spawn, torch.set_num_threads, (1,)) as pool:
        waits = [pool.submit(run_job, folder, job) for job in missing]
        for one in waits:
            one.result()


def run_job(folder: Path, job: Job) -> None:
    """Make a cell and keep it."""
    content = job.make(*job.words)
    write_text(folder / f"{job.name}.json", json.dumps(content))
    print(f"{folder.name} {job.name}: {content}", file=sys.stderr)


def cells_of(folder: Path) -> list[Cell]:
    """All finished cells."""
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
