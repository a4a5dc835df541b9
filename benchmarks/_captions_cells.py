"""What `captions.py` trains and measures: one small captioner, on scenes that it never saw."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sightline.tasks.captioning.data.table import CaptionTable, part_of_scenes
from sightline.tasks.captioning.explain.methods import CONTROLS, METHODS
from sightline.tasks.captioning.explain.pointing import best_method, pointing
from sightline.tasks.captioning.metrics.measures import measure, relation_hits
from sightline.tasks.captioning.module import CaptionTask, adam, rate
from sightline.tasks.captioning.network.captioner import Captioner, load_captioner, save_captioner
from sightline.tasks.captioning.network.decoding import Regions
from sightline.tasks.captioning.network.spec import SPECIAL
from sightline.tasks.captioning.recipe import CaptionRecipe
from sightline.tasks.captioning.train import spec_of
from sightline.tasks.captioning.world.scenes import FEATURES, HELD_OUT, Scenes, draw_scenes, words

Cell = dict[str, Any]
PLAIN: Mapping[str, Any] = {"preset": "san", "normaliser": "none", "geometry": ()}
ARMS: Mapping[str, Mapping[str, Any]] = {
    "SA": PLAIN,
    "NSA": {**PLAIN, "normaliser": "instance"},
    "GSA, content": {**PLAIN, "geometry": ("content",)},
    "GSA, query": {**PLAIN, "geometry": ("query",)},
    "GSA, key": {**PLAIN, "geometry": ("key",)},
    "NSA + GSA, query (NG-SAN)": {"preset": "ng-san"},
    "NG-SAN + signs": {"preset": "ng-san", "signed": True},
    "SA + absolute boxes": {**PLAIN, "absolute": True},
}
"""Attentions of the encoder that are compared."""
EPOCHS = {"size": 24, "distance": 12, "side": 16}
"""Epochs of 125 steps."""
SHORT = 12
"""Epochs of the table of normalisers, which shows how fast the same relation is learnt."""
SIGNED_EPOCHS = {**EPOCHS, "side": 24}
"""The same with signs: of five networks one still stood at chance after 17 epochs and had learnt after 20."""
NORMALISERS = ("none", "layer", "batch", "instance-affine", "instance")


def recipe(arm: Mapping[str, Any], kinds: tuple[str, ...], seed: int, *, toy: bool, epochs: int = 0) -> CaptionRecipe:
    """One kind of relation, both sentences of each scene in every step; two layers of width 48."""
    epochs = epochs or max((SIGNED_EPOCHS if arm.get("signed") else EPOCHS)[kind] for kind in kinds)
    own = CaptionRecipe().but(width=48, inner=96, lr=2e-3, epochs=epochs, seed=seed)
    own = own.but(halve_from=epochs * 3 // 4, halve_every=epochs // 8)
    own = own.but(relations=kinds, captions_per_picture=2, held_out=800, **arm)
    return own.but(scenes=64, held_out=8, epochs=1, width=8, inner=8, heads=2, layers=1) if toy else own


class Training:
    """A captioner that learns from scenes, without files and progress: steps of the package's own `CaptionTask`."""

    def __init__(self, own: CaptionRecipe) -> None:
        self.recipe, seed = own, own.machine.seed
        torch.manual_seed(seed)
        self.net = Captioner(spec_of(own, (*SPECIAL, *words()), FEATURES, "scenes"))
        self.scenes = draw_scenes(own.data.scenes, seed=seed, grey=own.data.grey)
        self.part = part_of_scenes(self.scenes, own.data.relations)
        self.tokens = CaptionTable(self.part, self.net.spec.words, self.net.spec.longest).tokens
        self.steps = own.data.scenes // own.loop.batch_size
        self.task = CaptionTask(self.net, own, self.part, self.steps)
        self.optimiser = adam(self.net, own.optim)
        self.chance, self.step = torch.Generator().manual_seed(seed), 0

    def epochs(self, count: float, *, critical: bool = False, lr: float | None = None) -> Captioner:
        """Learn for some epochs; `lr` keeps the rate at one value."""
        for _ in range(max(1, round(count * self.steps))):
            at = self.step / self.steps
            factor = rate(max(at, 1 / self.steps), self.recipe.optim, math.inf)  # type: ignore[arg-type]
            self.optimiser.param_groups[0]["lr"] = lr or self.recipe.optim.lr * factor
            rows = torch.randint(len(self.part), (self.recipe.loop.batch_size,), generator=self.chance)
            self.net.train()
            self.optimiser.zero_grad()
            self._loss(rows, critical).backward()
            self.optimiser.step()
            self.step += 1
        return self.net.eval()

    def _loss(self, rows: Tensor, critical: bool) -> Tensor:
        regions = Regions(self.scenes.features[rows], self.scenes.boxes[rows])
        if critical:
            return self.task.self_critical(regions, rows, self.chance)
        return self.task.cross_entropy(regions, self.tokens[rows], self.chance)


