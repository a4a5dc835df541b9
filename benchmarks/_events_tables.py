"""Tables of `events.py`, from its finished cells."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from _events_cells import Cell
from _events_real import SOURCES
from _events_settings import COLUMNS, EPOCHS, NETWORKS, WEIGHTS, WORLDS
from _study import Rows, interval


def cells(folder: Path) -> list[Cell]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]


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


def table_chosen(work: Path, study: str, option: str, values: Sequence[float]) -> Rows:
    """Values of an option on scenes for choosing: means over seeds, and the seed that points worst."""
    rows: Rows = []
    for value in values:
        own = cells(work / study / f"{value:g}")
        if own:
            row = {option: f"{value:g}", "seeds": str(len(own))}
            for key in ("accuracy", "where", "mass", "when"):
                row[key] = share([one[key] for one in own])
            row["where, worst seed"] = f"{min(one['where'] for one in own):.3f}"
            rows.append(row)
    return rows


def table_events(work: Path) -> Rows:
    """Pointing by event, where a network may miss one event and no other; beside a longer training."""
    longer = f"{EPOCHS[-1]} epochs"
    lengths = {"": work / "drawn", f"{longer}, ": work / "networks" / longer}
    judged = {head: [one["events"] for one in cells(path) if "events" in one] for head, path in lengths.items()}
    rows: Rows = []
    for name in judged[""][0] if judged[""] else ():
        row = {"event": name}
        for head, own in judged.items():
            row[f"{head}where, strict"] = share([one[name]["where"] for one in own])
            row[f"{head}worst seed"] = f"{min(one[name]['where'] for one in own):.3f}" if own else "-"
            row[f"{head}+-1 cell"] = share([one[name]["near"] for one in own])
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


def table_real(work: Path) -> Rows:
    """Networks of frozen features beside their controls."""
    rows: Rows = []
    for name in SOURCES:
        own = cells(work / "real" / name)
        if own:
            row = {"features of": name, "judged on": str(own[0]["judged"])}
            heads = {"accuracy": "accuracy", "picture": "picture alone", "sound": "sound alone"}
            heads |= {"probe": "linear probe", "majority": "most frequent answer"}
            rows.append({**row, **{head: share([one[key] for one in own]) for key, head in heads.items()}})
    return rows


def table_real_sounds(work: Path, *, drawn: bool) -> Rows:
    """The negative-sound test of these networks: on scenes the mass on the former source, on clips what stays."""
    rows: Rows = []
    keys = {"mass": "mass on the former source", "area": "its area"}
    if not drawn:
        keys = {"where": "where: overlap", "when": "when: overlap"}
    for name in SOURCES:
        own = cells(work / "real" / name) if bool(SOURCES[name].drawn) == drawn else []
        for number, first in enumerate(own[0]["sounds"] if own else ()):
            same = [one["sounds"][number] for one in own]
            row = {"features of": name, "sound": first["sound"]}
            for key, head in {**keys, "same": "same answer"}.items():
                values = [math.nan if one[key] is None else one[key] for one in same]
                row[head] = share(values)
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
        "by event": table_events,
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
    "weights": {"weights": lambda work: table_chosen(work, "weights", "--match-weight", WEIGHTS)},
    "epochs": {"epochs": lambda work: table_chosen(work, "epochs", "--epochs", EPOCHS)},
    "real": {
        "real": table_real,
        "real clips": lambda work: table_real_sounds(work, drawn=False),
        "real encoder": lambda work: table_real_sounds(work, drawn=True),
    },
    "speed": {"speed": table_speed},
}
