"""Are attributes of photos read where they are? Guided by key points and by boxes, against fixed places. Resumable.

    python benchmarks/eat_points.py train --work eat_points.work        # needs the test pack and the extra `imagenet`
    python benchmarks/eat_points.py tables --work eat_points.work --write

EfficientNet-Lite0 on the CUB subset at 224 px: heads on frozen features, and whole networks fine-tuned. The pool and
the weight of the guide are chosen on validation photos of the first seed. A finished cell is not trained again.
"""

from __future__ import annotations

import json
import logging
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from _eat_cells import _pack
from _measure import conditions
from _study import Rows, arguments, part_of, publish
from sightline.common.files import write_text
from sightline.common.statistics.bootstrap import bootstrap
from sightline.models.load import load_model
from sightline.tasks.attributes.data.examples import Examples, object_shares
from sightline.tasks.attributes.data.pictures import Pictures, gather
from sightline.tasks.attributes.metrics.energy import mean_of_others, shares_on
from sightline.tasks.attributes.metrics.pointing import CONTROLS, hit_tables, own_points, peaks_of, read_at, spots_of
from sightline.tasks.attributes.network.net import AttributeNet, AttributeSpec, attribute_net
from sightline.tasks.attributes.recipe import EatRecipe
from sightline.tasks.attributes.train.calibrate import normalised
from sightline.tasks.attributes.train.fit import fit, kept_features
from sightline.tasks.attributes.train.guidance import class_maps

NAMES = {"network": "pointing", "energy": "energy on the bird's box"}
FIGURES = ("right", "network", *CONTROLS, "energy", "mean map", "area")


@dataclass(frozen=True)
class Cell:
    """One training: what is guided, and how strongly."""

    arm: str
    seed: int
    frozen: bool
    pool: str = "places"
    parts: float = 0.0
    outside: float = 0.0
    epochs: int = 10

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{'frozen' if self.frozen else 'whole'}-{self.arm}-{self.seed}"

    @property
    def recipe(self) -> EatRecipe:
        """What `train eat` would be asked for."""
        own = EatRecipe.of(
            backbone="imagenet", pool=self.pool, part_weight=self.parts, outside_weight=self.outside,
            epochs=self.epochs, frozen=self.frozen, seed=self.seed, incomplete=True, device="cpu", precision="32",
        )  # fmt: skip
        return own.settled(drawn=False, size=load_model("imagenet", weights="random").preprocess.size[0])


def cells(seeds: int) -> list[Cell]:
    """Frozen arms first; those by which is chosen have the first seed only."""
    few = 2  # each epoch of a frozen training shows every photo ten times
    frozen = [
        ("nothing", {}), ("parts", {"parts": 1.0}), ("parts, weight 0.3", {"parts": 0.3}),
        ("parts, pool average", {"parts": 1.0, "pool": "average"}), ("outside", {"outside": 1.0}),
    ]  # fmt: skip
    whole = [("parts", {"parts": 1.0}), ("parts and outside", {"parts": 1.0, "outside": 1.0}), ("nothing", {})]
    chosen = ("nothing", "parts", "outside")
    first = [Cell(arm, 0, frozen=True, epochs=few, **own) for arm, own in frozen]
    more = [
        Cell(arm, seed, frozen=True, epochs=few, **own)
        for seed in range(1, seeds)
        for arm, own in frozen
        if arm in chosen
    ]
    return [*first, *more, *(Cell(arm, seed, frozen=False, **own) for arm, own in whole for seed in range(seeds))]


def network(cell: Cell, data: Pictures, recipe: EatRecipe) -> AttributeNet:
    """The network before it has learnt."""
    own: Any = {"join": recipe.network.join, "pool": cell.pool}
    spec = AttributeSpec(
        backbone=recipe.network.backbone, classes=data.classes, vocabulary=data.vocabulary, size=recipe.network.side,
        stride=recipe.network.stride, seed=cell.seed, **own,
    )  # fmt: skip
    return attribute_net(spec)


def trained(cell: Cell, work: Path) -> dict[str, dict[str, list[float]]]:
    """Train one cell and measure it on validation and test photos."""
    data = gather(_pack() / "cub_200_2011_subset" / "CUB_200_2011", cell.recipe, work)
    net = network(cell, data, cell.recipe)
    train = data.train
    if cell.frozen:
        # all photos of a grid, also where only means are read: the guide needs places
        needs = replace(cell.recipe, loss=replace(cell.recipe.loss, part_weight=1.0))
        train = replace(train, features=kept_features(net, train, needs, work / "features" / f"seed{cell.seed}"))
    fit(net, train, cell.recipe)
    return {name: measured(net, getattr(data, name)) for name in ("validation", "test")}


