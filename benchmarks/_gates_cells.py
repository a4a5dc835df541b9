"""The cells of the gates' study: which network with which gate is trained on what. No tables.

A cell is a data set, a setting, an arm and a seed; it is trained once and kept as one JSON file of figures.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import lightning
import torch
from torch import Tensor, nn

from sightline.errors import TrainingError
from sightline.gates.store import GatedSpec, gated_net, plain_net
from sightline.gates.surgery.plug import plugged
from sightline.tasks.classification.data.pictures import Pictures, colours, gather
from sightline.tasks.classification.fit import fit, scores
from sightline.tasks.classification.recipe import ClassifyRecipe
from sightline.tasks.gate_search.accuracy import Accuracy
from sightline.tasks.gate_search.network import mask, supernet
from sightline.tasks.gate_search.search import search
from sightline.training.augmentation import normalised
from sightline.training.loop import Watch
from sightline.worlds.aviary import World, WorldConfig
from sightline.worlds.aviary.dataset import HELD_OUT, rendered

ARMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "constant": {"gate": "constant"},
    **{name: {"gate": name, "share": "block"} for name in ("se", "eca", "cbam", "sge")},
    "dia": {"gate": "dia"},
    "share-se": {"gate": "se"},
    "share-sge": {"gate": "sge"},
    **{f"ean-{name}": {"gate": name, "scheme": "searched"} for name in ("se", "sge", "dia")},
}
"""What is plugged: one gate per block, one per stage, or one per stage at the blocks that a search chose."""
SETTINGS: dict[str, dict[str, Any]] = {
    "usual": {},
    "without shortcuts": {"skip": False},
    "without norms": {"norm": False, "rate": 0.01},
    "without augmentation": {"augment": False},
}
RATE = 0.03
"""At the start; without norms everything diverges at it, so that setting has its own."""
ABLATED = ("plain", "constant", "se", "share-se", "dia")
DATA = ("cifar", "aviary")
SEARCHED = ("se", "sge", "dia")
DEEP = "se-deep"
"""The supernet on which searchers are compared, and whose schemes are trained from scratch."""
SUPERNETS = (*SEARCHED, DEEP)
STUDIES = ("search", "gain", "ablations", "retrained")
RETRAINED, RETRAINED_SEEDS = 16, 2
"""Schemes of the gate `se` that are trained from scratch, and how often."""
SPARSITY = 0.02
WORLD = WorldConfig(species=8, twins=0, bird_size=1.3, occluders=0.0)
"""The aviary of the study: what a network of this size can learn from pictures of 32 pixels in a few seconds."""
TESTS, HELD_BACK, SEARCH_SEED = 500, 500, 900
"""Scenes to test on; those by which a search scores schemes, which nothing else sees; the search's own seed."""


@dataclass(frozen=True)
class Size:
    """How large the study is.

    Args:
        depth: of the CIFAR ResNet, 6n + 2.
        deep: of the one whose blocks are searched among.
        widths: of its stages.
        side: of the pictures.
        scenes: of the aviary to learn from.
        epochs: passes, by data set.
        supernet: passes of a supernet.
        batch: pictures per step.
    """

    depth: int = 14
    deep: int = 20
    widths: tuple[int, int, int] = (8, 16, 32)
    side: int = 32
    scenes: int = 1000
    epochs: tuple[tuple[str, int], ...] = (("cifar", 24), ("aviary", 12), ("retrained", 12))
    supernet: int = 40
    batch: int = 32

    @property
    def searched(self) -> Size:
        """The same with the deeper network."""
        return replace(self, depth=self.deep)

    @property
    def lengths(self) -> tuple[int, int, int]:
        """Blocks of the stages."""
        count = (self.depth - 2) // 6
        return count, count, count


TOY = Size(8, 14, (8, 8, 8), 16, 60, (("cifar", 1), ("aviary", 1), ("retrained", 1)), 1, 20)


@dataclass(frozen=True)
class Cell:
    """One training.

    Args:
        study: of which table.
        data: `cifar` or `aviary`.
        setting: of `SETTINGS`.
        arm: of `ARMS`.
        seed: of weights, order, augmentation, and of the split or the scenes.
        scheme: bits, where the cell is of a certain scheme.
    """

    study: str
    data: str
    setting: str
    arm: str
    seed: int
    scheme: str = ""

    @property
    def name(self) -> str:
        """Of its file."""
        parts = (self.study, self.data, self.setting.replace(" ", "_"), self.arm, self.scheme.replace("|", "_"))
        return "-".join([part for part in parts if part] + [str(self.seed)])