def held_out(own: CaptionRecipe, *, grey: int | None = None, more: int = 0) -> Scenes:
    """Scenes that the network never saw; `more` names further sets of them."""
    count = own.data.grey if grey is None else grey
    return draw_scenes(own.data.held_out, seed=own.machine.seed + HELD_OUT + 1000 * more, grey=count)


def shares(net: Captioner, scenes: Scenes, kind: str) -> float:
    """Share of right relation words, all words before them given."""
    ((_, hits),) = relation_hits(net, scenes, (kind,))
    return hits.share


def relation_cell(arm: str, kind: str, seed: int, weights: Path, *, toy: bool) -> Cell:
    """Relation words in range, of moved and rescaled scenes, and of scenes with more boxes than were learnt from."""
    own, begun = recipe(ARMS[arm], (kind,), seed, toy=toy), time.process_time()
    net = Training(own).epochs(own.loop.epochs)
    spent = time.process_time() - begun
    weights.parent.mkdir(parents=True, exist_ok=True)
    save_captioner(net, weights)
    test = held_out(own)
    sets = {
        "in range": test,
        "moved and 3 times as large": test.moved(3, 1),
        "moved and 0.3 times as large": test.moved(0.3, 0.5),
        "8 boxes": held_out(own, grey=6),
    }
    figures = {name: shares(net, scenes, kind) for name, scenes in sets.items()}
    return {"arm": arm, "kind": kind, "seed": seed, "cpu": spent, **figures}


def normaliser_cell(normaliser: str, kind: str, seed: int, *, toy: bool) -> Cell:
    """A normaliser of the queries beside query-dependent geometry: the relation words at the end and on the way."""
    arm = {"preset": "g-san", "normaliser": normaliser}
    own = recipe(arm, (kind,), seed, toy=toy, epochs=SHORT)
    training, test = Training(own), held_out(own)
    curve = [shares(training.epochs(1), test, kind) for _ in range(own.loop.epochs)]
    return {"normaliser": normaliser, "kind": kind, "seed": seed, "curve": curve, "steps": training.steps}


def pointing_cell(weights: Path, kind: str, seed: int, *, count: int) -> Cell:
    """All methods and controls on test scenes; the method is chosen on validation scenes, which are others."""
    net = load_captioner(weights)
    first, second = (draw_scenes(count, seed=seed + HELD_OUT + 1000 * more) for more in (1, 2))
    choice = best_method(pointing(net, first, tuple(METHODS), kinds=(kind,)))
    rows = pointing(net, second, (*METHODS, *CONTROLS), kinds=(kind,))
    figures = {own.method: [own.words.mean, own.relations.mean] for own in rows}
    return {"seed": seed, "choice": choice, "methods": figures}


def critical_cell(seed: int, *, toy: bool) -> Cell:
    """Captions after cross-entropy, after as much more of it, and after self-critical training from the same start.

    The networks tell bigger from smaller. The first part is short, so that there is something left to learn.
    """
    own = recipe(ARMS["NSA + GSA, query (NG-SAN)"], ("size",), seed, toy=toy).but(
        held_out=8 if toy else 200, critical_epochs=1
    )
    training, figures = Training(own), {}
    training.epochs(4 if not toy else 0.5)
    start = {name: value.clone() for name, value in training.net.state_dict().items()}
    moments, extra, lr = training.optimiser.state_dict(), 0.5, own.optim.critical_lr
    part = part_of_scenes(held_out(own), ("size",))

    def look(name: str, width: int = 1) -> None:
        scores = measure(training.net.eval(), training.part, part, width=width, kinds=("size",))
        true = float("nan") if scores.true is None else scores.true.share
        figures[name] = [scores.scores.cider.mean, true]

    look("cross-entropy, greedy")
    look("cross-entropy, beam of 3", 3)
    for name, critical in (("as much more cross-entropy, greedy", False), ("self-critical, greedy", True)):
        training.net.load_state_dict(start)
        training.optimiser.load_state_dict(moments)
        training.epochs(extra, critical=critical, lr=lr)
        look(name)
    look("self-critical, beam of 3", 3)
    return {"seed": seed, "figures": figures}
