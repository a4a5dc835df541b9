"""The tables of `docs/studies/attributes.md`, from what was measured of the cells. An interval is over seeds, paired.

A seed draws its own scenes, weights and order; the arms of a seed share them. So the difference of two arms is taken
seed by seed, and its 95 % interval is Student's over the seeds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from _eat_cells import ASIDE, BOTTLENECKS, CONTROLS, GUIDED, TEST, Cell, cells, scenes
from _eat_measures import TESTS, Arrays, measure, points
from _study import Rows, interval
from sightline.tasks.attributes.data.aviary import aviary_vocabulary
from sightline.tasks.attributes.metrics.texts import blind_mentions, class_mentions, text_counts
from sightline.worlds.aviary.attributes import GROUPS, PARTS

BOTTLENECK_NAMES = {
    "narrow": "attributes",
    "narrow-permuted": "attributes of another class",
    "narrow-random": "a code per class",
    "narrow-context": "the kind of background",
    "narrow-classes": "the class",
    "bottleneck": "attributes",
    "bottleneck-permuted": "attributes of another class",
}


def plain(values: Sequence[float]) -> str:
    """Mean over seeds."""
    known = [v for v in values if not math.isnan(v)]
    return f"{np.mean(known):.3f}" if known else "-"


class Study:
    """The finished cells of one study, by world, base, arm and seed."""

    def __init__(self, study: str, seeds: int, work: Path, tests: int = TESTS, toy: bool = False):
        self.found: dict[tuple[str, str, str], dict[int, Arrays]] = {}
        self.cells: dict[tuple[str, str, str], dict[int, Cell]] = {}
        for cell in cells(study, seeds, toy):
            if (work / "nets" / f"{cell.name}.safetensors").is_file():
                key = cell.world, cell.base, cell.arm
                self.found.setdefault(key, {})[cell.seed] = measure(cell, work, tests)
                self.cells.setdefault(key, {})[cell.seed] = cell

    def values(self, world: str, base: str, arm: str, of: Callable[[Arrays], float]) -> dict[int, float]:
        """One figure per seed."""
        return {seed: of(found) for seed, found in self.found.get((world, base, arm), {}).items()}

    def differences(self, world: str, base: str, one: str, other: str, of: Callable[[Arrays], float]) -> list[float]:
        """The figure of one arm less that of another, for the seeds that both have."""
        a, b = self.values(world, base, one, of), self.values(world, base, other, of)
        return [a[seed] - b[seed] for seed in sorted(a.keys() & b.keys())]


def accuracy(found: Arrays) -> float:
    """Share of pictures whose class is right."""
    return float(found["right"].mean())


def shuffled(found: Arrays) -> float:
    """The same where backgrounds are drawn by chance."""
    return float(found["right_shuffled"].mean()) if "right_shuffled" in found else math.nan


def energy(found: Arrays) -> float:
    """Mean share of the class map's energy on the object, over the pictures whose map is not empty."""
    return float(found["energy"].mean())


def mean_of(name: str) -> Callable[[Arrays], float]:
    """Mean of an array."""
    return lambda found: float(np.nanmean(found[name])) if name in found else math.nan


def controls(study: Study, worlds: Sequence[str] = ("aviary", "background"), base: str = "bird") -> Rows:
    """Accuracy and concentration of every arm, and EAT against each."""
    rows = []
    for world in worlds:
        for arm in CONTROLS:
            seeds = study.values(world, base, arm, accuracy)
            if not seeds:
                continue
            less = "" if arm == "eat" else interval(study.differences(world, base, "eat", arm, energy))
            rows.append(
                {
                    "world": world,
                    "second task": arm,
                    "seeds": str(len(seeds)),
                    "accuracy": plain(list(seeds.values())),
                    "EAT less this": ""
                    if arm == "eat"
                    else interval(study.differences(world, base, "eat", arm, accuracy)),
                    "other backgrounds": plain(list(study.values(world, base, arm, shuffled).values())),
                    "energy on the bird": plain(list(study.values(world, base, arm, energy).values())),
                    "EAT less this ": less,
                    "control: another picture's map": plain(
                        list(study.values(world, base, arm, mean_of("swapped")).values())
                    ),
                    "control: area": plain(list(study.values(world, base, arm, mean_of("area")).values())),
                }
            )
    return rows


