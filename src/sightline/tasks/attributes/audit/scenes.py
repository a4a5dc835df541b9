"""Scenes of a world drawn again for an audit: another background, the same kind of background, another value.

Knows the aviary and networks, not the detectors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor

from sightline.tasks.attributes.audit import Redrawn
from sightline.tasks.attributes.network.net import AttributeNet
from sightline.tasks.attributes.train.calibrate import normalised
from sightline.worlds.aviary import GROUPS, Scene, World, render
from sightline.worlds.aviary.batch import visible_groups
from sightline.worlds.aviary.counterfactual import with_background, with_cue, with_values

DONORS = 3
FIRST = 30_000_000
"""Scenes from this number on give backgrounds; nothing is trained on them."""


def redraw(
    net: AttributeNet,
    world: World,
    scenes: Sequence[Scene],
    usual: Float[Tensor, "y k"],
    *,
    size: int,
    changed: int = 60,
    step: Callable[[int], None] = lambda done: None,
) -> Redrawn:
    """Draw scenes again and ask the network.

    Args:
        net: trained on the aviary's attributes.
        world: the scenes' world; its own scenes give the other backgrounds.
        scenes: what is drawn again.
        usual: share of each class's pictures that have each attribute.
        size: side of the drawings in pixels.
        changed: number of scenes of which every attribute is changed too; each takes a drawing per group.
        step: called for every scene that is done.
    """
    rows = [_backgrounds(net, world, scene, size, step) for scene in scenes]
    decided, swapped, donors, repeated = (torch.stack(column) for column in zip(*rows, strict=True))
    labels = torch.tensor([scene.species for scene in scenes])
    groups = len(GROUPS)
    moves = torch.full((len(scenes), groups, groups), torch.nan)
    follows, stays = torch.full((2, len(scenes), groups), torch.nan)
    for row, scene in enumerate(scenes[:changed]):
        moves[row], follows[row], stays[row] = _values(net, scene, size)
        step(1)
    return Redrawn(
        labels, decided, swapped, donors, repeated, moves, _usual(scenes, usual.nan_to_num()), follows, stays
    )


def _backgrounds(
    net: AttributeNet, world: World, scene: Scene, size: int, step: Callable[[int], None]
) -> tuple[Int[Tensor, ""], Int[Tensor, " s"], Int[Tensor, " s"], Int[Tensor, " s"]]:
    """Decisions for the scene, with other classes' backgrounds, those classes, with its own kind drawn again."""
    others = _donors(world, scene)
    exchanged = [with_cue(scene, donor, "background") for donor in others]
    kind = scene.backdrop.family
    again = [with_background(scene, kind, donor.backdrop.seed) for donor in others]
    decisions = _answers(net, [scene, *exchanged, *again], size)[0].argmax(1)
    step(1)
    species = torch.tensor([donor.species for donor in others])
    return decisions[0], decisions[1 : DONORS + 1], species, decisions[DONORS + 1 :]


def _donors(world: World, scene: Scene) -> list[Scene]:
    """Scenes of other classes with another kind of background."""
    donors: list[Scene] = []
    # every scene looks in a stretch of its own, so that few share a donor
    at = FIRST + 100 * (scene.index % 100_000)
    while len(donors) < DONORS:
        donor, at = world.scene(at), at + 1
        if donor.species != scene.species and donor.backdrop.family != scene.backdrop.family:
            donors.append(donor)
    return donors


def _values(net: AttributeNet, scene: Scene, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """How far every answer moves with every change, and whether the changed group's answer follows or stays."""
    draw = np.random.default_rng([scene.index, 401])
    # 1 to n - 1 values further on: always another value
    other = [
        int((v + draw.integers(1, len(g.values))) % len(g.values)) for v, g in zip(scene.values, GROUPS, strict=True)
    ]
    changed = [with_values(scene, {g: value}) for g, value in enumerate(other)]
    answers = torch.split(_answers(net, [scene, *changed], size)[1], [len(g.values) for g in GROUPS], dim=1)
    moves = torch.stack([(part[1:] - part[:1]).abs().sum(1) / 2 for part in answers], dim=1)
    visible = torch.tensor(visible_groups(render(scene, size)))
    moves[~visible] = torch.nan
    read = torch.tensor([int(part[0].argmax()) == v for part, v in zip(answers, scene.values, strict=True)]) & visible
    now = torch.tensor([int(part[g + 1].argmax()) for g, part in enumerate(answers)])
    follows, stays = (now == torch.tensor(v) for v in (other, scene.values))
    return moves, *(torch.where(read, outcome.float(), torch.nan) for outcome in (follows, stays))  # type: ignore[return-value]


def _usual(scenes: Sequence[Scene], usual: Tensor) -> Float[Tensor, "m g"]:
    """How many pictures of its class have what a scene has, by group."""
    starts = np.cumsum([0, *(len(group.values) for group in GROUPS)])
    rows = [[float(usual[s.species, starts[g] + v]) for g, v in enumerate(s.values)] for s in scenes]
    return torch.tensor(rows)


@torch.inference_mode()
def _answers(net: AttributeNet, scenes: Sequence[Scene], size: int) -> tuple[Tensor, Tensor]:
    """Class logits and probabilities of attributes for scenes drawn now."""
    side = net.spec.size
    pictures = [Image.fromarray(render(scene, size).image) for scene in scenes]
    if side != size:
        pictures = [picture.resize((side, side), Image.Resampling.BILINEAR) for picture in pictures]
    images = torch.from_numpy(np.stack([np.asarray(picture) for picture in pictures])).permute(0, 3, 1, 2)
    reading = net.read(normalised(net, images))
    return reading.classes, reading.probabilities
