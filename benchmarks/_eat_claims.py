"""The tables and the picture of `docs/studies/eat.md`, from the finished cells of `eat_study.py`. It trains nothing.

An interval of a paired difference resamples seeds and pictures at once, so it holds both the luck of the draw of
training pictures and that of the test set.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from _eat_arms import Row
from _study import Rows

Key = tuple[str, str, str, int]
Floats = NDArray[np.float64]
DRAWS = 2000
CONTROLS = ("probe", "zero", "shuffled", "permuted", "random", "class")


class Cells:
    """Finished cells by data set, network, arm and pictures a class; of two rows of one cell the later counts."""

    def __init__(self, rows: Sequence[Row]) -> None:
        latest = {tuple(row[name] for name in ("data", "base", "arm", "each", "seed")): row for row in rows}
        self.by: dict[Key, dict[int, Row]] = defaultdict(dict)
        for (data, base, arm, each, seed), row in latest.items():
            self.by[str(data), str(base), str(arm), int(str(each))][int(str(seed))] = row

    def places(self, arm: str = "eat") -> list[tuple[str, str, int]]:
        """Where an arm was trained: data set, network, pictures a class."""
        return [(data, base, each) for data, base, one, each in self.by if one == arm]

    def mean(self, key: Key, name: str) -> float:
        """Mean over seeds; NaN where there is none."""
        values = [float(str(row[name])) for row in self.by.get(key, {}).values() if name in row]
        return float(np.mean(values)) if values else float("nan")

    def table(self, key: Key, name: str, seeds: Sequence[int]) -> Floats:
        """Picture by picture, `[s, n]`."""
        rows = (self.by[key][seed] for seed in seeds)
        return np.array([[float(one) for one in row[name]] for row in rows])  # type: ignore[attr-defined]

    def difference(self, one: Key, other: Key, name: str, *, scale: float = 1.0, against: str = "") -> Floats | None:
        """Paired differences by seed and picture; None where one of the two is missing.

        Args:
            one: a cell.
            other: what is taken from it; a single seed of it stands against every seed of the first.
            name: column.
            scale: factor.
            against: column of the other, where it is another one.
        """
        ours, theirs = self.by.get(one, {}), self.by.get(other, {})
        ours = {seed: row for seed, row in ours.items() if name in row}
        theirs = {seed: row for seed, row in theirs.items() if (against or name) in row}
        if not ours or not theirs:
            return None
        seeds = sorted(set(ours) & set(theirs)) if len(theirs) > 1 else sorted(ours)
        second = seeds if len(theirs) > 1 else [next(iter(theirs))] * len(seeds)
        a, b = self.table(one, name, seeds), self.table(other, against or name, second)
        return np.where((a < 0) | (b < 0), np.nan, (a - b) * scale) if len(seeds) else None

    def pooled(self, data: str, bases: Sequence[str], each: int, arm: str) -> tuple[float, float, float]:
        """Hits of EAT less those of another arm, over several networks."""
        keys = [((data, base, "eat", each), (data, base, arm, each)) for base in bases]
        return crossed([self.difference(one, other, "hits") for one, other in keys])


def crossed(differences: Sequence[Floats | None], draws: int = DRAWS) -> tuple[float, float, float]:
    """Mean of paired differences and its 95 % interval, resampling seeds and pictures.

    Several tables count alike, and tables of one shape share what is drawn.
    """
    known = [one for one in differences if one is not None]
    if not known:
        return float("nan"), float("nan"), float("nan")
    means, centres = np.zeros(draws), []
    for table in known:
        s, n = table.shape
        rng = np.random.default_rng(0)  # networks share training draws and test pictures: the same ones for all
        seeds = rng.multinomial(s, np.full(s, 1 / s), draws).astype(float)
        pictures = rng.multinomial(n, np.full(n, 1 / n), draws).astype(float)
        there = np.isfinite(table)
        total = ((seeds @ np.where(there, table, 0.0)) * pictures).sum(1)
        means += total / ((seeds @ there) * pictures).sum(1).clip(min=1) / len(known)
        centres.append(float(np.nanmean(table)))
    low, high = np.quantile(means, [0.025, 0.975])
    return float(np.mean(centres)), float(low), float(high)


def signed(values: tuple[float, float, float]) -> str:
    """A difference with its interval."""
    mean, low, high = values
    return "-" if np.isnan(mean) else f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]"


def plain(value: float) -> str:
    """A figure, or a dash."""
    return "-" if np.isnan(value) else f"{value:.3f}"


def recognition(cells: Cells) -> Rows:
    """By data set and pictures a class, over all networks of the five: EAT less each control."""
    rows = []
    for data in _order(cells, 0):
        for each in sorted({one for d, _, one in cells.places() if d == data}):
            bases = [b for d, b, e in cells.places() if d == data and e == each and b != "inat birds"]
            row = {"data": data, "pictures a class": str(each), "networks": str(len(bases))}
            row["EAT"] = plain(float(np.mean([cells.mean((data, b, "eat", each), "accuracy") for b in bases])))
            rows.append(row | {f"less {arm}": signed(cells.pooled(data, bases, each, arm)) for arm in CONTROLS})
    return rows


def bases(cells: Cells) -> Rows:
    """Each network at most pictures a class: accuracy and attention of EAT beside the probe, with controls."""
    rows = []
    for data, base in dict.fromkeys((d, b) for d, b, _ in cells.places()):
        each = max(e for d, b, e in cells.places() if (d, b) == (data, base))
        one, probe = (data, base, "eat", each), (data, base, "probe", each)
        rows.append(
            {
                "data": data,
                "network": base,
                "probe": plain(cells.mean(probe, "accuracy")),
                "EAT less probe": signed(crossed([cells.difference(one, probe, "hits")])),
                "attributes of classes less probe": signed(
                    crossed([cells.difference((data, base, "class attributes", each), probe, "hits")])
                ),
                "energy on the object": plain(cells.mean(one, "energy")),
                "energy, less probe": signed(crossed([cells.difference(one, probe, "energies", scale=0.001)])),
                "another picture's map": plain(cells.mean(one, "another map")),
                "area": plain(cells.mean(one, "area")),
                "peak on it": plain(cells.mean(one, "pointing")),
                "another map's peak": plain(cells.mean(one, "another pointing")),
                "other backgrounds": plain(cells.mean(one, "elsewhere")),
                "the probe there": plain(cells.mean(probe, "elsewhere")),
            }
        )
    return rows


def guides(cells: Cells) -> Rows:
    """What showing boxes or parts adds to frozen features."""
    rows = []
    for data, base, each in dict.fromkeys((*cells.places("boxes"), *cells.places("parts"))):
        for arm in ("boxes", "places", "parts"):
            one, probe = (data, base, arm, each), (data, base, "probe", each)
            if not cells.by.get(one):
                continue
            accuracy = signed(crossed([cells.difference(one, probe, "hits")]))
            energy = signed(crossed([cells.difference(one, probe, "energies", scale=0.001)]))
            named = cells.difference(one, one, "named", against="named class")
            rows.append(
                {
                    "data": data,
                    "network": base,
                    "pictures a class": str(each),
                    "arm": arm,
                    "accuracy, less probe": accuracy,
                    "energy": plain(cells.mean(one, "energy")),
                    "energy, less probe": energy,
                    "parts found": plain(cells.mean(one, "part")),
                    "mean place": plain(cells.mean(one, "mean place")),
                    "within classes": plain(cells.mean(one, "within")),
                    "named is true": plain(cells.mean(one, "true")),
                    "less class control": signed(crossed([named])),
                }
            )
    return rows


def texts(cells: Cells) -> Rows:
    """The three attributes that a head is surest of, against the picture's own attributes."""
    rows = []
    for data, base, each in cells.places():
        if each not in (5, 30):
            continue
        one = (data, base, "eat", each)
        named = cells.difference(one, one, "named", against="named class")
        shuffled = cells.difference(one, (data, base, "shuffled", each), "named")
        rows.append(
            {
                "data": data,
                "network": base,
                "pictures a class": str(each),
                "within classes": plain(cells.mean(one, "within")),
                "shuffled": plain(cells.mean((data, base, "shuffled", each), "within")),
                "named is true": plain(cells.mean(one, "true")),
                "class control": plain(cells.mean(one, "true class")),
                "less class control": signed(crossed([named])),
                "less shuffled": signed(crossed([shuffled])),
                "blind control": plain(cells.mean(one, "true blind")),
            }
        )
    return rows