def guided(study: Study) -> Rows:
    """Accuracy, concentration and reading of the guided arms."""
    rows = []
    for arm in (*GUIDED, *ASIDE):
        seeds = study.values("aviary", "bird", arm, accuracy)
        if not seeds:
            continue
        row = {
            "arm": arm,
            "seeds": str(len(seeds)),
            "accuracy": plain(list(seeds.values())),
            "less lambda 0": _against_zero(study, arm, accuracy),
            "energy on the bird": plain(list(study.values("aviary", "bird", arm, energy).values())),
            "less lambda 0 ": _against_zero(study, arm, energy),
            "attributes read right": plain(list(study.values("aviary", "bird", arm, mean_of("read")).values())),
        }
        rows.append(row)
    return rows


def bottlenecks(study: Study) -> Rows:
    """A bottleneck of attributes against the same bottleneck of something else: accuracy and concentration."""
    rows = []
    for arm in ("narrow", *BOTTLENECKS, "bottleneck"):
        true = arm.partition("-")[0]
        seeds = study.values("aviary", "bird", arm, accuracy)
        if not seeds:
            continue
        less = [
            "" if arm == true else interval(study.differences("aviary", "bird", true, arm, of))
            for of in (accuracy, energy)
        ]
        rows.append(
            {
                "bottleneck of": BOTTLENECK_NAMES[arm],
                "guided": "parts" if true == "bottleneck" else "",
                "seeds": str(len(seeds)),
                "accuracy": plain(list(seeds.values())),
                "attributes less this": less[0],
                "energy on the bird": plain(list(study.values("aviary", "bird", arm, energy).values())),
                "attributes less this ": less[1],
                "less lambda 0": _against_zero(study, arm, energy),
            }
        )
    return rows


def _against_zero(study: Study, arm: str, of: Callable[[Arrays], float]) -> str:
    return "" if arm == "zero" else interval(study.differences("aviary", "bird", arm, "zero", of))


def grounding(studies: dict[str, Study], work: Path, tests: int = TESTS) -> Rows:
    """Part pointing and PCP at sigma = 4 of attribute maps, beside controls that do not look at attributes."""
    rows = []
    for name, study in studies.items():
        for (world, base, arm), seeds in study.found.items():
            if world != "aviary" or not any("peaks" in found for found in seeds.values()):
                continue
            size = next(iter(study.cells[world, base, arm].values())).size
            truth = Truth(scenes("aviary", TEST, tests, size, work))
            asked = {
                "attribute maps": lambda found: found["peaks"],
                "class map": lambda found: np.repeat(found["class_peak"][:, None], len(GROUPS), 1),
            }
            for what, of in asked.items():
                scored = [truth.scores(of(found)) for found in seeds.values() if "peaks" in found]
                rows.append(_grounded(name, arm, what, scored))
            if arm == "eat":
                rows.append(
                    _grounded(name, "-", "control: mean place in the box", [truth.scores(truth.mean_places())])
                )
    return rows


def _grounded(name: str, arm: str, what: str, scored: list[tuple[float, float, float]]) -> dict[str, str]:
    columns = list(zip(*scored, strict=True))
    return {
        "study": name,
        "arm": arm,
        "peak of": what,
        "seeds": str(len(scored)),
        "in the part": _level(columns[0]),
        "within 0.1 of the box's diagonal": _level(columns[1]),
        "PCP, sigma 4": _level(columns[2]),
    }


def _level(values: Sequence[float], share: bool = True) -> str:
    return interval(values, "", share=share) if len(values) > 1 else f"{values[0]:.3f}"


