"""Scenes of the aviary that the bundled model learns from and is measured on."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from torch.utils.data import TensorDataset

from sightline.tasks.bird.recipe import BirdRecipe
from sightline.training.reporter import Report
from sightline.worlds.aviary.config import WorldConfig
from sightline.worlds.aviary.dataset import HELD_OUT, Scenes, joined, rendered, unlabelled
from sightline.worlds.aviary.world import World


@dataclass(frozen=True)
class BirdData:
    """Scenes.

    Args:
        world: where they are from.
        train: scenes to learn from, those by chance without a class among them.
        held_out: scenes to measure on.
        held_out_random: scenes to measure on whose attributes are drawn by chance.
        seconds: until they were there; little if they lay in the work folder.
    """

    world: World
    train: Scenes
    held_out: Scenes
    held_out_random: Scenes
    seconds: float

    @property
    def cpu(self) -> float:
        """CPU seconds in which the scenes were drawn, whenever that was."""
        return self.train.cpu + self.held_out.cpu + self.held_out_random.cpu

    def table(self) -> TensorDataset:
        """The training scenes as batches are made of them."""
        own = self.train
        return TensorDataset(own.images, own.labels, own.values, own.visible, own.parts)


def draw(recipe: BirdRecipe, folder: Path, report: Report) -> BirdData:
    """Draw the scenes, or read those that are in the folder."""
    since = time.perf_counter()
    world, own = World(WorldConfig(seed=recipe.machine.seed)), recipe.data
    random = World(replace(world.config, variation=1.0))

    def part(place: World, first: int, count: int) -> Scenes:
        workers = recipe.machine.workers
        return rendered(place, first, count, size=own.size, folder=folder, workers=workers, report=report)

    labelled, chance = part(world, 0, own.scenes), part(random, 0, own.random_scenes)
    held_out, held_out_random = part(world, HELD_OUT, own.held_out), part(random, HELD_OUT, own.held_out)
    train = joined(labelled, unlabelled(chance))
    return BirdData(world, train, held_out, held_out_random, time.perf_counter() - since)
