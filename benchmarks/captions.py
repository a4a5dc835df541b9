"""Which attention learns which relation, and do the regions of a word hold it: `docs/studies/captions.md`.

    python benchmarks/captions.py --work captions.work
    python benchmarks/captions.py tables --work captions.work --write

Every cell (an attention on a kind of relation, with a seed) is kept as JSON in the work folder; a run goes on with
the rest, one seed after the other, so that it can be stopped at any time. Times are CPU seconds on one thread.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from _captions_cells import (
    ARMS,
    NORMALISERS,
    Cell,
    critical_cell,
    normaliser_cell,
    pointing_cell,
    relation_cell,
)
from _study import Rows, arguments, interval, part_of, publish
from sightline.common.files import write_text
from sightline.tasks.captioning.explain.methods import CONTROLS, METHODS
from sightline.tasks.captioning.report import TITLES

STUDIES = ("relations", "transfer", "pointing", "normalisers", "critical")
KINDS = ("size", "distance", "side")
"""Kinds of relation; above and below are left and right on their side."""
MOVES = ("in range", "moved and 3 times as large", "moved and 0.3 times as large", "8 boxes")
POINTERS = ("GSA, query", "NSA + GSA, query (NG-SAN)", "NG-SAN + signs")
REACHED = 0.9
"""Share of right words from which a network counts as having learnt."""


def main() -> None:
    """Train the cells that are missing, then print the tables."""
    asked = arguments(__doc__, "captions.work", "captions.md", STUDIES).parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary) if asked.toy else asked.work
        studies = tuple(asked.study or STUDIES)
        if asked.what == "train":
            jobs = [
                job
                for seed in range(1 if asked.toy else asked.seeds)
                for job in cells(work, seed, studies, asked.toy)
            ]
            at, of = part_of(asked)
            for job in jobs[at::of]:
                for path, make in job:
                    keep(path, make)
        tables = {study: TABLES[study](cells_of(work, study)) for study in studies}
        publish(tables, "captions", json_to=asked.json, write=asked.write)


FOLDERS = {"transfer": "relations"}
"""Studies that are measured on another one's networks, in the same cells."""
START = "cross-entropy, greedy"
"""What gains in CIDEr-D are over, in the same network."""
Job = list[tuple[Path, Callable[[], Cell]]]
"""Cells that one process makes one behind the other; pointing needs the network of the cell before it."""


def cells(work: Path, seed: int, studies: Sequence[str], toy: bool) -> list[Job]:
    """Everything that one seed has to do, in the order in which it is worth knowing."""
    jobs: list[Job] = []
    core = (*POINTERS, "SA", "SA + absolute boxes")
    more = tuple(arm for arm in ARMS if arm not in core)
    pairs = [(kind, arm) for arms in (core, more) for kind in KINDS for arm in arms]
    for kind, arm in pairs[:2] if toy else pairs:
        job: Job = []
        if {"relations", "transfer", "pointing"} & set(studies):
            weights = weights_of(work, arm, kind, seed)
            job.append((work / "relations" / f"{weights.stem}.json", relation(arm, kind, seed, weights, toy)))
        if "pointing" in studies and kind == KINDS[0] and arm in POINTERS:
            job.append((work / "pointing" / f"{name_of(arm)}-{seed}.json", pointer(work, arm, kind, seed, toy)))
        jobs.append(job)
    if "normalisers" in studies:
        names = NORMALISERS[-2:] if toy else NORMALISERS
        jobs += [[(work / "normalisers" / f"{name}-{seed}.json", normaliser(name, seed, toy))] for name in names]
    if "critical" in studies:
        jobs.append([(work / "critical" / f"{seed}.json", lambda: critical_cell(seed, toy=toy))])
    return jobs


def relation(arm: str, kind: str, seed: int, weights: Path, toy: bool) -> Callable[[], Cell]:
    return lambda: relation_cell(arm, kind, seed, weights, toy=toy)


def pointer(work: Path, arm: str, kind: str, seed: int, toy: bool) -> Callable[[], Cell]:
    weights, count = weights_of(work, arm, kind, seed), 2 if toy else 60

    def make() -> Cell:
        if not weights.is_file():  # the cell was brought from another machine, without its network
            relation_cell(arm, kind, seed, weights, toy=toy)
        return {"arm": arm, **pointing_cell(weights, kind, seed, count=count)}

    return make


def normaliser(name: str, seed: int, toy: bool) -> Callable[[], Cell]:
    return lambda: normaliser_cell(name, KINDS[0], seed, toy=toy)


def name_of(arm: str) -> str:
    """An arm as part of a file's name."""
    return "".join(c for c in arm.replace(" ", "_") if c.isalnum() or c == "_").lower()


def weights_of(work: Path, arm: str, kind: str, seed: int) -> Path:
    return work / "weights" / f"{kind}-{name_of(arm)}-{seed}.safetensors"