def cells(study: str, seeds: int, work: Path) -> list[Cell]:
    """All cells of a study, seed by seed, so that an interrupted one is balanced."""
    if study == "gain":
        return [Cell(study, d, "usual", arm, s) for s in range(seeds) for d in usable(work) for arm in ARMS]
    if study == "ablations":
        settings = [name for name in SETTINGS if name != "usual"]
        return [
            Cell(study, d, setting, arm, s)
            for s in range(seeds)
            for d in usable(work)
            for setting in settings
            for arm in ABLATED
        ]
    chosen = spread(table_of(work, DEEP) or {}, RETRAINED)
    return [
        Cell(study, "aviary", "usual", "share-se", s, scheme) for s in range(RETRAINED_SEEDS) for scheme in chosen
    ]


def usable(work: Path) -> tuple[str, ...]:
    """The data sets that are here."""
    return DATA if (pack() / "cifar10_test_subset").is_dir() else DATA[1:]


def train(cell: Cell, work: Path, size: Size) -> dict[str, Any]:
    """Train one cell and keep its figures; a training that ends in no number counts as guessing."""
    size = size.searched if cell.scheme else size
    torch.set_num_threads(1)
    begun = time.process_time()
    pictures, setting = pictures_of(cell.data, cell.seed, size, work), SETTINGS[cell.setting]
    net = network(cell, len(pictures.classes), work, size)
    chance = 1 / len(pictures.classes)
    found = {**asdict(cell), "chance": chance, "parameters": sum(p.numel() for p in net.parameters())}
    found["scheme"] = str(plugged(net).scheme) if ARMS[cell.arm] else ""
    epochs = dict(size.epochs)[cell.study if cell.scheme else cell.data]
    try:
        own = recipe(cell.seed, epochs, size, setting.get("augment", True), setting.get("rate", RATE))
        fit(net, pictures, own)
        found |= {"finite": True, "accuracy": right(net, pictures, pictures.test)}
        found["learnt"] = right(net, pictures, pictures.train[:500])
    except TrainingError:
        found |= {"finite": False, "accuracy": chance, "learnt": chance}
    found["seconds"] = time.process_time() - begun
    write(work / "cells" / f"{cell.name}.json", found)
    return found


def network(cell: Cell, classes: int, work: Path, size: Size) -> nn.Module:
    """The arms of a seed begin with the same weights outside their gates."""
    spec = spec_of(classes, size)
    more = {name: value for name, value in SETTINGS[cell.setting].items() if name in ("skip", "norm")}
    own = dict(ARMS[cell.arm])
    if own.get("scheme") == "searched":
        own["scheme"] = searched(work, own["gate"])
    if cell.scheme:
        own["scheme"] = cell.scheme
    return gated_net(replace(spec, **more, **own), seed=cell.seed)


def spec_of(classes: int, size: Size) -> GatedSpec:
    """The plain network."""
    names = tuple(map(str, range(classes)))
    return GatedSpec(f"cifar-resnet{size.depth}", names, {"widths": list(size.widths)})


