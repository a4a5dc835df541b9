"""Whether space-time attention shows where and when, beside every baseline: `docs/studies/events.md`.

    python benchmarks/events.py --work events.work
    python benchmarks/events.py tables --work events.work --write

A cell is a world with a seed: its networks are trained (finished ones are kept), judged on scenes that none of them
saw, and the figures are kept as JSON, so a run goes on with the rest. Several processes take turns with the cells
(`--part 0/4`). Times are CPU seconds on one thread.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from _events_cells import Cell, areas, chosen_on, figures, forgotten, held_out, speed, trained
from _study import Rows, arguments, interval, part_of, publish
from sightline.common.files import write_text
from sightline.tasks.audiovisual.recipe import EventRecipe

STUDIES = ("drawn", "harder", "112 px", "networks", "weights", "speed")
HARDER = {
    "shapes": 3,
    "tones": 3,
    "noise": 0.12,
    "sound_noise": 0.05,
    "lag": 1,
    "frames": 8,
    "reach": 2,
    "epochs": 36,
}
"""It is learned three times as long: after 12 epochs the networks have only begun to learn."""
LARGE = {**HARDER, "side": 112, "patch": 16}
"""The harder world at 112 px, for a GPU (`--device cuda`); about as many patches as at 24 px."""
WORLDS: dict[str, dict[str, Any]] = {"drawn": {}, "harder": HARDER, "112 px": LARGE}
NETWORKS = {
    "factorised": {"form": "factorised"},
    "AVEL": {"form": "avel"},
    "shared queries": {"queries": "shared"},
    "wide field": {"field": "wide"},
    "self-attention": {"mixing": "pre"},
    "no match of scores": {"match_weight": 0.0},
    "match weight 0.3": {"match_weight": 0.3},
    "modality dropout": {"modality_dropout": 0.1, "missing_steps": 0},
}
"""Networks of the same training as that of `drawn`, and what is different."""
COLUMNS = {"where": "strict", "pixel": "on its pixels", "mass": "mass", "when": "when"}
"""Figures of the tables of ways."""
JUDGED = 200
"""Scenes of deletion, insertion and randomisation."""
WEIGHTS = (0.1, 0.3, 1.0, 3.0)
"""Weights of the match that are chosen from."""
CHOOSING = 100
"""The first seed of the networks that settings are chosen by; none of them is judged otherwise."""


def main() -> None:
    """Train and judge the cells that are missing, then print the tables."""
    parser = arguments(__doc__, "events.work", "events.md", STUDIES)
    parser.add_argument(
        "--network", action="append", choices=NETWORKS, help="which networks of `networks`; default all"
    )
    parser.add_argument("--device", default="cpu", help="what trains; figures are made on the CPU")
    parser.add_argument("--match-weight", type=float, help="another weight of the match than the default")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary) if asked.toy else asked.work
        recipe = (EventRecipe().toy() if asked.toy else EventRecipe()).but(device=asked.device)
        if asked.match_weight is not None:
            recipe = recipe.but(match_weight=asked.match_weight)
        studies, seeds = asked.study or STUDIES, range(1 if asked.toy else asked.seeds)
        if asked.what == "train":
            names = asked.network or (("match weight 0.3",) if asked.toy else tuple(NETWORKS))
            at, of = part_of(asked)
            for path, make in [job for study in studies for job in jobs(work, recipe, study, seeds, names)][at::of]:
                cell(path, make)
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


def jobs(
    work: Path, recipe: EventRecipe, study: str, seeds: Iterable[int], names: Sequence[str]
) -> Iterator[tuple[Path, Callable[[], Cell]]]:
    """The cells of a study: their files, and how each is made."""
    if study == "speed":
        yield work / "speed" / "0.json", lambda: speed(recipe, 9 if recipe.loop.epochs > 2 else 2)
        return
    for seed in seeds:
        own = recipe.but(seed=seed)
        if study in WORLDS:
            yield work / study / f"{seed}.json", partial(world_cell, work, own, study)
        for name in names if study == "networks" else ():
            path = work / study / name / f"{seed}.json"
            yield path, partial(network_cell, path.with_suffix(".safetensors"), own.but(**NETWORKS[name]))
        for weight in (WEIGHTS if recipe.loop.epochs > 2 else WEIGHTS[1:3]) if study == "weights" else ():
            path = work / study / f"{weight:g}" / f"{seed}.json"
            chosen = recipe.but(seed=CHOOSING + seed, match_weight=weight)
            yield path, partial(weight_cell, path.with_suffix(".safetensors"), chosen)


def world_cell(work: Path, recipe: EventRecipe, name: str) -> Cell:
    """Every figure of the default network in one world."""
    own, seed = recipe, recipe.machine.seed
    if recipe.loop.epochs > 2:
        own = recipe.but(**WORLDS[name])
    else:  # a toy learns no longer in a harder world
        own = recipe.but(**{key: value for key, value in WORLDS[name].items() if key != "epochs"})
    net, seconds = trained(own, work / name / f"{seed}.safetensors")
    scenes = held_out(own)
    judged = JUDGED // 4 if own.data.side > 100 else JUDGED if recipe.loop.epochs > 2 else JUDGED // 20
    few = scenes.rows(torch.arange(min(judged, len(scenes))))
    content = {**figures(net, scenes), "cpu": seconds, "areas": areas(net, few, 12)}
    if name == "drawn":
        brief = own.but(epochs=min(3, own.loop.epochs))
        other, _ = trained(brief, work / "permuted" / f"{seed}.safetensors", permuted=True)
        content["forgotten"] = forgotten(net, other, few)
    return content


def network_cell(path: Path, recipe: EventRecipe) -> Cell:
    """What becomes of the figures with another network."""
    net, seconds = trained(recipe, path)
    return {**figures(net, held_out(recipe)), "cpu": seconds}


def weight_cell(path: Path, recipe: EventRecipe) -> Cell:
    """Recognition and pointing on scenes for choosing: nothing else is learned from or judged on these."""
    net, _ = trained(recipe, path)
    return chosen_on(net, recipe)


def table_recognition(work: Path) -> Rows:
    """What is named right, with one modality too, and what chance reaches in pointing."""
    rows: Rows = []
    for name in WORLDS:
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
                row[name] = shown
    heads = {"drawn": "drawn world", "harder": "harder world", "112 px": "harder, 112 px"}
    shown = [key for key in WORLDS if key != "112 px" or cells(work / key)]
    return [{"figure": row["figure"], **{heads[key]: row.get(key, "-") for key in shown}} for row in rows]


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
    default = by_seed(work / "drawn")
    for name in ("default", *NETWORKS):
        own = default if name == "default" else by_seed(work / "networks" / name)
        if not own:
            continue
        row = {"network": name, "seeds": str(len(own)), "accuracy": share([one["accuracy"] for one in own.values()])}
        for key in ("where", "when"):
            row[key] = share([one["ways"]["attention"][key] for one in own.values()])
            gaps = [
                default[s]["ways"]["attention"][key] - own[s]["ways"]["attention"][key] for s in own if s in default
            ]
            row[f"{key}: default less this"] = "-" if name == "default" else interval(gaps)
        rows.append(row)
    return rows


def by_seed(folder: Path) -> dict[str, Cell]:
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def table_weights(work: Path) -> Rows:
    """Weights of the match on scenes for choosing: means over seeds, and the seed that points worst."""
    rows: Rows = []
    for weight in WEIGHTS:
        own = cells(work / "weights" / f"{weight:g}")
        if own:
            row = {"--match-weight": f"{weight:g}", "seeds": str(len(own))}
            for key in ("accuracy", "where", "mass", "when"):
                row[key] = share([one[key] for one in own])
            row["where, worst seed"] = f"{min(one['where'] for one in own):.3f}"
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
    """Costs of a drawn clip, and of real ones: the clip in the middle, and the cheapest and dearest."""
    rows: Rows = []
    for one in cells(work / "speed"):
        real = one["real"]
        for values, label in (
            (one["maps"], "maps of all classes of a 10 s clip, over its forward"),
            (one["decoding"], "decoding a 10 s clip, over its length"),
            ([clip["maps"] for clip in real], f"maps of {len(real)} real clips, over their forwards"),
            ([clip["decoding"] for clip in real], f"decoding {len(real)} real clips, over their lengths"),
        ):
            if values:
                median = f"{np.median(values):.3f}"
                rows.append({"what": label, "median": median, "range": f"{min(values):.3f} to {max(values):.3f}"})
    return rows


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
    "112 px": {
        "ways, 112 px": lambda work: table_ways(work, "112 px"),
        "areas, 112 px": lambda work: table_areas(work, "112 px"),
    },
    "networks": {"networks": table_networks},
    "weights": {"weights": table_weights},
    "speed": {"speed": table_speed},
}

if __name__ == "__main__":
    main()
