"""The claims of the audit put to the test: planted label noise, and a planted background cue. Resumable.

    python benchmarks/eat_audit.py --work audit.work --write

Trains small networks on worlds of the aviary (64 px): labels as an annotator with 0 or 5 % errors wrote them, and
backgrounds that go with the species in 0, 50, 90 and 100 % of the pictures. Then it audits each on its own pictures.
A network and an audit that are there are not made again; several processes may share one folder (`--part 0/2`).
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
import time
import warnings
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from _eat_cells import base_model
from _measure import STUDIES, conditions, dump, table, write
from sightline.common.statistics.bootstrap import bootstrap
from sightline.models.trunk import Trunk
from sightline.tasks.attributes.audit import Observations, Redrawn, audit
from sightline.tasks.attributes.audit.background import exchanged
from sightline.tasks.attributes.audit.noise import suspicions
from sightline.tasks.attributes.audit.observe import observe
from sightline.tasks.attributes.audit.scenes import redraw
from sightline.tasks.attributes.data.aviary import aviary_vocabulary
from sightline.tasks.attributes.data.examples import Examples, from_scenes
from sightline.tasks.attributes.network.net import AttributeNet, AttributeSpec
from sightline.tasks.attributes.recipe import EatRecipe
from sightline.tasks.attributes.train.calibrate import answers_of, fit_calibration
from sightline.tasks.attributes.train.fit import fit
from sightline.worlds.aviary import GROUPS, World, WorldConfig
from sightline.worlds.aviary.dataset import HELD_OUT, rendered

PAGE = STUDIES / "audit.md"
NOISE = (0.0, 0.05)
SHARES = (0.0, 0.5, 0.9, 1.0)
TOP = 100


@dataclass(frozen=True)
class Cell:
    """One network and its audit: how many of which scenes, and what was planted."""

    seed: int
    background: float = 0.0
    noise: float = 0.0
    count: int = 1500
    held: int = 500
    epochs: int = 8
    size: int = 64
    redrawn: int = 100
    changed: int = 20

    @property
    def name(self) -> str:
        """Of its files."""
        return f"audit-{self.seed}-b{self.background:g}-n{self.noise:g}"

    @property
    def world(self) -> World:
        """The world that is drawn: an annotator's errors change no pixel."""
        return World(WorldConfig(seed=self.seed, background_correlation=self.background))

    @property
    def noted(self) -> World:
        """The same world with an annotator who errs."""
        return World(replace(self.world.config, attribute_noise=self.noise))


def cells(seeds: int) -> list[Cell]:
    """Seed by seed; the clean world is shared by both questions."""
    planted = [(0.0, noise) for noise in reversed(NOISE)] + [(share, 0.0) for share in (0.9, 0.5, 1.0)]
    return [Cell(seed, background, noise) for seed in range(seeds) for background, noise in planted]


def pictures(cell: Cell, first: int, count: int, work: Path) -> tuple[Examples, Tensor]:
    """Scenes with what the annotator wrote, and which groups are wrong."""
    scenes = rendered(cell.world, first, count, size=cell.size, folder=work / "scenes", workers=1)
    noted = torch.tensor([cell.noted.scene(first + i).noted for i in range(count)])
    return from_scenes(replace(scenes, values=noted), aviary_vocabulary()), noted != scenes.values


def network(cell: Cell) -> AttributeNet:
    """The house's residual net, attributes read at a quarter of the side, joined with the class by fusion."""
    spec = AttributeSpec(
        backbone="bird",
        classes=cell.world.labels,
        vocabulary=aviary_vocabulary(),
        join="fusion",
        pool="places",
        stride=8,
        reading=4,
        width=32,
        size=cell.size,
        seed=cell.seed,
        preprocess={"mean": [0.5] * 3, "std": [0.25] * 3},
    )
    return AttributeNet(spec, Trunk(base_model("bird", cell.size)))


def trained(cell: Cell, train: Examples, held: Examples, work: Path) -> AttributeNet:
    """The network of a cell, from its file where it is there."""
    path = work / "audit-nets" / f"{cell.name}.pt"
    net = network(cell)
    if path.exists():
        net.load_state_dict(torch.load(path, weights_only=True))
        net = net.eval()
    else:
        torch.manual_seed(cell.seed)
        recipe = EatRecipe.of(part_weight=0.3, epochs=cell.epochs, device="cpu", seed=cell.seed)
        net = fit(net, train, recipe)
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(net.state_dict(), path.with_suffix(".half"))
        path.with_suffix(".half").replace(path)
    net.calibration = fit_calibration(net, train, answers_of(net, held))
    return net