def keep(path: Path, make: Callable[[], Cell]) -> None:
    """Make a cell, unless it is there."""
    if path.is_file():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    content = make()
    write_text(path, json.dumps(content))
    print(f"{path.parent.name} {path.stem}: {content}", file=sys.stderr)


def cells_of(work: Path, study: str) -> list[Cell]:
    """The cells of a study; those of pointing with the share of right relation words of their network."""
    paths = sorted((work / FOLDERS.get(study, study)).glob("*.json"))
    own: list[Cell] = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    if study == "pointing":
        for path, cell in zip(paths, own, strict=True):
            network = work / "relations" / f"{KINDS[0]}-{path.name}"
            cell["right"] = json.loads(network.read_text(encoding="utf-8"))["in range"]
    return own


def spread(values: list[float], *, share: bool = True, of: str = "seeds") -> str:
    """Mean and Student's 95 % interval over seeds, or over what `of` says."""
    if len(values) > 1 and max(values) == min(values):
        return f"{values[0]:.3f} ({len(values)} {of}, all equal)"
    return interval(values, "", share=share)


def counted(values: list[float]) -> str:
    """The same, with the number of seeds."""
    text = spread(values)
    return text if len(values) < 2 or "seeds" in text else f"{text}, {len(values)} seeds"


def table_relations(own: list[Cell]) -> Rows:
    rows: Rows = []
    for arm in ARMS:
        if mine := [one for one in own if one["arm"] == arm]:
            parts = {kind: [one["in range"] for one in mine if one["kind"] == kind] for kind in KINDS}
            figures = {TITLES[kind]: counted(values) for kind, values in parts.items()}
            rows.append({"encoder": arm, **figures, "CPU s": f"{statistics.median(one['cpu'] for one in mine):.0f}"})
    return rows


def table_transfer(own: list[Cell]) -> Rows:
    rows: Rows = []
    for kind in KINDS:
        for arm in ARMS:
            mine = [one for one in own if one["arm"] == arm and one["kind"] == kind]
            if mine:
                figures = {move: spread([one[move] for one in mine]) for move in MOVES}
                rows.append({"relation": TITLES[kind], "encoder": arm, **figures})
    return rows


def table_pointing(own: list[Cell]) -> Rows:
    rows: Rows = []
    for method in (*METHODS, *CONTROLS):
        if mine := [one["methods"][method] for one in own]:
            chosen = sum(one["choice"] == method for one in own)
            rows.append(
                {
                    "regions by": method,
                    "words of colour and shape": spread([words for words, _ in mine], of="networks"),
                    "relation words": spread([relations for _, relations in mine], of="networks"),
                    "networks that chose it": "control" if method in CONTROLS else f"{chosen} of {len(own)}",
                }
            )
    learnt = [one for one in own if one["right"] >= REACHED]
    for name, part in (("**each network's choice**", own), (f"its choice, networks that learnt ({REACHED})", learnt)):
        mine = [one["methods"][one["choice"]] for one in part]
        if own:
            rows.append(
                {
                    "regions by": name,
                    "words of colour and shape": spread([words for words, _ in mine], of="networks"),
                    "relation words": spread([relations for _, relations in mine], of="networks"),
                    "networks that chose it": f"{len(part)} of {len(own)}",
                }
            )
    return rows


def table_normalisers(own: list[Cell]) -> Rows:
    rows: Rows = []
    for name in NORMALISERS:
        if mine := [one for one in own if one["normaliser"] == name]:
            steps = [reached(one["curve"], one["steps"]) for one in mine]
            late = [str(step) if step else "not" for step in steps]
            rows.append(
                {
                    "queries normalised by": name,
                    TITLES[KINDS[0]]: spread([one["curve"][-1] for one in mine]),
                    f"steps to {REACHED}, seed by seed": ", ".join(late),
                }
            )
    return rows


def reached(curve: Sequence[float], steps: int) -> int | None:
    """Steps after which the share is at the bar for the first time."""
    return next((steps * (i + 1) for i, share in enumerate(curve) if share >= REACHED), None)


def table_critical(own: list[Cell]) -> Rows:
    rows: Rows = []
    for name in own[0]["figures"] if own else ():
        cider, true = (list(part) for part in zip(*(one["figures"][name] for one in own), strict=True))
        gains = [one["figures"][name][0] - one["figures"][START][0] for one in own]
        figures = {"CIDEr-D": spread(cider, share=False), "gain in CIDEr-D": interval(gains) if any(gains) else "-"}
        rows.append({"captions by": name, **figures, "true": spread(true)})
    return rows


TABLES = {
    "relations": table_relations,
    "transfer": table_transfer,
    "pointing": table_pointing,
    "normalisers": table_normalisers,
    "critical": table_critical,
}

if __name__ == "__main__":
    main()
