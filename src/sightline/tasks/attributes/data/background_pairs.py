"""The same scenes before another background, for the loss that asks a network not to mind it.

Only a drawn world can give them: there every scene is known and can be drawn again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from sightline.errors import DataError
from sightline.training.cache import cached_rows
from sightline.worlds.aviary.counterfactual import with_background
from sightline.worlds.aviary.render import DRAWING, render
from sightline.worlds.aviary.rendered import is_world, read_world
from sightline.worlds.aviary.scene import FAMILIES, Scene
from sightline.worlds.aviary.world import World


def before_another(scene: Scene, world: World) -> Scene:
    """The scene before a background of another family, chosen by the world's seed and the scene's number."""
    draw = np.random.default_rng([world.config.seed, scene.index, 991])
    others = [family for family in FAMILIES if family != scene.backdrop.family]
    return with_background(scene, others[int(draw.integers(len(others)))], int(draw.integers(2**31)))


def scenes_of(root: Path, rows: Sequence[int]) -> tuple[World, list[Scene]]:
    """The world of a rendered folder, and the scenes of some of its pictures.

    Args:
        root: a folder that `sightline world render` wrote.
        rows: positions of pictures in its lists.

    Raises:
        DataError: the folder is no drawn world, or its files of the truth are damaged.
    """
    if not is_world(root):
        raise DataError(
            f"{root} holds photos, not a drawn world: they cannot be drawn again on another background. Leave "
            "out --consistency-weight, or train on what `sightline world render` wrote"
        )
    drawn = read_world(root)
    numbers = list(drawn.numbers.values())
    return drawn.world, [drawn.world.scene(numbers[row]) for row in rows]


def drawn_again(world: World, scenes: Iterable[Scene], size: int, folder: Path) -> UInt8[Tensor, "n 3 h w"]:
    """Scenes before other backgrounds; drawn once, then kept in a mapped file.

    Args:
        world: world of the scenes.
        scenes: scenes in the order of the pictures that they are twins of.
        size: side in pixels.
        folder: folder of the mapped file.
    """
    twins = [before_another(scene, world) for scene in scenes]
    identity = json.dumps([DRAWING, asdict(world.config), [scene.index for scene in twins], size])
    name = f"twins-{sha256(identity.encode()).hexdigest()[:12]}.npy"
    folder.mkdir(parents=True, exist_ok=True)
    images = cached_rows(folder / name, (len(twins), size, size, 3), lambda i: render(twins[i], size).image)
    return torch.from_numpy(images).permute(0, 3, 1, 2)
