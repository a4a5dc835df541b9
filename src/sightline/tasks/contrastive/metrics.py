"""How well an encoder brings pictures of one species together: retrieval, beside chance and the untrained network."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional as fn

from sightline.common.statistics.intervals import wilson
from sightline.models.zoo.encoder import BirdEncoder
from sightline.worlds.aviary.dataset import Scenes


@dataclass(frozen=True)
class Retrieval:
    """How often the nearest picture of a gallery is of the same species.

    Args:
        hits: queries whose nearest neighbour by cosine is of their species.
        queries: number of queries.
        gallery: pictures they are sought in.
        chance: the share that picking at random would hit.
        untrained: hits of the same network with its weights as they were drawn.
    """

    hits: int
    queries: int
    gallery: int
    chance: float
    untrained: int

    @property
    def accuracy(self) -> float:
        """Accuracy@1."""
        return self.hits / self.queries

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval, for this gallery."""
        return wilson(self.hits, self.queries)


@torch.inference_mode()
def retrieval(net: BirdEncoder, scenes: Scenes) -> Retrieval:
    """Accuracy@1 of the first half of the scenes, sought in the second half by cosine."""
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (net.spec.mean, net.spec.std))
    parts = torch.split(scenes.images, 100)
    directions = fn.normalize(torch.cat([net((part.float() / 255 - mean) / std) for part in parts]), dim=1)
    count = len(scenes) // 2
    matches = scenes.labels[count:][(directions[:count] @ directions[count:].T).argmax(1)]
    queries, gallery = scenes.labels[:count], scenes.labels[count:]
    chance = float((queries[:, None] == gallery).float().mean())
    return Retrieval(int((matches == queries).sum()), count, len(gallery), chance, 0)
