"""Whether space-time attention shows where and when, beside every baseline: `docs/studies/events.md`.

    python benchmarks/events.py --work events.work
    python benchmarks/events.py tables --work events.work --write

A cell is a world with a seed: its networks are trained (finished ones are kept), judged on scenes that none of them
saw, and the figures are kept as JSON, so a run goes on with the rest. Times are CPU seconds on one thread.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch

from _events_cells import Cell, areas, figures, forgotten, held_out, speed, trained
from _study import Rows, arguments, interval, publish
from sightline.common.files import write_text
from sightline.tasks.audiovisual.recipe import EventRecipe

STUDIES = ("drawn", "harder", "networks", "speed")
HARDER = {"shapes": 3, "tones": 3, "noise": 0.12, "sound_noise": 0.05, "lag": 1, "frames": 8, "reach": 2}
NETWORKS = {
    "default": {},
    "factorised": {"form": "factorised"},
    "AVEL": {"form": "avel"},
    "shared queries": {"queries": "shared"},
    "wide field": {"field": "wide"},
    "self-attention": {"mixing": "pre"},
    "no match of scores": {"match_weight": 0.0},
    "modality dropout": {"modality_dropout": 0.1, "missing_steps": 0},
}
"""Networks of the same training, and what is different."""
COLUMNS = {"where": "strict", "pixel": "on its pixels", "mass": "mass", "when": "when"}
"""Figures of the tables of ways."""
JUDGED = 200
"""Scenes of deletion, insertion and randomisation."""


def main() -> None:
    """Train and judge the cells that are missing, then print the tables."""
    parser = arguments(__doc__, "events.work", "events.md", STUDIES)
    parser.add_argument(
        "--network", action="append", choices=NETWORKS, help="which networks of `networks`; default all"
    )
    asked = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary) if asked.toy else asked.work
        recipe = EventRecipe().toy() if asked.toy else EventRecipe()
        studies, seeds = asked.study or STUDIES, range(1 if asked.toy else asked.seeds)
        if asked.what == "train":
            for study in studies:
                if study == "networks":
                    run_networks(work, recipe, seeds, asked.network or (("factorised",) if asked.toy else NETWORKS))
                else:
                    RUNS[study](work, recipe, seeds)
        tables = {name: make(work) for study in studies for name, make in TABLES[study].items()}
        publish(tables, "events", json_to=asked.json, write=asked.write)


def cell(path: Path, make: Callable[[], Cell]) -> None:
    """Make a cell, unless it is there."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        content = make()
        write_text(path, json.dumps(content))
        print(path.relative_to(path.parents[1]), content.get("accuracy", ""), file=sys.stderr)


def cells(folder: Path) -> list[Cell]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]


def run_world(work: Path, recipe: EventRecipe, seeds: Iterable[int], name: str) -> None:
    """Every figure of the default network in one world."""
    for seed in seeds:

        def make(own: EventRecipe = recipe.but(seed=seed)) -> Cell:
            net, seconds = trained(own, work / name / f"{own.machine.seed}.safetensors")
            scenes = held_out(own)
            few = scenes.rows(torch.arange(min(JUDGED, len(scenes))))
            content = {**figures(net, scenes), "cpu": seconds, "areas": areas(net, few, 12)}
            if name == "drawn":
                brief = own.but(epochs=min(3, own.loop.epochs))
                other, _ = trained(brief, work / "permuted" / f"{own.machine.seed}.safetensors", permuted=True)
                content["forgotten"] = forgotten(net, other, few)
            return content

        cell(work / name / f"{seed}.json", make)


def run_networks(work: Path, recipe: EventRecipe, seeds: Iterable[int], names: Iterable[str]) -> None:
    """What becomes of the figures with another network; the default is that of `drawn`."""
    for seed in seeds:
        for name in ("default", *names):

            def make(name: str = name, own: EventRecipe = recipe.but(seed=seed, **NETWORKS[name])) -> Cell:
                folder = "drawn" if name == "default" else f"networks/{name}"
                net, seconds = trained(own, work / folder / f"{own.machine.seed}.safetensors")
                return {**figures(net, held_out(own)), "cpu": seconds}

            cell(work / "networks" / name / f"{seed}.json", make)


def run_speed(work: Path, recipe: EventRecipe, seeds: Iterable[int]) -> None:
    cell(work / "speed" / "0.json", lambda: speed(recipe, 9 if recipe.loop.epochs > 2 else 2))


def table_recognition(work: Path) -> Rows:
    """What is named right, with one modality too, and what chance reaches in pointing."""
    rows: Rows = []
    for name in ("drawn", "harder"):
        own = cells(work / name)
        if own:
            for label, pick in (
                ("accuracy", lambda one: one["accuracy"]),
                ("picture alone", lambda one: one["picture"]),
                ("sound alone", lambda one: one["sound"]),
                ("where, strict", lambda one: one["ways"]["attention"]["where"]),
                ("- by chance", lambda one: one["ways"]["chance"]["where"]),
                ("where, +-1 cell", lambda one: one["ways"]["attention"]["near"]),
                ("- by chance ", lambda one: one["ways"]["chance"]["near"]),
                ("when", lambda one: one["ways"]["attention"]["when"]),
                ("- by chance  ", lambda one: one["ways"]["chance"]["when"]),
                ("CPU s of training, longest", lambda one: one["cpu"]),
            ):
                values = [pick(one) for one in own]
                # an interrupted training counts its last process only
                shown = f"{max(values):.0f}" if label.startswith("CPU") else interval(values, "", share=True)
                row = next((row for row in rows if row["figure"] == label.strip()), None)
                if row is None or label.startswith("- "):
                    row = rows_of(rows, label)
                row[f"{name} world"] = shown
    return [{key: row.get(key, "-") for key in ("figure", "drawn world", "harder world")} for row in rows]


