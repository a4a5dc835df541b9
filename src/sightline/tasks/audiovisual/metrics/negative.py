"""The negative-sound test: when the sound is another, does the map leave its source, and does the curve move?

A localiser that marks the salient object whatever sounds passes every pointing game on clips whose sound belongs to
the picture. So the sound is exchanged here, silenced, shifted, or that of something off the screen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Int
from torch import Tensor

from sightline.common.statistics.bootstrap import Interval, bootstrap
from sightline.data.logmel import MelConfig
from sightline.metrics import energy_in_mask
from sightline.tasks.audiovisual.metrics.maps import attention
from sightline.tasks.audiovisual.metrics.pointing import blocks
from sightline.tasks.audiovisual.network.net import EventNet
from sightline.tasks.audiovisual.world import Scenes, spectra_of

SHIFT = 2
"""Segments by which the sound is moved."""


@dataclass(frozen=True)
class NegativeSound:
    """What becomes of the maps under another sound.

    Args:
        sound: what was done to it.
        mass: share of the WHERE map on the former source.
        area: share of the picture that the source covers: what a map without any idea has.
        moved: share of scenes in which the WHEN curve peaks where the tone now is; NaN where there is none.
        same: share of scenes whose answer is still the former event.
    """

    sound: str
    mass: Interval
    area: float
    moved: float
    same: float

    @property
    def is_there(self) -> bool:
        """Whether the map lies on the source at all: more than chance and 0.05."""
        return self.mass.low > self.area + 0.05

    @property
    def passes(self) -> bool:
        """Whether the map went away: its mass on the former source is at most chance and 0.05."""
        return self.mass.high < self.area + 0.05


def others_without(scenes: Scenes) -> Int[Tensor, " b"]:
    """For each scene another one whose sound does not hold the tone of its event."""
    count = len(scenes)
    holds = scenes.tones.any(2)[:, scenes.labels].T  # row: a scene's event; column: whose sound has it
    order = (torch.arange(count)[:, None] + torch.arange(1, count + 1)) % count
    return order.gather(1, holds.gather(1, order).long().argmin(1, keepdim=True))[:, 0]


def off_screen(scenes: Scenes) -> Int[Tensor, " b"]:
    """For each scene another one none of whose tones belongs to a shape in the picture; -1 where there is none."""
    shown, sounding = scenes.shapes.flatten(2).any(2), scenes.tones.any(2)
    clash = (shown[:, None] & sounding[None]).any(2)
    clash.fill_diagonal_(True)
    return torch.where(clash.all(1), -1, clash.long().argmin(1))


def variants(scenes: Scenes) -> Iterator[tuple[str, Scenes]]:
    """The scenes under each sound; those without a fitting other sound are left out."""
    yield "as it is", scenes
    yield "swapped", scenes.with_sound_of(others_without(scenes))
    other = off_screen(scenes)
    kept = (other >= 0).nonzero()[:, 0]
    if len(kept):
        mixed = scenes.with_sound_of(other.clamp(min=0))
        yield "off screen", mixed.rows(kept)
    silence = torch.zeros_like(scenes.sounds)
    spectra = spectra_of(silence.float(), 0.2)[:, : scenes.spectra.shape[1]].to(scenes.spectra)
    yield "silent", replace(scenes, sounds=silence, spectra=spectra, tones=torch.zeros_like(scenes.tones))
    rolled = {name: getattr(scenes, name).roll(SHIFT, axis) for name, axis in (("spectra", 1), ("tones", 2))}
    step = scenes.spectra.shape[2] * MelConfig().hop
    yield "shifted", replace(scenes, **rolled, sounds=scenes.sounds.roll(SHIFT * step, 1))


@torch.no_grad()
def negative_sound(net: EventNet, scenes: Scenes) -> Iterator[NegativeSound]:
    """Judge a network under each sound, by the maps of the event that the scene had."""
    for name, variant in variants(scenes):
        labels = variant.labels
        inputs = variant.inputs()
        where, when = attention(net, inputs, labels)
        mass = energy_in_mask(blocks(where, variant.where), variant.where).values
        at = when.argmax(1)
        there = variant.when.any(1)
        hits = variant.when[torch.arange(len(at)), at][there].float()
        yield NegativeSound(
            name,
            bootstrap(mass[mass.isfinite()], draws=500),
            float(variant.where.float().mean()),
            float(hits.mean()) if len(hits) else float("nan"),
            float((net(*inputs).argmax(1) == labels).float().mean()),
        )
