"""The cells of the EAT study: which network is trained on what, with which second task. No figures, no tables.

A cell is a world, a base model, an arm and a seed; it is trained once and kept as one weights file.
"""

from __future__ import annotations

import logging
import os
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from sightline.models.trunk import Trunk
from sightline.models.zoo.birdnet import BirdNet, BirdNetSpec
from sightline.tasks.attributes.data import Attribute, Vocabulary
from sightline.tasks.attributes.data.aviary import aviary_vocabulary
from sightline.tasks.attributes.data.examples import Examples, from_scenes
from sightline.tasks.attributes.network.net import AttributeNet, AttributeSpec
from sightline.tasks.attributes.network.store import save_attribute_net
from sightline.tasks.attributes.recipe import EatRecipe
from sightline.tasks.attributes.train.fit import fit
from sightline.worlds.aviary.config import WorldConfig
from sightline.worlds.aviary.dataset import HELD_OUT, joined, rendered, unlabelled
from sightline.worlds.aviary.scene import FAMILIES
from sightline.worlds.aviary.world import World

WORLDS = {"aviary": WorldConfig(), "background": WorldConfig(background_correlation=0.9)}
CONTROLS = ("zero", "eat", "permuted", "random", "context", "classes")
GUIDED = ("zero", "eat", "narrow", "parts", "bottleneck")
BOTTLENECKS = ("narrow-permuted", "narrow-random", "narrow-context", "narrow-classes", "bottleneck-permuted")
"""The two bottlenecks of the guided study with another second task: is it the attributes that concentrate?"""
ASIDE = ("free", "outside", "flat")
"""Arms that get three seeds only."""
STUDIES = ("controls", "guided")
VALIDATION, TEST = HELD_OUT + 500_000, HELD_OUT


@dataclass(frozen=True)
class Cell:
    """One training.

    Args:
        study: of which table.
        world: `aviary` or `background`.
        base: the base model.
        arm: what the second task is.
        seed: of weights, order, scenes and controls.
        size: side of the pictures.
        count: training pictures.
        epochs: passes over them.
    """

    study: str
    world: str
    base: str
    arm: str
    seed: int
    size: int
    count: int
    epochs: int

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.study}-{self.world}-{self.base}-{self.arm}-{self.seed}"

    @property
    def kind(self) -> str:
        """How the arm's network is built and guided."""
        return self.arm.partition("-")[0]

    @property
    def taught(self) -> str:
        """What its second task is."""
        return self.arm.rpartition("-")[2]


def cells(study: str, seeds: int, toy: bool = False) -> list[Cell]:
    """All cells of a study, seed by seed, so that an interrupted one is balanced."""
    made = []
    for seed in range(seeds):
        if study == "controls":
            made += [Cell(study, w, "bird", arm, seed, 64, 2000, 10) for w in WORLDS for arm in CONTROLS]
        elif study == "guided":
            arms = (*GUIDED, *BOTTLENECKS, *(ASIDE if seed < 3 else ()))
            made += [Cell(study, "aviary", "bird", arm, seed, 96, 3000, 8) for arm in arms]
    if toy:
        return [replace(cell, size=32, count=20, epochs=1) for cell in made][:4]
    return made


def train(cell: Cell, work: Path) -> AttributeNet:
    """Train one cell and keep it."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning.*")
    torch.set_num_threads(1)
    examples = training_pictures(cell, work)
    words, taught = second_task(cell, examples)
    torch.manual_seed(cell.seed)
    net = network(cell, words, classes_of(cell))
    fit(net, taught, recipe(cell))
    save_attribute_net(net, work / "nets" / f"{cell.name}.safetensors")
    return net


def recipe(cell: Cell) -> EatRecipe:
    """Lambda is 0 or 1; guiding losses where the arm is named after them."""
    guided = cell.kind in ("parts", "bottleneck")
    return EatRecipe.of(
        attribute_weight=0.0 if cell.arm == "zero" else 1.0,
        lr=2e-3,
        trunk_lr_factor=1.0,
        part_weight=0.3 if guided else 0.0,
        outside_weight=1.0 if cell.arm == "outside" else 0.0,
        epochs=cell.epochs,
        device="cpu",
        seed=cell.seed,
    )


def network(cell: Cell, words: Vocabulary, classes: tuple[str, ...]) -> AttributeNet:
    """The base model with its two heads."""
    guided = cell.study == "guided"
    join = "bottleneck" if cell.kind in ("bottleneck", "narrow", "flat") else "fusion" if guided else "parallel"
    spec = AttributeSpec(
        backbone=cell.base,
        classes=classes,
        vocabulary=words,
        join=join,  # type: ignore[arg-type]
        pool="places" if guided and cell.arm != "flat" else "average",
        stride=8,
        reading=4 if guided else 0,
        width=32,
        size=cell.size,
        seed=cell.seed,
        preprocess={"mean": [0.5] * 3, "std": [0.25] * 3},
    )
    return AttributeNet(spec, Trunk(base_model(cell.base, cell.size)))


def base_model(name: str, size: int) -> nn.Module:
    """Small versions of five families, and the house's own residual net, with random weights."""
    import timm
    from torchvision.models.vgg import VGG, make_layers

    if name == "bird":
        return BirdNet(BirdNetSpec(("a", "b"), ("x::y",), (24, 32, 48, 64), (1, 1, 2, 1), 8, size))
    if name == "vgg":
        widths: list[str | int] = [24, "M", 48, "M", 96, 96, "M", 128, 128]
        return VGG(make_layers(widths, batch_norm=True), num_classes=2)  # type: ignore[arg-type]
    small = {
        "resnet": ("resnet18", {"channels": (24, 32, 64, 96)}),
        "densenet": ("densenet121", {"growth_rate": 12, "block_config": (3, 3, 3, 3)}),
        "mobilenet": ("mobilenetv3_small_050", {}),
        "vit": (
            "vit_tiny_patch16_224",
            {"img_size": size, "patch_size": 8, "embed_dim": 96, "depth": 4, "num_heads": 3},
        ),
    }
    kind, arguments = small[name]
    made: nn.Module = timm.create_model(kind, pretrained=False, **arguments)
    return made