def judged(cell: Cell, work: Path) -> dict[str, Any]:
    """Train and audit one cell."""
    train, wrong_train = pictures(cell, 0, cell.count, work)
    held, wrong_held = pictures(cell, HELD_OUT, cell.held, work)
    net = trained(cell, train, held, work)
    both = Examples(
        *(torch.cat([getattr(train, name), getattr(held, name)]) for name in ("images", "labels", "targets")),
        weights=torch.cat([train.weights, held.weights]),
        parts=torch.cat([train.parts, held.parts]),
        part_names=train.part_names,
    )
    names = tuple(f"{i:08d}" for i in [*range(cell.count), *range(HELD_OUT, HELD_OUT + cell.held)])
    seen = observe(net, both, names, trained=torch.arange(len(both)) < cell.count)
    accuracy = float((seen.decided == seen.labels)[cell.count :].float().mean())
    facts: dict[str, Any] = {"cell": asdict(cell), "accuracy": accuracy, "read": _read(seen, cell.count)}
    if not cell.background:
        facts["noise"] = noise_facts(seen, torch.cat([wrong_train, wrong_held]))
    if not cell.noise:
        scenes = [cell.world.scene(HELD_OUT + i) for i in range(min(cell.redrawn, cell.held))]
        again = redraw(net, cell.world, scenes, seen.prototypes, size=cell.size, changed=cell.changed)
        facts["background"] = background_facts(seen, again)
    return facts


def _read(seen: Observations, count: int) -> dict[str, float]:
    """Accuracy of each group on pictures that the network was not trained on."""
    found = {}
    for group in seen.vocabulary.groups:
        true = seen.answers(group.members)[count:]
        found[group.name] = float((seen.predictions(group.members)[count:] == true)[true >= 0].float().mean())
    return found


def noise_facts(seen: Observations, wrong: Tensor) -> dict[str, Any]:
    """Precision of the top of the ranking, recall, AUC, and how much is reported."""
    found = suspicions(seen)
    columns = [[group.name for group in GROUPS].index(question.name) for question in found.questions]
    known = found.label >= 0
    truth, score, flagged = wrong[:, columns][known], found.ranking[known], found.flagged[known]
    order = score.argsort(descending=True, stable=True)
    visible = torch.stack([seen.labelled(group.members) for group in seen.vocabulary.groups], dim=1)
    facts: dict[str, Any] = {
        "labels": int(known.sum()),
        "wrong": int(truth.sum()),
        "all labels": int(visible.sum()),
        "all wrong": int((wrong & visible).sum()),
        "unreadable": found.unreadable,
        "flagged": int(flagged.sum()),
        "rates": list(found.rates),
    }
    if bool(truth.any()) and not bool(truth.all()):
        top = min(TOP, int(score.isfinite().sum()))
        facts |= {
            "precision": float(truth[order[:top]].float().mean()) if top else 0.0,
            "top": top,
            "recall by rank": float(truth[order[: int(truth.sum())]].float().mean()),
            "precision of reported": float(truth[flagged].float().mean()),
            "recall of reported": float(flagged[truth].float().mean()),
            "AUC": _auc(score, truth),
        }
    return facts


def background_facts(seen: Observations, again: Redrawn) -> dict[str, Any]:
    """The score, its control, and what the audit of the network reports."""
    excess, towards, numbers = exchanged(again, len(seen.classes))
    report = audit(seen, again, kinds=["background", "shortcut", "class-read"])
    return {
        **numbers,
        "low": excess.interval.low,
        "high": excess.interval.high,
        "towards": towards.interval.mean,
        "reported": [finding.where for finding in report.verdicts["background"].findings],
        "shortcuts": [finding.where for finding in report.verdicts["shortcut"].findings],
        "class-read": [finding.where for finding in report.verdicts["class-read"].findings],
    }


