"""The negative-sound test on anybody's clips and any model of pictures and sound: what does another sound change?

Nothing is known of where the source is, so the map under another sound is compared with the map as it was: a
localiser that keeps its map under any sound does not use the sound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.data.logmel import MelConfig
from sightline.errors import InputError
from sightline.tasks.audiovisual.explain.clip import EventClip


class Sound(NamedTuple):
    """A sound in two forms.

    Args:
        spectra: log-mel frames by segment.
        wave: samples of these segments at 16 kHz.
    """

    spectra: Float[Tensor, "b s m f"]
    wave: Float[Tensor, "b n"]

    @classmethod
    def of(cls, spectra: Float[Tensor, "b s m f"], wave: Float[Tensor, "b n"]) -> Sound:
        """Both forms, the samples cut to the segments."""
        return cls(spectra, wave[:, : spectra.shape[1] * spectra.shape[2] * MelConfig().hop])

    def silent(self) -> Sound:
        """Digital silence of the same length."""
        return Sound(torch.full_like(self.spectra, SILENT), torch.zeros_like(self.wave))

    def shifted(self, segments: int) -> Sound:
        """The same sound so many segments later; its end comes first."""
        step = self.wave.shape[1] // self.spectra.shape[1]
        return Sound(self.spectra.roll(segments, 1), self.wave.roll(segments * step, 1))

    def as_long_as(self, other: Sound) -> Sound:
        """Repeated and cut to the length of another."""
        length, repeats = other.spectra.shape[1], -(-other.spectra.shape[1] // self.spectra.shape[1])
        spectra = self.spectra.repeat(1, repeats, 1, 1)[:, :length]
        return Sound(spectra, self.wave.repeat(1, repeats)[:, : other.wave.shape[1]])


Reader = Callable[[Tensor, Sound], tuple[Tensor, Tensor | None, Tensor]]
"""From frames `[1, t, 3, h, w]` and a sound to WHERE `[t, y, x]`, WHEN `[s]` if any, logits `[k]`."""
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
        even: whether the clip's own map is nearly even, so that nothing could go away.
    """

    clip: str
    sound: str
    where: float
    when: float | None
    same: bool
    probability: float
    even: bool = False

    @property
    def ignores_sound(self) -> bool:
        """Whether the map stayed, though it says where."""
        return self.sound != EVEN and self.where >= SAME and not self.even


def overlap(one: Float[Tensor, "..."], other: Float[Tensor, "..."]) -> float:
    r"""$\sum \min(p, q)$ of two maps, each divided by its sum: 1 for the same map, 0 for maps without a common place.

    Example:
        >>> overlap(torch.tensor([1.0, 3.0]), torch.tensor([2.0, 2.0]))
        0.75
    """
    shares = [part.clamp(min=0) / part.clamp(min=0).sum().clamp(min=1e-12) for part in (one, other)]
    return float(torch.minimum(*shares).sum())


def lacking(clip: EventClip) -> str:
    """What a clip needs for the test and does not have, in words; nothing where it has all."""
    if not bool(clip.pictured.any()):
        return "a picture"
    track = clip.ruler.track
    return (
        "" if track.is_there else f"sound ({'an audio track of zeros' if len(track.samples) else 'no audio track'})"
    )


def sound_of(clip: EventClip) -> Sound:
    """The sound of a clip as its ruler cuts it."""
    return Sound.of(clip.spectra, torch.from_numpy(clip.ruler.samples)[None])


def sounds_of(clips: Sequence[EventClip], number: int) -> Iterator[tuple[str, Sound]]:
    """The sound of a clip replaced: by silence, by itself half a clip later, and by that of every next clip."""
    own = sound_of(clips[number])
    yield "silent", own.silent()
    yield "shifted", own.shifted(max(1, own.spectra.shape[1] // 2))
    if len(clips) > 1:
        yield "swapped", sound_of(clips[(number + 1) % len(clips)]).as_long_as(own)


def changes(read: Reader, clips: Sequence[EventClip]) -> Iterator[Change]:
    """Every clip under every other sound, and before these the overlap of its map with an even one.

    Args:
        read: the model's maps and logits.
        clips: with picture and sound.

    Raises:
        InputError: a clip has no picture or no sound, so that nothing can be exchanged.
    """
    for number, clip in enumerate(clips):
        if what := lacking(clip):
            raise InputError(f"{str(clip.path)!r} lacks {what}, so its sound cannot be exchanged; leave it out")
        where, when, logits = read(clip.pictures, sound_of(clip))
        answer = int(logits.argmax())
        level = overlap(where, torch.ones_like(where))
        even = None if when is None else overlap(when, torch.ones_like(when))
        chance = float(logits.softmax(0)[answer])
        yield Change(clip.path.name, EVEN, level, even, True, chance, level >= SAME)
        for name, sound in sounds_of(clips, number):
            place, time, scores = read(clip.pictures, sound)
            curve = None if when is None or time is None else overlap(when, time)
            chance = float(scores.softmax(0)[answer])
            same = int(scores.argmax()) == answer
            yield Change(clip.path.name, name, overlap(where, place), curve, same, chance, level >= SAME)