class Truth:
    """Where the parts of held-out scenes are."""

    def __init__(self, examples) -> None:
        self.parts = examples.parts
        self.middles, self.box = points(examples)
        self.ids = [PARTS.index(g.part) if g.part in PARTS else -1 for g in GROUPS]
        self.seen = examples.weights[:, [g.members[0] for g in aviary_vocabulary().groups]] > 0

    def scores(self, peaks) -> tuple[float, float, float]:
        """Mean over parts of: peak in the part's pixels; near its middle; equal boxes that overlap by half."""
        at = torch.as_tensor(peaks).float()
        side = self.parts.shape[1]
        hits, close, boxes = [], [], []
        for g, part in enumerate(self.ids):
            if part < 0:
                continue
            seen = self.seen[:, g] & ~self.middles[:, part, 0].isnan()
            x, y = (at[seen, g] * side).long().clamp(0, side - 1).unbind(1)
            hits.append((self.parts[seen][torch.arange(int(seen.sum())), y, x] == part + 1).float().mean())
            away = (at[seen, g] - self.middles[seen, part]).abs()
            diagonal = self.box[seen, 2:].norm(dim=1)
            close.append((away.norm(dim=1) <= 0.1 * diagonal).float().mean())
            over = (1 - away / (self.box[seen, 2:] / 4)).clamp(min=0)
            boxes.append((over.prod(1) >= 2 / 3).float().mean())
        return tuple(float(torch.stack(v).mean()) for v in (hits, close, boxes))  # type: ignore[return-value]

    def mean_places(self):
        """For every group the mean place of its part inside the bird's box, put into each picture's own box."""
        inside = (self.middles - self.box[:, None, :2]) / self.box[:, None, 2:]
        mean = inside.nanmean(0)
        placed = self.box[:, None, :2] + mean[None] * self.box[:, None, 2:]
        return placed[:, [max(0, part) for part in self.ids]]


def text(studies: dict[str, Study], work: Path, tests: int = TESTS) -> Rows:
    """What the sentences say, against the truth of each picture, beside two texts that do not look."""
    vocabulary, rows = aviary_vocabulary(), []
    for name, study in studies.items():
        for (world, base, arm), seeds in study.found.items():
            if world != "aviary" or not any("mentions" in found for found in seeds.values()):
                continue
            size = next(iter(study.cells[world, base, arm].values())).size
            examples = scenes("aviary", TEST, tests, size, work)
            truth, known = examples.targets, examples.weights > 0
            for who in (arm, BLIND, CLASS_NAME):
                said = [_mentions(who, found, len(truth)) for found in seeds.values() if "mentions" in found]
                counts = [text_counts(one, truth, known, vocabulary) for one in said]
                row = {"study": name, "arm": arm, "text": who, "seeds": str(len(counts))}
                for what in ("precision", "recall", "value_flips", "not_visible", "silent"):
                    row[what.replace("_", " ")] = _level([getattr(one, what)().mean for one in counts])
                rows.append(row)
    return rows


BLIND, CLASS_NAME = "control: image-blind", "control: class name"


def _mentions(who: str, found: Arrays, count: int) -> torch.Tensor:
    """What a text names: the network's, or one of the two that do not look."""
    if who == BLIND:
        return blind_mentions(torch.from_numpy(found["frequency"]), 3, count)
    if who == CLASS_NAME:
        return class_mentions(torch.from_numpy(found["prototypes"]), torch.from_numpy(found["target"]), 3)
    return torch.from_numpy(found["mentions"])


def faithfulness(study: Study) -> Rows:
    """Does the score fall when the named attribute is drawn otherwise, and when another one is?"""
    rows = []
    for (_, _, arm), seeds in study.found.items():
        have = [found for found in seeds.values() if "fall" in found and len(found["fall"])]
        if have:
            rows.append(
                {
                    "arm": arm,
                    "seeds": str(len(have)),
                    "the score falls": _level([float((f["fall"] > 0).mean()) for f in have]),
                    "mean fall": _level([float(f["fall"].mean()) for f in have], share=False),
                    "mean fall, attribute not named": _level(
                        [float(f["fall_other"].mean()) for f in have], share=False
                    ),
                    "difference": interval([float(f["fall"].mean() - f["fall_other"].mean()) for f in have]),
                }
            )
    return rows
