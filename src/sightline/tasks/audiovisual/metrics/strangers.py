"""The negative-sound test on drawn scenes for any reader: a model that somebody brings, or one of frozen features.

The model need not know the scenes' events: its map is that of its own answer. Beside its rows stand those of an even
map and of plain movement, which use no sound at all.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from sightline.common.statistics.bootstrap import bootstrap
from sightline.metrics import energy_in_mask
from sightline.metrics.elements import on_grid
from sightline.tasks.audiovisual.metrics.clips import Reader, Sound
from sightline.tasks.audiovisual.metrics.negative import NegativeSound, variants
from sightline.tasks.audiovisual.world import Scenes

NAN = float("nan")


def negative_reader(read: Reader, scenes: Scenes) -> Iterator[NegativeSound]:
    """Judge a reader under each sound; then the rows of an even map and of movement, under any sound.

    Args:
        read: maps and logits of one scene.
        scenes: each with an event.
    """
    former = [int(read(*_one(scenes, number))[2].argmax()) for number in range(len(scenes))]
    for name, variant in variants(scenes):
        masses, same, moved = [], [], []
        for number in range(len(variant)):
            where, when, logits = read(*_one(variant, number))
            masses.append(_mass(where, variant.where[number]))
            # Scenes of a variant keep their pictures, so that a former answer is found by them.
            same.append(float(int(logits.argmax()) == former[_place(scenes, variant, number)]))
            if when is not None and bool(variant.when[number].any()):
                moved.append(float(variant.when[number][int(when.argmax())]))
        yield _row(name, masses, variant, sum(moved) / len(moved) if moved else NAN, sum(same) / len(same))
    yield _row("control: even map", [_mass(torch.ones_like(w).float(), w) for w in scenes.where], scenes, NAN, NAN)
    moving = [_mass(_movement(frames), own) for frames, own in zip(scenes.frames, scenes.where, strict=True)]
    yield _row("control: movement", moving, scenes, NAN, NAN)


def _one(scenes: Scenes, number: int) -> tuple[Tensor, Sound]:
    row = slice(number, number + 1)
    return scenes.frames[row].float() / 255, Sound.of(scenes.spectra[row].float(), scenes.sounds[row].float())


def _place(scenes: Scenes, variant: Scenes, number: int) -> int:
    """Number of a variant's scene among all."""
    if len(variant) == len(scenes):
        return number
    return int((scenes.frames == variant.frames[number]).flatten(1).all(1).long().argmax())


def _mass(where: Tensor, mask: Tensor) -> float:
    """Share of a map's evidence on the source."""
    spread = on_grid(where.clamp(min=0)[None].float(), tuple(mask.shape))
    return float(energy_in_mask(spread, mask[None]).values)


def _movement(frames: Tensor) -> Tensor:
    change = (frames.float() - frames.float().roll(1, 0)).abs().mean(1)
    change[0] = change[1]
    return change


def _row(name: str, masses: list[float], scenes: Scenes, moved: float, same: float) -> NegativeSound:
    values = torch.tensor(masses)
    mass = bootstrap(values[values.isfinite()], draws=500)
    return NegativeSound(name, mass, float(scenes.where.float().mean()), moved, same)
