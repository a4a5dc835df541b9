"""Tables of the study of clicks, from its cells."""

from __future__ import annotations

import numpy as np

from _clicks_cells import BANDIT, CLASSES, FRAPPE, RIVALS, WAYS, WIDE
from _clicks_jobs import Cell
from _clicks_speed import MODELS
from _study import Rows, interval
from sightline.tasks.clicks.world import LEVELS

ONES = "pair weights of ones"
"""The way of `WAYS` in which the pair weights of SAM3A begin as published."""


def spread(values: list[float], *, share: bool = False) -> str:
    """Mean and 95 % interval; values that are all equal have none."""
    return interval(values, "", share=share)


def table_planted(cells: list[Cell]) -> Rows:
    order = ("fm", "fwfm", "sam3a", "deepfm", "untrained", "shuffled clicks")
    rows: Rows = []
    for model in order:
        own = [one for one in cells if one["model"] == model]
        if own:
            recall = spread([one["recall"] for one in own], share=True)
            ranking = spread([one["ranking"] for one in own], share=True)
            rows.append({"map of": model, "recall@8": recall, "planted above other": ranking})
    if rows:
        rows.append(
            {"map of": "random order", "recall@8": f"{cells[0]['chance']:.3f}", "planted above other": "0.500"}
        )
    return rows


def table_classes(cells: list[Cell]) -> Rows:
    rows: Rows = []
    best = {one["seed"]: one["loss"] for one in cells if one["model"] == "sam3a"}
    for model in ("truth", *CLASSES, "click rate"):
        own = [one for one in cells if one["model"] == model]
        if own:
            beyond = [one["loss"] - best[one["seed"]] for one in own if one["seed"] in best]
            rows.append(
                {
                    "model": model,
                    "log loss": spread([one["loss"] for one in own]),
                    "less that of SAM3A": "0" if model == "sam3a" or not beyond else interval(beyond, "+"),
                    "AUC": spread([one["auc"] for one in own], share=True),
                    "CPU s": f"{np.mean([one['cpu'] for one in own]):.0f}",
                }
            )
    return rows


def table_ways(cells: list[Cell]) -> Rows:
    """SAM3A in other ways, less SAM3A as it is; the others at each learning rate, less SAM3A at the same."""
    known = {(one["model"], one["way"], one["seed"]): one["loss"] for one in cells}
    seeds = sorted({one["seed"] for one in cells})
    rows: Rows = []
    rates = ("", *list(WAYS)[:2])
    for model, way in [("sam3a", way) for way in ("", *WAYS)] + [(m, way) for m in RIVALS for way in rates]:
        own = {seed: known[model, way, seed] for seed in seeds if (model, way, seed) in known}
        best = "" if model == "sam3a" else way
        beyond = [own[seed] - known["sam3a", best, seed] for seed in own if ("sam3a", best, seed) in known]
        if own:
            name = "sam3a at the same rate" if best else "sam3a as it is"
            shown = "0" if (model, way) == ("sam3a", "") or not beyond else f"{interval(beyond, '+')} ({name})"
            rows.append(
                {
                    "model": model,
                    "way": way or "as it is",
                    "log loss": spread(list(own.values())),
                    "less that of SAM3A": shown,
                    "less that of SAM3A with ones": _beyond_ones(own, known) if not way and model != "sam3a" else "-",
                }
            )
    return rows


def _beyond_ones(own: dict[int, float], known: dict[tuple[str, str, int], float]) -> str:
    ones = {seed: known["sam3a", ONES, seed] for seed in own if ("sam3a", ONES, seed) in known}
    return interval([own[seed] - loss for seed, loss in ones.items()], "+")


def table_wide(cells: list[Cell]) -> Rows:
    """A row for each world: what is planted differs between them."""
    rows: Rows = []
    for seed in sorted({one["seed"] for one in cells}):
        own = {one["model"]: one for one in cells if one["seed"] == seed}
        levels = " x ".join(str(LEVELS[place]) for place in own["truth"]["triple"])
        rows.append(
            {"world": str(seed), "categories of the triple": levels}
            | {model: f"{own[model]['loss']:.3f}" for model in ("truth", *WIDE) if model in own}
        )
    return rows


def table_frappe(cells: list[Cell]) -> Rows:
    rows: Rows = []
    linear = {one["seed"]: one["auc"] for one in cells if one["model"] == "lr"}
    for model in FRAPPE:
        own = [one for one in cells if one["model"] == model]
        if own:
            beyond = [one["auc"] - linear[one["seed"]] for one in own if one["seed"] in linear]
            rows.append(
                {
                    "model": model,
                    "AUC": spread([one["auc"] for one in own], share=True),
                    "less that of lr": "0" if model == "lr" or not beyond else interval(beyond, "+"),
                    "log loss": spread([one["loss"] for one in own]),
                    "calibration error": spread([one["error"] for one in own]),
                }
            )
    if rows:
        loss = f"{cells[0]['constant']:.3f}"
        rate = {"model": "click rate", "AUC": "0.500", "less that of lr": "-"}
        rows.append({**rate, "log loss": loss, "calibration error": "-"})
    return rows


def table_bandit(cells: list[Cell]) -> Rows:
    rows: Rows = []
    for model in BANDIT:
        for own in (one for one in cells if one["model"] == model):
            means = f"{own['predicted']:.4f} and {own['rate']:.4f}, error {own['error']:.4f}"
            rows.append({"model": model, "figure": "predicted and observed click rate", "value": means})
            rows += [
                {"model": model, "figure": name, "value": f"{value:.4f} [{low:.4f}, {high:.4f}]"}
                for name, value, low, high in own["estimates"]
            ]
    return rows


def table_speed(cells: list[Cell]) -> Rows:
    rows: Rows = []
    for model in MODELS:
        own = next((one for one in cells if one["model"] == model), None)
        if own is None:
            continue
        rows.append(
            {
                "model": model,
                "ours, rows per CPU s": f"{own['ours']:,.0f}",
                **_beside(own),
            }
        )
    return rows


def _beside(own: Cell) -> dict[str, str]:
    ratio = own["ratio"]
    return {
        "DeepCTR-Torch": f"{own['theirs']:,.0f}" if "theirs" in own else "-",
        "ours over theirs": f"{ratio[1]:.2f} ({ratio[0]:.2f} to {ratio[2]:.2f})" if ratio else "-",
    }


def table_device(cells: list[Cell]) -> Rows:
    """A row for each model and size of batch."""
    rows: Rows = []
    for batch in sorted({one["batch"] for one in cells}):
        for model in MODELS:
            own = next((one for one in cells if (one["model"], one["batch"]) == (model, batch)), None)
            if own is None:
                continue
            rows.append(
                {
                    "model": model,
                    "batch": f"{batch:,}",
                    "device": own["device"],
                    "ours, rows per s": f"{own['ours']:,.0f}",
                    **_beside(own),
                }
            )
    return rows


def table_encoding(cells: list[Cell]) -> Rows:
    return [
        {
            "rows": f"{one['rows']:,}",
            "rows per CPU s": f"{one['rows'] / one['cpu']:,.0f}",
            "text, bytes a row": f"{one['text']:.0f}",
            "Parquet, bytes a row": f"{one['parquet']:.0f}",
        }
        for one in cells
    ]


def table_memory(cells: list[Cell]) -> Rows:
    cells = sorted(cells, key=lambda one: one["rows"])
    return [
        {"rows": f"{one['rows']:,}", "peak, MiB": f"{one['peak']:.0f}", "CPU s": f"{one['cpu']:.0f}"} for one in cells
    ]