def recipe(seed: int, epochs: int, size: Size, augment: bool = True, lr: float = RATE) -> ClassifyRecipe:
    """The usual recipe, shortened; the test pictures are looked at once, at the end."""
    return ClassifyRecipe.of(
        lr=lr,
        lr_milestones=(max(1, epochs // 2), max(2, epochs * 3 // 4)),
        weight_decay=1e-4,
        augment="crop-flip" if augment else "none",
        epochs=epochs,
        batch_size=size.batch,
        check_every=0,
        device="cpu",
        seed=seed,
    )


def right(net: nn.Module, pictures: Pictures, rows: Tensor) -> float:
    """Share of some pictures whose class is named."""
    said = scores(net.eval(), pictures, rows)
    return float((said.argmax(1) == pictures.labels[rows]).double().mean())


def pictures_of(data: str, seed: int, size: Size, work: Path) -> Pictures:
    """Scenes of a seed's own, or CIFAR's pictures split anew by each seed: 20 of each class are tested on."""
    if data == "aviary":
        return scenes(seed * size.scenes, size.scenes, size, work)
    found = cifar(size.side, work)
    draw = torch.Generator().manual_seed(1000 + seed)
    order = torch.randperm(len(found.labels), generator=draw)
    tests = torch.cat([rows[: len(rows) // 3] for k in range(10) if len(rows := order[found.labels[order] == k])])
    held = torch.zeros(len(order), dtype=torch.bool)
    held[tests] = True
    return replace(found, train=torch.nonzero(~held)[:, 0], test=torch.nonzero(held)[:, 0])


def scenes(first: int, count: int, size: Size, work: Path) -> Pictures:
    """Scenes of the study's world by their numbers, and those that everything is tested on."""
    world = World(WORLD)
    tested = min(TESTS, count)
    jobs = ((first, count), (HELD_OUT, tested))
    drawn = [rendered(world, at, n, size=size.side, folder=work / "scenes", workers=1) for at, n in jobs]
    images, labels = (torch.cat([getattr(part, name) for part in drawn]) for name in ("images", "labels"))
    rows = torch.arange(len(labels))
    learnt, source = rows[:count], f"{count} scenes"
    return Pictures(
        images, labels, learnt, rows[count:], world.labels, *colours(images, learnt), source, fingerprint=source
    )


@cache
def cifar(side: int, work: Path) -> Pictures:
    return gather(pack() / "cifar10_test_subset", ClassifyRecipe.of(size=side), work)


def explore(name: str, work: Path, size: Size) -> None:
    """Train a supernet of `SUPERNETS` on the aviary and score every scheme; both go on where they stopped."""
    gate, size = name.removesuffix("-deep"), size.searched if name == DEEP else size
    back = min(HELD_BACK, size.scenes // 3)
    whole = scenes(SEARCH_SEED * size.scenes, size.scenes + back, size, work)
    pictures = replace(whole, train=whole.train[back:], test=whole.train[:back])
    net = supernet(plain_net(spec_of(len(whole.classes), size)), gate)
    masks = Masks()
    folder = work / f"supernet-{name}"
    fit(net, pictures, recipe(0, size.supernet, size), work=folder, watch=Watch([masks]))
    score = Accuracy(net, ready(pictures, pictures.test), calibration=ready(pictures, pictures.train[:back]))
    log = work / f"search-{name}.log"
    found = search(score, size.lengths, searcher="exhaustive", budget=2 ** sum(size.lengths), sparsity=0.0, log=log)
    write(work / f"table-{name}.json", {str(trial.scheme): trial.score for trial in found.trials})


class Masks(lightning.Callback):
    """A fresh scheme before every step, which depends on the step alone."""

    def on_train_batch_start(self, trainer: Any, task: Any, batch: Any, index: int) -> None:
        """Draw and use it."""
        mask(task.net, torch.Generator().manual_seed(7_000_003 * trainer.current_epoch + index))


def ready(pictures: Pictures, rows: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Inputs and labels, batch by batch."""
    mean, std = (torch.tensor(value).view(1, 3, 1, 1) for value in (pictures.mean, pictures.std))
    return [(normalised(pictures.images[p], mean, std), pictures.labels[p]) for p in torch.split(rows, 250)]


def table_of(work: Path, name: str) -> dict[str, float] | None:
    """Score of every scheme in a supernet, where it was explored."""
    path = work / f"table-{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def searched(work: Path, gate: str) -> str:
    """The best scheme of a gate's supernet, sparsity counted; every second block where none was explored.

    Which of the two a cell had, its file says by its bits.
    """
    table = table_of(work, gate)
    if not table:
        return "every-2"
    return max(sorted(table), key=lambda scheme: worth(scheme, table[scheme]))


def worth(scheme: str, score: float) -> float:
    """Score plus the published weight times the share of blocks without a gate."""
    bits = scheme.replace("|", "")
    return score + SPARSITY * bits.count("0") / len(bits)


def spread(table: dict[str, float], count: int) -> list[str]:
    """Schemes at equal steps of rank, from the worst to the best in the supernet."""
    ranked = sorted(table, key=lambda scheme: (table[scheme], scheme))
    if len(ranked) <= count:
        return ranked
    return [ranked[round(at * (len(ranked) - 1) / (count - 1))] for at in range(count)]


def write(path: Path, content: Any) -> None:
    """Under another name first, so that a file is whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f"{path.name}.{os.getpid()}")
    half.write_text(json.dumps(content), encoding="utf-8")
    half.replace(path)


def pack() -> Path:
    """Where the real pictures are."""
    return Path(os.environ.get("SIGHTLINE_PACK", Path(__file__).resolve().parents[2] / "shared" / "pack"))