QUESTIONS = (
    ("EAT more accurate than the probe", "eat", "probe", "hits", ""),
    ("EAT more accurate than lambda 0", "eat", "zero", "hits", ""),
    ("attributes of classes more accurate than the probe", "class attributes", "probe", "hits", ""),
    ("more energy on the object than the probe", "eat", "probe", "energies", ""),
    ("boxes: more accurate than the probe", "boxes", "probe", "hits", ""),
    ("boxes: more energy on the object than the probe", "boxes", "probe", "energies", ""),
    ("parts: more accurate than the same without parts", "parts", "places", "hits", ""),
    ("parts: named attributes truer than without parts", "parts", "places", "named", ""),
    ("named attributes truer than the class control", "eat", "eat", "named", "named class"),
    ("parts: named attributes truer than the class control", "parts", "parts", "named", "named class"),
)
"""What is claimed, as a difference of two arms in a column."""


def claims(cells: Cells) -> Rows:
    """In how many cells of a data set a claim holds with its interval, and in how many the opposite.

    The network that knows birds is left out.
    """
    rows = []
    for words, arm, other, name, against in QUESTIONS:
        for data in dict.fromkeys(place[0] for place in cells.places(arm)):
            places = [(d, b, e) for d, b, e in cells.places(arm) if d == data and b != "inat birds"]
            tables = [cells.difference((d, b, arm, e), (d, b, other, e), name, against=against) for d, b, e in places]
            spans = [crossed([one], 500) for one in tables if one is not None]
            if spans:
                scale = 0.001 if name == "energies" else 1
                rows.append({"claim": words, "data": data, **_counted(spans, scale)})
    return rows


