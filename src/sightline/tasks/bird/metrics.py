"""What the bundled model can do, measured on held-out scenes. Figures only, no words."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as fn

from sightline.common.statistics.intervals import wilson
from sightline.models.zoo.birdnet import BirdNet
from sightline.tasks.bird.module import group_masks
from sightline.worlds.aviary.attributes import GROUPS, offsets
from sightline.worlds.aviary.dataset import Scenes
from sightline.worlds.aviary.world import World


@dataclass(frozen=True)
class Times:
    """Seconds.

    Args:
        draw: until the scenes were there; little if they lay in the work folder.
        draw_cpu: CPU time in which the scenes were drawn, whenever that was; 0 if nobody wrote it down.
        train: time of all epochs.
        train_cpu: CPU time of all epochs.
    """

    draw: float
    draw_cpu: float
    train: float
    train_cpu: float


@dataclass(frozen=True)
class Reading:
    """How one attribute group is read, over the scenes in which its part is seen.

    Args:
        name: name of the group.
        right: scenes whose value was read right.
        total: scenes.
        base: right if the most frequent value is said.
        aim: mean share of the head's weight on cells that touch the part.
        area: mean share of cells that touch the part: the aim of a head that looks everywhere alike.
    """

    name: str
    right: int
    total: int
    base: int
    aim: float
    area: float


@dataclass(frozen=True)
class Measures:
    """Figures of a trained model.

    Args:
        scenes: number of held-out scenes.
        hits: how many were classified right.
        groups: every attribute group, in scenes in which the attributes are independent of the class.
        twins: per species with a twin (name, share of its scenes taken for the twin).
        times: time that the training took.
        size_bytes: size of the weights file.
    """

    scenes: int
    hits: int
    groups: tuple[Reading, ...]
    twins: tuple[tuple[str, float], ...]
    times: Times | None = None
    size_bytes: int = 0

    @property
    def accuracy(self) -> float:
        """Share of held-out scenes that were classified right."""
        return self.hits / self.scenes

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the accuracy."""
        return wilson(self.hits, self.scenes)

    @property
    def attribute_accuracy(self) -> float:
        """Mean over groups of the share of visible parts whose value was read right."""
        return sum(group.right / max(1, group.total) for group in self.groups) / len(self.groups)

    @property
    def attribute_base(self) -> float:
        """The same for always saying the most frequent value."""
        return sum(group.base / max(1, group.total) for group in self.groups) / len(self.groups)


def measure(net: BirdNet, world: World, scenes: Scenes, loose: Scenes) -> Measures:
    """Class accuracy and confusion of twins in a world; accuracy of every attribute group in loose scenes."""
    guess = predictions(net, scenes)[0].argmax(1)
    twins = tuple(
        (kind.name, float((guess[scenes.labels == i] == kind.twin).float().mean()))
        for i, kind in enumerate(world.species)
        if kind.twin is not None
    )
    hits = int((guess == scenes.labels).sum())
    return Measures(len(scenes), hits, _groups(*predictions(net, loose)[1:], loose), twins)


@torch.inference_mode()
def predictions(
    net: BirdNet, scenes: Scenes
) -> tuple[Float[Tensor, "b k"], Float[Tensor, "b a"], Float[Tensor, "b g"], Float[Tensor, "b g"]]:
    """Class and attribute logits of all scenes; per group the weight on its part, and its share of cells."""
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (net.spec.mean, net.spec.std))
    batches = []
    for images, parts in zip(torch.split(scenes.images, 100), torch.split(scenes.parts, 100), strict=True):
        classes, attributes, places = net.read((images.float() / 255 - mean) / std)
        masks = fn.adaptive_avg_pool2d(group_masks(parts), (places.shape[-2], places.shape[-1]))
        reached = (places * (masks > 0)).sum((2, 3))
        batches.append((classes, attributes, reached, (masks > 0).float().mean((2, 3))))
    classes, attributes, aim, area = (torch.cat(column) for column in zip(*batches, strict=True))
    return classes, attributes, aim, area


def _groups(logits: Tensor, aim: Tensor, area: Tensor, scenes: Scenes) -> tuple[Reading, ...]:
    """Every group among the scenes in which its part is visible."""
    rows = []
    for g, (low, high) in enumerate(pairwise(offsets())):
        visible = scenes.visible[:, g]
        truth = scenes.values[visible, g]
        right = int((logits[visible, low:high].argmax(1) == truth).sum())
        base = int(torch.bincount(truth, minlength=high - low).max())
        looks = (float(column[visible, g].mean()) if len(truth) else float("nan") for column in (aim, area))
        rows.append(Reading(GROUPS[g].name, right, len(truth), base, *looks))
    return tuple(rows)