def rows_of(rows: Rows, label: str) -> dict[str, str]:
    """The row of a label; blanks at its end tell rows of one name apart."""
    for row in rows:
        if row["figure"] == label:
            return row
    rows.append({"figure": label})
    return rows[-1]


def table_ways(work: Path, world: str) -> Rows:
    """Every way to make maps, and how far the attention is ahead of it on the same scenes."""
    own = cells(work / world)
    rows: Rows = []
    for way in own[0]["ways"] if own else ():
        row = {"maps": way}
        for key, head in COLUMNS.items():
            pairs = [(one["ways"]["attention"][key], one["ways"][way].get(key)) for one in own]
            scored = [(ours, theirs) for ours, theirs in pairs if theirs is not None]
            row[head] = f"{np.mean([b for _, b in scored]):.3f}" if scored else "-"
            row[f"{head}: gap"] = "-" if way == "attention" or not scored else interval([a - b for a, b in scored])
        rows.append(row)
    return rows


def table_networks(work: Path) -> Rows:
    """Another network of the same training, and how far the default is ahead of it."""
    rows: Rows = []
    default = {path.stem: json.loads(path.read_text()) for path in (work / "networks" / "default").glob("*.json")}
    for name in NETWORKS:
        paths = sorted((work / "networks" / name).glob("*.json"))
        if not paths:
            continue
        own = {path.stem: json.loads(path.read_text()) for path in paths}
        row = {"network": name, "seeds": str(len(own)), "accuracy": share([one["accuracy"] for one in own.values()])}
        for key in ("where", "when"):
            row[key] = share([one["ways"]["attention"][key] for one in own.values()])
            gaps = [
                default[s]["ways"]["attention"][key] - own[s]["ways"]["attention"][key] for s in own if s in default
            ]
            row[f"{key}: default less this"] = "-" if name == "default" else interval(gaps)
        rows.append(row)
    return rows


def share(values: list[float]) -> str:
    return interval(values, "", share=True)


def table_negative(work: Path) -> Rows:
    """What becomes of the map of the former event under another sound."""
    own = cells(work / "drawn")
    rows: Rows = []
    for number, first in enumerate(own[0]["negative"] if own else ()):
        same = [one["negative"][number] for one in own]
        excess = [one["mass"] - one["area"] for one in same]
        rows.append(
            {
                "sound": first["sound"],
                "mass on the former source": share([one["mass"] for one in same]),
                "its area": f"{np.mean([one['area'] for one in same]):.3f}",
                "mass less area": interval(excess),
                "curve at the tone": share([one["moved"] for one in same]),
                "same answer": share([one["same"] for one in same]),
            }
        )
    return rows


def table_areas(work: Path, world: str) -> Rows:
    """Areas under the curves, and how far they are from those of a random order on the same scenes."""
    own = cells(work / world)
    rows: Rows = []
    for way in own[0]["areas"] if own else ():
        for fill in own[0]["areas"][way]:
            row = {"maps": way, "of what, replaced by": fill}
            for key in ("deletion", "insertion"):
                values = [one["areas"][way][fill][key] for one in own]
                chance = [one["areas"]["random"][fill][key] for one in own]
                row[key] = f"{np.mean(values):.3f}"
                gaps = [a - b for a, b in zip(values, chance, strict=True)]
                row[f"{key} less random"] = "-" if way == "random" else interval(gaps)
            rows.append(row)
    return rows


def table_forgotten(work: Path) -> Rows:
    """Rank correlation of maps with those of a network with random weights, or one that learned permuted labels."""
    own = cells(work / "drawn")
    rows: Rows = []
    for way in own[0]["forgotten"] if own else ():
        row = {"maps": way}
        for kind in ("where", "when"):
            for key in ("all weights", "labels"):
                values = [one["forgotten"][way][kind][key] for one in own]
                row[f"{kind}, {'random weights' if key != 'labels' else 'permuted labels'}"] = interval(values)
        rows.append(row)
    return rows


def table_speed(work: Path) -> Rows:
    rows: Rows = []
    for one in cells(work / "speed"):
        for key, label in (
            ("maps", "maps of all classes of a 10 s clip, over its forward"),
            ("decoding", "decoding a 10 s clip, over its length"),
        ):
            values = one[key]
            rows.append(
                {
                    "what": label,
                    "median": f"{np.median(values):.3f}",
                    "range": f"{min(values):.3f} to {max(values):.3f}",
                }
            )
    return rows


RUNS: dict[str, Callable[[Path, EventRecipe, Iterable[int]], None]] = {
    "drawn": lambda work, recipe, seeds: run_world(work, recipe, seeds, "drawn"),
    "harder": lambda work, recipe, seeds: run_world(work, recipe.but(**HARDER), seeds, "harder"),
    "speed": run_speed,
}
TABLES: dict[str, dict[str, Callable[[Path], Rows]]] = {
    "drawn": {
        "recognition": table_recognition,
        "ways": lambda work: table_ways(work, "drawn"),
        "negative": table_negative,
        "areas": lambda work: table_areas(work, "drawn"),
        "forgotten": table_forgotten,
    },
    "harder": {
        "ways, harder": lambda work: table_ways(work, "harder"),
        "areas, harder": lambda work: table_areas(work, "harder"),
    },
    "networks": {"networks": table_networks},
    "speed": {"speed": table_speed},
}

if __name__ == "__main__":
    main()
