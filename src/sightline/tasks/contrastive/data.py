"""Scenes of the aviary in pairs of one species."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor
from torch.utils.data import Sampler

from sightline.tasks.contrastive.recipe import ContrastiveRecipe
from sightline.training.reporter import Report
from sightline.worlds.aviary.config import WorldConfig
from sightline.worlds.aviary.dataset import HELD_OUT, Scenes, rendered
from sightline.worlds.aviary.world import World


@dataclass(frozen=True)
class PairData:
    """Scenes.

    Args:
        train: scenes to learn from.
        held_out: scenes that retrieval is measured on.
    """

    train: Scenes
    held_out: Scenes


def draw(recipe: ContrastiveRecipe, folder: Path, report: Report) -> PairData:
    """Draw the scenes, or read those that are in the folder."""
    own, world = recipe.data, World(WorldConfig(seed=recipe.machine.seed))

    def part(first: int, count: int) -> Scenes:
        workers = recipe.machine.workers
        return rendered(world, first, count, size=own.size, folder=folder, workers=workers, report=report)

    return PairData(part(0, own.scenes), part(HELD_OUT, own.held_out))


class PairOrder(Sampler[list[int]]):
    """Batches of two scenes of each species, side by side, in an order that depends on seed and epoch only."""

    def __init__(self, labels: Int[Tensor, " b"], seed: int) -> None:
        self.members = [(labels == kind).nonzero()[:, 0] for kind in sorted(set(labels.tolist()))]
        self.seed, self.epoch = seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before every epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Batches per epoch."""
        return min(len(own) for own in self.members) // 2

    def __iter__(self) -> Iterator[list[int]]:
        """Positions, batch by batch."""
        order = torch.Generator().manual_seed(self.seed * 100_003 + self.epoch)
        shuffled = [own[torch.randperm(len(own), generator=order)] for own in self.members]
        for step in range(len(self)):
            yield torch.cat([own[2 * step : 2 * step + 2] for own in shuffled]).tolist()
