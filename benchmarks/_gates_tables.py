"""The tables of the gates' study. An interval is Student's 95 % interval over seeds unless its text says else."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from _gates_cells import ARMS, DEEP, RETRAINED_SEEDS, SETTINGS, SPARSITY, SUPERNETS, cells, table_of, worth
from _study import Rows, interval
from sightline.gates.scheme import Scheme
from sightline.tasks.gate_search.search import search

Found = dict[tuple[str, str, str], dict[int, dict[str, Any]]]
BUDGET, SEARCHES = 48, 50


def finished(study: str, seeds: int, work: Path) -> Found:
    """Figures of the finished cells by data, setting, arm (with its scheme) and seed."""
    found: Found = {}
    for cell in cells(study, seeds, work):
        path = work / "cells" / f"{cell.name}.json"
        if path.is_file():
            key = cell.data, cell.setting, cell.scheme or cell.arm
            found.setdefault(key, {})[cell.seed] = json.loads(path.read_text(encoding="utf-8"))
    return found


def differences(found: Found, one: tuple[str, str, str], other: tuple[str, str, str]) -> list[float]:
    """Accuracy of one arm less that of another, for the seeds that both have."""
    a, b = found.get(one, {}), found.get(other, {})
    return [a[seed]["accuracy"] - b[seed]["accuracy"] for seed in sorted(a.keys() & b.keys())]


def arms(study: str, seeds: int, work: Path) -> Rows:
    """Every arm beside the plain network and the constant gate."""
    found = finished(study, seeds, work)
    rows = []
    for (data, setting, arm), runs in sorted(found.items(), key=_order):
        against = {name: differences(found, (data, setting, arm), (data, setting, name)) for name in ARMS}
        plain = against["plain"]
        first = next(iter(runs.values()))
        rows.append(
            {
                "data": data,
                **({"setting": setting} if study == "ablations" else {}),
                "arm": arm + (f" {first['scheme']}" if arm.startswith("ean") else ""),
                "parameters": str(first["parameters"]),
                "seeds": str(len(runs)),
                "finite": f"{sum(run['finite'] for run in runs.values())} of {len(runs)}",
                "accuracy": interval([run["accuracy"] for run in runs.values()], "", share=True),
                "on training pictures": f"{np.mean([run['learnt'] for run in runs.values()]):.3f}",
                "less plain": "" if arm == "plain" else interval(plain),
                "won against plain": "" if arm == "plain" else f"{sum(d > 0 for d in plain)} of {len(plain)}",
                "less constant 0.25": "" if arm == "constant" else interval(against["constant"]),
                "guessing": f"{first['chance']:.3f}",
            }
        )
    return rows


def _order(item: tuple[tuple[str, str, str], Any]) -> tuple[Any, ...]:
    data, setting, arm = item[0]
    return data, list(SETTINGS).index(setting), list(ARMS).index(arm)


def searchers(work: Path) -> Rows:
    """Regret of searchers that look into the table of all schemes, and of choices that need no search."""
    rows = []
    for gate in SUPERNETS:
        table = table_of(work, gate)
        if not table:
            continue
        worths = {scheme: worth(scheme, score) for scheme, score in table.items()}
        best = max(worths.values())
        shape = tuple(map(len, next(iter(table)).split("|")))
        budget = min(BUDGET, len(table))
        for name in ("reinforce", "random", "greedy"):
            runs = [_searched(name, table, shape, budget, seed) for seed in range(SEARCHES)]
            regrets = [best - one for one in runs]
            hits = sum(regret < 1e-12 for regret in regrets)
            rows.append(_row(gate, name, str(budget), interval(regrets, ""), f"{hits} of {SEARCHES}", len(table)))
        fixed = {"dense": Scheme.dense(shape), "empty": Scheme.empty(shape), "every-2": Scheme.every(2, shape)}
        for name, scheme in fixed.items():
            rows.append(_row(gate, name, "0", f"{best - worths[str(scheme)]:.3f}", "", len(table)))
        mean = best - float(np.mean(list(worths.values())))
        rows.append(_row(gate, "any scheme, on average", "0", f"{mean:.3f}", "", len(table)))
    return rows


def _row(gate: str, name: str, budget: str, regret: str, hits: str, schemes: int) -> dict[str, str]:
    return {
        "gate": gate,
        "schemes": str(schemes),
        "choice": name,
        "evaluations": budget,
        "regret": regret,
        "optimum found": hits,
    }


def _searched(name: str, table: dict[str, float], shape: tuple[int, ...], budget: int, seed: int) -> float:
    """The worth that one search comes to."""
    found = search(
        lambda scheme: table[str(scheme)], shape, searcher=name, budget=budget, sparsity=SPARSITY, seed=seed
    )
    return found.best.worth


def retrained(work: Path) -> Rows:
    """Whether the order of schemes in the supernet is their order when trained from scratch."""
    table, found = table_of(work, DEEP), finished("retrained", RETRAINED_SEEDS, work)
    whole = {key[2]: runs for key, runs in found.items() if len(runs) == RETRAINED_SEEDS}
    if not table or len(whole) < 3:
        return []
    names = sorted(whole)
    columns = np.array([[whole[name][seed]["accuracy"] for seed in range(RETRAINED_SEEDS)] for name in names])
    scores = np.array([table[name] for name in names])
    density = np.array([name.count("1") for name in names], dtype=float)
    halves = [(columns[:, s], np.delete(columns, s, 1).mean(1)) for s in range(RETRAINED_SEEDS)]
    rows = [
        _tau("supernet and mean of retrained", scores, columns.mean(1)),
        _tau("control: number of gates and mean of retrained", density, columns.mean(1)),
    ]
    rows += [_tau(f"ceiling: seed {s} and the mean of the others", *pair) for s, pair in enumerate(halves)]
    return [{**row, "schemes": str(len(names)), "seeds of each": str(RETRAINED_SEEDS)} for row in rows]


def _tau(name: str, x: np.ndarray, y: np.ndarray, draws: int = 2000) -> dict[str, str]:
    """Kendall's tau with a percentile bootstrap over schemes, and its permutation test."""
    own, chance = kendall(x, y), np.random.default_rng(0)
    drawn = [chance.integers(len(x), size=len(x)) for _ in range(draws)]
    low, high = np.quantile([kendall(x[rows], y[rows]) for rows in drawn], (0.025, 0.975))
    beyond = sum(abs(kendall(x, chance.permutation(y))) >= abs(own) for _ in range(draws))
    return {
        "between": name,
        "Kendall's tau": f"{own:+.2f} [{low:+.2f}, {high:+.2f}]",
        "p by permutation": f"{(beyond + 1) / (draws + 1):.3f}",
    }


def kendall(x: np.ndarray, y: np.ndarray) -> float:
    """Tau b: concordant less discordant pairs, over the pairs that are no ties in either; 0 where all tie.

    Example:
        >>> round(kendall(np.array([1, 2, 3.0]), np.array([1, 3, 2.0])), 3)
        0.333
    """
    from scipy.stats import kendalltau

    tau = float(kendalltau(x, y).statistic)
    return 0.0 if math.isnan(tau) else tau


TABLES: dict[str, Callable[[int, Path], Rows]] = {
    "gain": lambda seeds, work: arms("gain", seeds, work),
    "ablations": lambda seeds, work: arms("ablations", seeds, work),
    "search": lambda seeds, work: searchers(work),
    "retrained": lambda seeds, work: retrained(work),
}