def _auc(score: Tensor, truth: Tensor) -> float:
    """Share of pairs of a wrong and a right label in the right order; ties count half."""
    values, where = score.double().unique(return_inverse=True)
    yes = torch.bincount(where[truth], minlength=len(values)).double()
    no = torch.bincount(where[~truth], minlength=len(values)).double()
    return float((yes * (no.cumsum(0) - no / 2)).sum() / (yes.sum() * no.sum()))


def noise_table(found: list[dict[str, Any]]) -> str:
    """A row per seed and rate of noise."""
    head = ("planted", "seed", "labels ranked", "wrong", f"precision@{TOP}", "AUC", "recall by rank", "reported",
            "of these wrong", "recall of reported", "none reported of")  # fmt: skip
    rows = []
    for facts in sorted(found, key=lambda one: (one["cell"]["noise"], one["cell"]["seed"])):
        n = facts["noise"]
        share = f"{n['flagged']} ({n['flagged'] / max(1, n['labels']):.2%})"
        more = (f"{n[k]:.3f}" if k in n else "-" for k in ("precision", "AUC", "recall by rank"))
        behind = (f"{n[k]:.3f}" if k in n else "-" for k in ("precision of reported", "recall of reported"))
        left = ", ".join(name.removeprefix("has_") for name in n["unreadable"]) or "none"
        cell = facts["cell"]
        rows.append((f"{cell['noise']:.0%}", cell["seed"], n["labels"], n["wrong"], *more, share, *behind, left))
    return table(head, rows)


def background_table(found: list[dict[str, Any]]) -> str:
    """A row per share of scenes at home, the mean over seeds with its interval."""
    head = ("backgrounds of the species", "class accuracy", "flips by exchange", "by drawing again (control)",
            "dependence", "to the background's class", "to any other (control)", "decision reported")  # fmt: skip
    rows = []
    for share in SHARES:
        some = [one for one in found if one["cell"]["background"] == share]
        if some:
            keys = ("flips by exchange", "flips by drawing again", "background dependence",
                    "to the background's class", "to any other class")  # fmt: skip
            means = [_mean([one["background"][key] for one in some]) for key in keys]
            raised = sum("all classes" in one["background"]["reported"] for one in some)
            accuracy = _mean([one["accuracy"] for one in some])
            rows.append((f"{share:.0%}", accuracy, *means, f"{raised} of {len(some)}"))
    return table(head, rows)


def _mean(values: list[float]) -> str:
    return str(bootstrap(torch.tensor(values))) if len(values) > 1 else f"{values[0]:.3f}"


def main() -> None:
    """Audit every cell that is not there yet, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("audit.work"), help="folder of scenes, networks and audits")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--part", default="0/1", help="which share of the cells this process makes")
    parser.add_argument("--toy", action="store_true", help="tiny worlds, seconds, in a folder that is thrown away")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure here")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/studies/audit.md")
    asked = parser.parse_args()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning.*")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) if asked.toy else asked.work
        small = {"count": 60, "held": 20, "epochs": 1, "size": 32, "redrawn": 20, "changed": 2}
        todo = [replace(c, **small) for c in cells(1)[:3]] if asked.toy else cells(asked.seeds)
        at, of = (int(v) for v in asked.part.split("/"))
        for cell in todo[at::of]:
            _make(cell, work)
        paths = [_place(cell, work) for cell in todo]
        found = [json.loads(path.read_text()) for path in paths if path.exists()]
    tables = {
        "audit-noise": noise_table([one for one in found if "noise" in one]),
        "audit-background": background_table([one for one in found if "background" in one]),
    }
    about = conditions("cpu")
    print(about, *tables.values(), sep="\n\n")
    if asked.write:
        for name, text in tables.items():
            write(name, f"{about}\n\n{text}", PAGE)
    dump(asked.json, {"about": about, "cells": found})


def _place(cell: Cell, work: Path) -> Path:
    return work / "audits" / f"{cell.name}.json"


def _make(cell: Cell, work: Path) -> None:
    path = _place(cell, work)
    if path.exists():
        return
    begun = time.process_time()
    facts = judged(cell, work)
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".half")
    half.write_text(json.dumps(facts, indent=1))
    half.replace(path)
    print(f"{cell.name}: {time.process_time() - begun:.0f} s of CPU", flush=True)


if __name__ == "__main__":
    main()
