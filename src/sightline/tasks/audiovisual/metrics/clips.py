"""The negative-sound test on anybody's clips and any model of pictures and sound: what does another sound change?

Nothing is known of where the source is, so the map under another sound is compared with the map as it was: a
localiser that keeps its map under any sound does not use the sound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.errors import InputError
from sightline.tasks.audiovisual.explain.clip import EventClip

Reader = Callable[[Tensor, Tensor], tuple[Tensor, Tensor | None, Tensor]]
"""From frames `[1, t, 3, h, w]` and spectra `[1, s, m, f]` to WHERE `[t, y, x]`, WHEN `[s]` if any, logits `[k]`."""
SILENT = -4.605170186
"""Log-mel of digital silence."""
EVEN = "chance: even map"
"""The row of a map without any idea: how much the clip's own map overlaps with it."""
SAME = 0.95
"""Overlap from which on two maps are called the same."""


@dataclass(frozen=True)
class Change:
    """What another sound did to a clip's maps.

    Args:
        clip: name of the clip.
        sound: what was done to the sound.
        where: overlap of the WHERE map with that of the clip's own sound: 1 the same, 0 elsewhere.
        when: overlap of the WHEN curve likewise; None where the model has none.
        same: whether the answer is the same.
        probability: of the former answer.
    """

    clip: str
    sound: str
    where: float
    when: float | None
    same: bool
    probability: float

    @property
    def ignores_sound(self) -> bool:
        """Whether the map stayed."""
        return self.sound != EVEN and self.where >= SAME


def overlap(one: Float[Tensor, "..."], other: Float[Tensor, "..."]) -> float:
    r"""$\sum \min(p, q)$ of two maps, each divided by its sum: 1 for the same map, 0 for maps without a common place.

    Example:
        >>> overlap(torch.tensor([1.0, 3.0]), torch.tensor([2.0, 2.0]))
        0.75
    """
    shares = [part.clamp(min=0) / part.clamp(min=0).sum().clamp(min=1e-12) for part in (one, other)]
    return float(torch.minimum(*shares).sum())


def sounds_of(clips: Sequence[EventClip], number: int) -> Iterator[tuple[str, Tensor]]:
    """The sound of a clip replaced: by silence, by itself half a clip later, and by that of every next clip."""
    own = clips[number].spectra
    yield "silent", torch.full_like(own, SILENT)
    yield "shifted", own.roll(max(1, own.shape[1] // 2), 1)
    if len(clips) > 1:
        other = clips[(number + 1) % len(clips)].spectra
        repeats = -(-own.shape[1] // other.shape[1])
        yield "swapped", other.repeat(1, repeats, 1, 1)[:, : own.shape[1]]


def changes(read: Reader, clips: Sequence[EventClip]) -> Iterator[Change]:
    """Every clip under every other sound, and before these the overlap of its map with an even one.

    Args:
        read: the model's maps and logits.
        clips: with picture and sound.

    Raises:
        InputError: a clip has no picture or no sound, so that nothing can be exchanged.
    """
    for number, clip in enumerate(clips):
        if not bool(clip.pictured.any()) or not clip.ruler.track.is_there:
            raise InputError(
                f"{str(clip.path)!r} lacks picture or sound, so its sound cannot be exchanged; leave it out"
            )
        where, when, logits = read(clip.pictures, clip.spectra)
        answer = int(logits.argmax())
        even = None if when is None else overlap(when, torch.ones_like(when))
        chance = float(logits.softmax(0)[answer])
        yield Change(clip.path.name, EVEN, overlap(where, torch.ones_like(where)), even, True, chance)
        for sound, spectra in sounds_of(clips, number):
            place, time, scores = read(clip.pictures, spectra)
            curve = None if when is None or time is None else overlap(when, time)
            chance = float(scores.softmax(0)[answer])
            same = int(scores.argmax()) == answer
            yield Change(clip.path.name, sound, overlap(where, place), curve, same, chance)
