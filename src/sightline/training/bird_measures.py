"""What the bundled model can do, measured on held-out scenes. Figures only, no words."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.backbones.birdnet import BirdNet
from sightline.data.aviary.attributes import GROUPS, offsets
from sightline.data.aviary.world import World
from sightline.training.bird_scenes import Scenes
from sightline.training.intervals import wilson


@dataclass(frozen=True)
class Times:
    """Seconds.

    Args:
        draw: until the scenes were there; little if they lay in the work folder.
        draw_cpu: CPU time in which the scenes were drawn, whenever that was; 0 if nobody wrote it down.
        train: of all epochs.
        train_cpu: CPU time of all epochs.
    """

    draw: float
    draw_cpu: float
    train: float
    train_cpu: float


@dataclass(frozen=True)
class Measures:
    """Figures of a trained model.

    Args:
        scenes: number of held-out scenes.
        hits: how many were classified right.
        groups: per attribute group (name, right, visible, right if the most frequent value is said), in
            scenes in which the attributes are independent of the class.
        twins: per species with a twin (name, share of its scenes taken for the twin).
        times: what it took.
    """

    scenes: int
    hits: int
    groups: tuple[tuple[str, int, int, int], ...]
    twins: tuple[tuple[str, float], ...]
    times: Times | None = None

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
        return sum(right / max(1, total) for _, right, total, _ in self.groups) / len(self.groups)

    @property
    def attribute_base(self) -> float:
        """The same for always saying the most frequent value."""
        return sum(base / max(1, total) for _, _, total, base in self.groups) / len(self.groups)


def measure(net: BirdNet, world: World, scenes: Scenes, loose: Scenes) -> Measures:
    """Class accuracy and confusion of twins in a world; accuracy of every attribute group in loose scenes."""
    classes, _ = predictions(net, scenes)
    guess = classes.argmax(1)
    twins = tuple(
        (kind.name, float((guess[scenes.labels == i] == kind.twin).float().mean()))
        for i, kind in enumerate(world.species)
        if kind.twin is not None
    )
    return Measures(
        len(scenes), int((guess == scenes.labels).sum()), _groups(predictions(net, loose)[1], loose), twins
    )


@torch.inference_mode()
def predictions(net: BirdNet, scenes: Scenes) -> tuple[Float[Tensor, "b k"], Float[Tensor, "b a"]]:
    """Class and attribute logits of all scenes."""
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (net.spec.mean, net.spec.std))
    pairs = [net.both((images.float() / 255 - mean) / std) for images in torch.split(scenes.images, 100)]
    return torch.cat([one for one, _ in pairs]), torch.cat([two for _, two in pairs])


def _groups(logits: Tensor, scenes: Scenes) -> tuple[tuple[str, int, int, int], ...]:
    """Hits of every group among the scenes in which its part is visible."""
    rows = []
    for g, (low, high) in enumerate(pairwise(offsets())):
        seen = scenes.visible[:, g]
        truth = scenes.values[seen, g]
        right = int((logits[seen, low:high].argmax(1) == truth).sum())
        base = int(torch.bincount(truth, minlength=high - low).max())
        rows.append((GROUPS[g].name, right, len(truth), base))
    return tuple(rows)
