"""Scenes as tensors, without a disk: for training, for metrics, for tests.

Knows nothing of models or files.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from sightline.worlds.aviary.attributes import GROUPS, PARTS, offsets
from sightline.worlds.aviary.render import Rendering, render
from sightline.worlds.aviary.scene import Scene
from sightline.worlds.aviary.world import World

SEEN = 0.1
"""A part counts as visible from this share of its area on."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Rendered scenes with all that is true about them.

    Args:
        images: bytes.
        labels: the written classes.
        species: the true classes.
        values: the true value of every attribute group.
        visible: whether the group's part can be seen.
        foreground: pixels of the bird.
        parts: part id per pixel, 0 is no bird.
    """

    images: UInt8[Tensor, "b 3 h w"]
    labels: Int[Tensor, " b"]
    species: Int[Tensor, " b"]
    values: Int[Tensor, "b g"]
    visible: Bool[Tensor, "b g"]
    foreground: Bool[Tensor, "b h w"]
    parts: UInt8[Tensor, "b h w"]

    @property
    def attributes(self) -> Bool[Tensor, "b a"]:
        """The true values as binary attributes, in the order of `names()`."""
        hot = torch.zeros(len(self.values), offsets()[-1], dtype=torch.bool)
        return hot.scatter_(1, self.values + torch.tensor(offsets()[:-1]), value=True)

    def normalised(self, mean: Iterable[float], std: Iterable[float]) -> Float[Tensor, "b 3 h w"]:
        """The images as a network wants them: (bytes / 255 - mean) / std."""
        centre, scale = (torch.tensor(tuple(v)).view(1, 3, 1, 1) for v in (mean, std))
        return (self.images.float() / 255 - centre) / scale


def render_batch(world: World, indices: Iterable[int], size: int = 128) -> Batch:
    """Render scenes of a world by their numbers.

    Example:
        >>> render_batch(World(), range(2), size=32).images.shape
        torch.Size([2, 3, 32, 32])
    """
    return batch_of((world.scene(index) for index in indices), size)


def batch_of(scenes: Iterable[Scene], size: int = 128) -> Batch:
    """Render any scenes, such as counterfactuals."""
    drawings = [render(scene, size) for scene in scenes]
    images = np.stack([one.image for one in drawings]).transpose(0, 3, 1, 2)
    return Batch(
        images=torch.from_numpy(np.ascontiguousarray(images)),
        labels=torch.tensor([one.scene.label for one in drawings]),
        species=torch.tensor([one.scene.species for one in drawings]),
        values=torch.tensor([one.scene.values for one in drawings]),
        visible=torch.tensor([visible_groups(one) for one in drawings]),
        foreground=torch.from_numpy(np.stack([one.foreground for one in drawings])),
        parts=torch.from_numpy(np.stack([one.parts for one in drawings])),
    )


def visible_groups(drawing: Rendering) -> list[bool]:
    """For every attribute group, whether its part can be seen; the size, whether half of the bird can."""
    shares = dict(zip(PARTS, drawing.visibility, strict=True))
    body = float(np.mean(np.array(drawing.visibility))) >= 0.5
    return [body if group.part == "body" else shares[group.part] >= SEEN for group in GROUPS]