def measured(net: AttributeNet, examples: Examples, batch: int = 32) -> dict[str, list[float]]:
    """Every figure, photo by photo."""
    words, own = net.spec.vocabulary, own_points(net.spec.vocabulary, examples.part_names)
    peaks, maps, right = [], [], []
    for at in range(0, len(examples), batch):
        some = examples.take(slice(at, at + batch))
        with torch.no_grad():
            features = net.eval().trunk(normalised(net, some.images))
        reading = net.read_features(features.requires_grad_())
        maps.append(class_maps(reading.classes.max(1).values, features).detach())
        peaks.append(peaks_of(read_at(net.attribute_head, reading.attributes, reading.probabilities, words).detach()))
        right.append((reading.classes.argmax(1) == some.labels).float())
    drawn, spots = torch.cat(maps), spots_of(examples.parts, len(examples.part_names))
    known = torch.stack([(examples.weights[:, list(g.members)] > 0).any(1) for g in words.groups], 1)
    hits = hit_tables(torch.cat(peaks), spots, own, known)
    inside = object_shares(examples.parts, (drawn.shape[1], drawn.shape[2]))
    scaled = drawn / drawn.sum((1, 2), keepdim=True).clamp(min=1e-12)
    figures: dict[str, Tensor] = {
        "right": torch.cat(right),
        **{name: table.nanmean(1) for name, table in hits.items()},
        "energy": shares_on(scaled, inside),
        "mean map": shares_on(mean_of_others(scaled), inside),
        "area": inside.mean((1, 2)),
    }
    return {name: values.tolist() for name, values in figures.items()}


def rows(some: Sequence[tuple[Cell, dict[str, Any]]], of: Sequence[str], split: str = "test") -> Rows:
    """A row per arm: means over photos and seeds; intervals over photos, of the mean over seeds of each."""
    table = []
    arms = {(cell.frozen, cell.arm): None for cell, _ in some}
    for frozen, arm in arms:
        own = [facts[split] for cell, facts in some if (cell.frozen, cell.arm) == (frozen, arm)]
        means = {name: torch.tensor([one[name] for one in own]).mean(0) for name in FIGURES}
        row = {
            "trained": "heads on frozen features" if frozen else "the whole network",
            "guided by": arm,
            "seeds": str(len(own)),
            "class accuracy": f"{float(means['right'].mean()):.3f}",
            NAMES[of[0]]: str(bootstrap(means[of[0]])),
        }
        for name in of[1:]:
            row[f"control: {name}"] = f"{float(means[name].nanmean()):.3f}"
            row[f"less {name}"] = str(bootstrap(means[of[0]] - means[name]))
        row["by seed"] = ", ".join(f"{float(torch.tensor(one[of[0]]).nanmean()):.3f}" for one in own)
        table.append(row)
    return table


def finished(todo: Sequence[Cell], work: Path) -> Iterator[tuple[Cell, dict[str, Any]]]:
    """The cells whose figures are there."""
    for cell in todo:
        if (path := _place(cell, work)).is_file():
            yield cell, json.loads(path.read_text())


def toy(todo: Sequence[Cell]) -> list[tuple[Cell, dict[str, Any]]]:
    """Figures drawn at random, so that tables are tried in no time; the networks are tried by their own tests."""
    draw = torch.Generator().manual_seed(0)
    one = lambda: {name: torch.rand(12, generator=draw).tolist() for name in FIGURES}  # noqa: E731
    return [(cell, {"validation": one(), "test": one()}) for cell in todo]


def _place(cell: Cell, work: Path) -> Path:
    return work / "cells" / f"{cell.name}.json"


def main() -> None:
    """Train what is not there yet, then print the tables."""
    asked = arguments(__doc__, "eat_points.work", "places", ()).parse_args()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning.*")
    torch.set_num_threads(1)
    todo = cells(min(asked.seeds, 3))
    at, of = part_of(asked)
    for cell in () if asked.toy or asked.what == "tables" else todo[at::of]:
        if not _place(cell, asked.work).is_file():
            begun = time.process_time()
            facts = trained(cell, asked.work)
            _place(cell, asked.work).parent.mkdir(parents=True, exist_ok=True)
            write_text(_place(cell, asked.work), json.dumps(facts))
            print(f"{cell.name}: {time.process_time() - begun:.0f} s of CPU", flush=True)
    with tempfile.TemporaryDirectory():
        some = toy(todo) if asked.toy else list(finished(todo, asked.work))
    print(conditions("cpu"))
    first = [(cell, facts) for cell, facts in some if cell.frozen and not cell.seed]
    tables = {
        "pointing": rows(some, ("network", "mean place", "best place in the box")),
        "chosen": rows(first, ("network", "mean place"), "validation"),
        "energy": rows(some, ("energy", "mean map", "area")),
    }
    publish(tables, "eat_points", json_to=asked.json, write=asked.write)


if __name__ == "__main__":
    main()