def classes_of(cell: Cell) -> tuple[str, ...]:
    """Names of the classes."""
    return World(WORLDS[cell.world]).labels


def training_pictures(cell: Cell, work: Path) -> Examples:
    """Scenes of the cell's seed.

    `free`: half of the scenes have attributes by chance, and no class.
    """
    first, half = cell.seed * cell.count, cell.count // 2
    if cell.arm == "free":
        loose = World(replace(WORLDS[cell.world], variation=1.0))
        drawn = rendered(loose, first + half, cell.count - half, size=cell.size, folder=work / "scenes", workers=1)
        known = rendered(World(WORLDS[cell.world]), first, half, size=cell.size, folder=work / "scenes", workers=1)
        return from_scenes(joined(known, unlabelled(drawn)), aviary_vocabulary())
    return scenes(cell.world, first, cell.count, cell.size, work)


def scenes(world: str, first: int, count: int, size: int, work: Path) -> Examples:
    """Scenes of a world by their numbers."""
    drawn = rendered(World(WORLDS[world]), first, count, size=size, folder=work / "scenes", workers=1)
    return from_scenes(drawn, aviary_vocabulary())


def second_task(cell: Cell, examples: Examples) -> tuple[Vocabulary, Examples]:
    """What is taught beside the class: attributes, or one of the controls that should not help attention.

    `permuted`: every picture of a class gets the attributes of some picture of another class. `random`: every class
    gets codes of its own with the same marginals. `context`: the family of the background. `classes`: the class.
    """
    words = aviary_vocabulary()
    draw = np.random.default_rng([cell.seed, 77])
    labels = examples.labels.numpy()
    count = int(labels.max()) + 1
    if cell.taught == "permuted":
        donor = np.roll(np.arange(count), 1 + int(draw.integers(count - 1)))
        rows = [int(draw.choice(np.flatnonzero(labels == donor[label]))) for label in labels]
        return words, examples.taught(examples.targets[rows], examples.weights[rows])
    if cell.taught == "random":
        rows = draw.permutation(len(labels))[:count]
        return words, examples.taught(examples.targets[rows][labels], torch.ones_like(examples.weights))
    if cell.taught == "context":
        world = World(WORLDS[cell.world])
        first = cell.seed * cell.count
        homes = [FAMILIES.index(world.scene(first + i).backdrop.family) for i in range(len(labels))]
        return _one_choice("has_habitat", FAMILIES, torch.tensor(homes), examples, "context")
    if cell.taught == "classes":
        names = tuple(str(at) for at in range(count))
        return _one_choice("has_class", names, examples.labels, examples, "object")
    return words, examples


def _one_choice(
    group: str, values: tuple[str, ...], truth: Tensor, examples: Examples, scope: str
) -> tuple[Vocabulary, Examples]:
    words = Vocabulary(
        tuple(Attribute(f"{group}::{v}", group, v, "", scope) for v in values),  # type: ignore[arg-type]
        (group,),
    )
    hot = torch.nn.functional.one_hot(truth, len(values)).float()
    return words, examples.taught(hot, torch.ones_like(hot))


def _pack() -> Path:
    return Path(os.environ.get("SIGHTLINE_PACK", Path(__file__).resolve().parents[2] / "shared" / "pack"))
