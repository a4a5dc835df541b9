"""Tables of the fine-tuned cells of `eat_study.py`: each arm beside the probe, and EAT as validation chooses it."""

from __future__ import annotations

import numpy as np

from _eat_claims import Cells, Key, crossed, plain, signed
from _study import Rows

CHOICE = "choice: "
EAT = ("eat", "eat 0.3", "parts")
"""Among which validation photos choose."""


def tuned(cells: Cells) -> Rows:
    """Fine-tuned networks beside the probe of the features before training."""
    rows = []
    for (data, base, arm, each), seeds in sorted(cells.by.items(), key=_order(cells)):
        if arm.startswith(CHOICE):
            continue
        one, probe, zero = (data, base, arm, each), (data, base, "probe", each), (data, base, "zero", each)
        second = arm.partition(",")[0] not in ("probe", "zero") and not arm.endswith("former rate")
        rows.append(
            {
                "network": base,
                "arm": arm,
                "seeds": str(len(seeds)),
                "epochs": plain(cells.mean(one, "epochs")).partition(".")[0],
                "trained on": "/".join(sorted({_machine(row.get("device")) for row in seeds.values()})),
                "accuracy": plain(cells.mean(one, "accuracy")),
                "less probe": "" if arm == "probe" else signed(crossed([cells.difference(one, probe, "hits")])),
                "less zero": signed(crossed([cells.difference(one, zero, "hits")])) if second else "",
                "energy": plain(cells.mean(one, "energy")),
                "another picture's map": plain(cells.mean(one, "another map")),
                "within classes": plain(cells.mean(one, "within")),
                "named is true": plain(cells.mean(one, "true")),
                "class control": plain(cells.mean(one, "true class")),
                "accuracy without the map's top fifth": plain(cells.mean(one, "deleted")),
                "without another map's": plain(cells.mean(one, "deleted another")),
                "CPU seconds": plain(cells.mean(one, "seconds")).partition(".")[0],
            }
        )
    return rows


def chosen(cells: Cells) -> Rows:
    """EAT's arm of the lowest validation loss, seed by seed, trained on all photos and held against the probe."""
    rows = []
    for data, base, each in dict.fromkeys((d, b, e) for d, b, _, e in cells.by):
        for manner in ("", ", attribute head as built"):
            arms = _arms(cells, (data, base, each), manner)
            picks = {seed: min(losses, key=losses.__getitem__) for seed, losses in arms.items() if len(losses) > 1}
            picks = {seed: arm for seed, arm in picks.items() if seed in cells.by.get((data, base, arm, each), {})}
            if not picks:
                continue
            pairs = [
                (cells.by[data, base, arm, each][seed], cells.by[data, base, "probe", each][0])
                for seed, arm in picks.items()
            ]
            hits = np.array([[int(a) - int(b) for a, b in zip(x["hits"], y["hits"], strict=True)] for x, y in pairs])  # type: ignore[call-overload]
            rows.append(
                {
                    "network": base,
                    "seeds": str(len(picks)),
                    "chosen": ", ".join(picks.values()),
                    "accuracy": plain(float(np.mean([float(str(one["accuracy"])) for one, _ in pairs]))),
                    "less probe": signed(crossed([hits.astype(float)])),
                }
            )
    return rows


def _arms(cells: Cells, place: tuple[str, str, int], manner: str) -> dict[int, dict[str, float]]:
    """Validation loss by seed and arm."""
    data, base, each = place
    losses: dict[int, dict[str, float]] = {}
    for arm in EAT:
        for seed, row in cells.by.get((data, base, f"{CHOICE}{arm}{manner}", each), {}).items():
            losses.setdefault(seed, {})[f"{arm}{manner}"] = float(str(row["loss"]))
    return losses


def _order(cells: Cells):
    bases = list(dict.fromkeys(base for _, base, _, _ in cells.by))

    def place(item: tuple[Key, object]) -> tuple[int, bool, bool, str]:
        _, base, arm, _ = item[0]
        return bases.index(base), arm != "probe", not arm.startswith("zero"), arm

    return place


def _machine(device: object) -> str:
    return "GPU" if device == "cuda" else "CPU"