def _counted(spans: Sequence[tuple[float, float, float]], scale: float) -> dict[str, str]:
    """Of intervals: how many lie above zero, hold it, or lie below it; and the mean difference."""
    return {
        "cells": str(len(spans)),
        "yes": str(sum(low > 0 for _, low, _ in spans)),
        "no difference seen": str(sum(low <= 0 <= high for _, low, high in spans)),
        "the opposite": str(sum(high < 0 for _, _, high in spans)),
        "mean difference": f"{np.mean([mean for mean, _, _ in spans]) * scale:+.3f}",
    }


def _order(cells: Cells, at: int) -> list[str]:
    return list(dict.fromkeys(str(place[at]) for place in cells.places()))


def picture(cells: Cells, path: Path) -> None:
    """Accuracy against pictures a class: EAT less the probe, with intervals, one panel for each data set."""
    from matplotlib.figure import Figure

    data = [name for name in _order(cells, 0) if len({e for d, _, e in cells.places() if d == name}) > 1]
    data = data or _order(cells, 0)
    figure = Figure(figsize=(3.6 * len(data), 3.6), layout="constrained")
    axes = figure.subplots(1, len(data), squeeze=False, sharey=True)[0]
    arms = (
        ("eat", "attributes (EAT)"),
        ("shuffled", "shuffled in the class"),
        ("random", "random code"),
        ("class", "class again"),
    )
    for axis, name in zip(axes, data, strict=True):
        sizes = sorted({e for d, _, e in cells.places() if d == name})
        for at, (arm, label) in enumerate(arms):
            spans = []
            for each in sizes:
                own = [b for d, b, e in cells.places() if d == name and e == each and b != "inat birds"]
                spans.append(
                    crossed([cells.difference((name, b, arm, each), (name, b, "probe", each), "hits") for b in own])
                )
            mean, low, high = (100 * np.array(part) for part in zip(*spans, strict=True))
            x = np.arange(len(sizes)) + 0.14 * (at - 1.5)
            axis.errorbar(x, mean, [mean - low, high - mean], fmt="o", label=label, capsize=2, markersize=4)
        axis.axhline(0, color="0.4", linewidth=0.8)
        axis.set_xticks(np.arange(len(sizes)), [str(each) for each in sizes])
        axis.set_title(TITLES.get(name, name))
        axis.set_xlabel("training pictures per class")
    axes[0].set_ylabel("accuracy less linear probe, points")
    axes[0].legend(fontsize=8, frameon=False)
    figure.savefig(path, dpi=150)


TITLES = {"cub": "CUB subset (photos)", "aviary": "aviary", "background": "aviary, telling backgrounds"}
