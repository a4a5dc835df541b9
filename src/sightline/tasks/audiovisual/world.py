"""Drawn scenes with sound: shapes move, tones sound, and the event is the only class that is both seen and audible.

Every class has a shape and a tone. A scene shows shapes {a, b} and sounds tones {a, c} one after the other: the event
is a. Neither the picture nor the sound alone says which (half of the guesses are right), where it is is the shape's
mask, when it is are the tone's segments - exact, both. Scene `n` of a seed is always the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from numpy.typing import NDArray
from torch import Tensor

from sightline.data.logmel import MelConfig, log_mel
from sightline.errors import InputError

CLASSES = ("disc", "square", "triangle", "cross", "ring", "bar")
"""Names of the events, by their shapes."""
TONES = (300.0, 480.0, 770.0, 1230.0, 1970.0, 3150.0)
"""Frequency of each class's tone in Hz, a factor of 1.6 apart."""
CHUNK = 100
HELD_OUT = 10_000_000
"""Scenes from this number on are never trained on."""
DETUNED = 0.03
LOUDNESS = (0.15, 0.4)


@dataclass(frozen=True, kw_only=True)
class WorldConfig:
    """Knobs of the world.

    Args:
        frames: pictures, and segments of sound.
        side: of the pictures in pixels.
        seconds: length of a segment, and time from a picture to the next.
        shapes: shapes in the picture; all but one are silent movers.
        tones: tones in the sound; all but one are of things off the screen.
        noise: standard deviation of noise in the picture, in units of 0..1.
        sound_noise: standard deviation of noise in the sound.
        lag: None: shapes are in the picture all the time; else each is there for 1 to 3 segments, and the event's
            tone sounds this many segments after its shape has appeared.
        negatives: share of scenes without an event: half of them off screen (no tone's shape is in the picture), half
            silent. Their label is `len(CLASSES)`.

    Raises:
        InputError: there are more things than classes, or no room for the tones.
    """

    frames: int = 6
    side: int = 24
    seconds: float = 0.2
    shapes: int = 2
    tones: int = 2
    noise: float = 0.02
    sound_noise: float = 0.003
    lag: int | None = None
    negatives: float = 0.0

    def __post_init__(self) -> None:
        if self.shapes + self.tones > len(CLASSES) + 1 or min(self.shapes, self.tones) < 1:
            raise InputError(
                f"{self.shapes} shapes and {self.tones} tones with one class in common need "
                f"{self.shapes + self.tones - 1} classes, and there are {len(CLASSES)}; take fewer"
            )
        if self.frames < 2 * self.tones or self.side % 4 or not 0 <= self.negatives <= 1:
            raise InputError(
                f"{self.tones} tones need {2 * self.tones} segments or more, and pictures of whole patches of 4 px; "
                f"got {self.frames} segments and a side of {self.side}"
            )


HARDER = WorldConfig(shapes=3, tones=3, noise=0.12, sound_noise=0.05, lag=1, frames=8)
"""With distractors, noise and lag."""


@dataclass(frozen=True, eq=False)
class Scenes:
    """Drawn scenes and what is known of them.

    Args:
        frames: pictures, `[b, t, 3, h, w]`.
        sounds: samples at 16 kHz, `[b, n]`.
        spectra: log-mel frames by segment, `[b, s, m, f]`.
        labels: the event, or `len(CLASSES)` for none.
        shapes: where the shape of each class is, `[b, k, t, h, w]`; empty where it is not in the picture.
        tones: when the tone of each class sounds, `[b, k, s]`.
    """

    frames: UInt8[Tensor, "b t 3 h w"]
    sounds: Float[Tensor, "b n"]
    spectra: Float[Tensor, "b s m f"]
    labels: Int[Tensor, " b"]
    shapes: Bool[Tensor, "b k t h w"]
    tones: Bool[Tensor, "b k s"]

    def __len__(self) -> int:
        """Scenes."""
        return len(self.labels)

    @property
    def where(self) -> Bool[Tensor, "b t h w"]:
        """Where the event's shape is; nowhere in a scene without an event."""
        return self._of_event(self.shapes)

    @property
    def when(self) -> Bool[Tensor, "b s"]:
        """When the event's tone sounds."""
        return self._of_event(self.tones)

    def _of_event(self, known: Tensor) -> Tensor:
        place = self.labels.clamp(max=len(CLASSES) - 1)
        own = known[torch.arange(len(self)), place]
        return own & (self.labels < len(CLASSES)).reshape(-1, *[1] * (own.ndim - 1))

    def inputs(self) -> tuple[Float[Tensor, "b t 3 h w"], Float[Tensor, "b s m f"]]:
        """What the network takes."""
        return self.frames.float() / 255, self.spectra.float()

    def rows(self, chosen: Tensor) -> Scenes:
        """Some of them."""
        return Scenes(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))

    def with_sound_of(self, others: Tensor) -> Scenes:
        """The same pictures with the sound of other scenes; their labels stay those of the pictures."""
        return replace(self, sounds=self.sounds[others], spectra=self.spectra[others], tones=self.tones[others])


def scenes(
    config: WorldConfig, first: int, count: int, *, seed: int = 0, report: Callable[[int], None] = lambda done: None
) -> Scenes:
    """Draw scenes `first` to `first + count`.

    Args:
        config: knobs.
        first: number of the first scene.
        count: how many.
        seed: of the world.
        report: called with how many more are there.
    """
    parts = []
    for start in range(first, first + count, CHUNK):
        plans = [Plan.of(config, (seed, n)) for n in range(start, min(start + CHUNK, first + count))]
        parts.append(_drawn(config, plans))
        report(len(plans))
    return Scenes(*(torch.cat([getattr(part, name) for part in parts]) for name in Scenes.__dataclass_fields__))


@dataclass(frozen=True, eq=False)
class Plan:
    """What happens in a scene.

    Args:
        label: the event, or `len(CLASSES)`.
        kinds: classes of the shapes.
        paths: centre of each shape in each frame, `[j, t, 2]`, in pixels, x first.
        radii: of the shapes.
        present: frames in which each shape is there, `[j, t]`.
        colours: RGB of the shapes and, last, of the ground, in 0..1.
        sounding: classes of the tones.
        spans: first segment and number of segments of each tone.
        noise: seed of the noise.
    """

    label: int
    kinds: tuple[int, ...]
    paths: NDArray[np.float64]
    radii: NDArray[np.float64]
    present: NDArray[np.bool_]
    colours: NDArray[np.float64]
    sounding: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]
    noise: int

    @staticmethod
    def of(config: WorldConfig, seed: tuple[int, int]) -> Plan:
        """The plan of a scene."""
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(CLASSES))
        kinds, tones = order[: config.shapes], [order[0], *order[config.shapes : config.shapes + config.tones - 1]]
        label = int(order[0])
        draw = rng.random(2)
        if draw[0] < config.negatives:
            label = len(CLASSES)
            tones = list(order[config.shapes : config.shapes + config.tones]) if draw[1] < 0.5 else []
        spans = _spans(rng, len(tones), config.frames, first=config.lag or 0)
        places = rng.permutation(len(tones))
        spans = [spans[place] for place in places]
        radii = rng.uniform(3.2, 4.2, config.shapes) * config.side / 24
        return Plan(
            label,
            tuple(int(kind) for kind in kinds),
            _paths(rng, config, radii),
            radii,
            _presence(rng, config, spans if label < len(CLASSES) else []),
            _colours(rng, config.shapes),
            tuple(int(tone) for tone in tones),
            tuple(spans),
            int(rng.integers(2**31)),
        )


def _spans(rng: np.random.Generator, tones: int, segments: int, *, first: int) -> list[tuple[int, int]]:
    """Segments of tones one after the other, 1 to 3 each."""
    room = segments - first
    lengths = rng.integers(1, min(3, max(1, room // max(1, tones))) + 1, tones)
    free = room - int(lengths.sum())
    gaps = np.sort(rng.integers(0, free + 1, tones))
    starts = first + gaps + np.concatenate([[0], np.cumsum(lengths)[:-1]]) if tones else gaps
    return [(int(start), int(length)) for start, length in zip(starts, lengths, strict=True)]


def _paths(rng: np.random.Generator, config: WorldConfig, radii: NDArray[np.float64]) -> NDArray[np.float64]:
    """Straight paths that stay in the picture and apart; of many drawn at random the first such, or the best."""
    scale, count = config.side / 24, config.shapes
    margin, tries = 4.0 * scale, 200
    starts, ends = rng.uniform(margin, config.side - margin, (2, tries, count, 2))
    far = (config.frames - 1) * 1.0 * scale
    steps = np.clip(ends - starts, -far, far)
    shares = np.linspace(0, 1, config.frames)[:, None]
    paths = starts[:, :, None] + steps[:, :, None] * shares
    gaps = np.linalg.norm(paths[:, :, None] - paths[:, None, :], axis=-1)
    gaps[:, np.arange(count), np.arange(count)] = np.inf
    closest = gaps.min((1, 2, 3))
    apart = closest > radii.max() * 2 + scale
    best: NDArray[np.float64] = paths[int(apart.argmax()) if apart.any() else int(closest.argmax())]
    return best


def _presence(rng: np.random.Generator, config: WorldConfig, spans: list[tuple[int, int]]) -> NDArray[np.bool_]:
    """Frames in which each shape is there; the event's, the first, comes `lag` segments before its tone."""
    present = np.ones((config.shapes, config.frames), bool)
    if config.lag is None:
        return present
    for shape in range(config.shapes):
        length = int(rng.integers(1, 4))
        start = int(rng.integers(0, config.frames - length + 1))
        if shape == 0 and spans:
            start, length = spans[0][0] - config.lag, spans[0][1]
        present[shape] = (np.arange(config.frames) >= start) & (np.arange(config.frames) < start + length)
    return present


def _colours(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Bright shapes, dark grounds; the class is not in the colour."""
    shapes = rng.uniform(0.35, 1.0, (count, 3))
    shapes[np.arange(count), rng.integers(0, 3, count)] = 1.0
    return np.concatenate([shapes, rng.uniform(0.0, 0.25, (1, 3))])


def covered(kind: int, dx: Tensor, dy: Tensor, r: Tensor) -> Float[Tensor, "..."]:
    """Share of each pixel that a shape covers, by its signed distance.

    Args:
        kind: the class.
        dx: pixels right of the shape's centre.
        dy: pixels below it.
        r: its radius.
    """
    ax, ay = dx.abs(), dy.abs()
    distance = [
        lambda: (dx**2 + dy**2).sqrt() - r,
        lambda: torch.maximum(ax, ay) - 0.85 * r,
        lambda: torch.maximum(dy - 0.75 * r, 0.87 * ax - 0.5 * dy - 0.5 * r),
        lambda: torch.minimum(torch.maximum(ax - 0.3 * r, ay - r), torch.maximum(ay - 0.3 * r, ax - r)),
        lambda: ((dx**2 + dy**2).sqrt() - 0.75 * r).abs() - 0.28 * r,
        lambda: torch.maximum(ax - 1.1 * r, ay - 0.4 * r),
    ][kind]()
    return (0.5 - distance).clamp(0, 1)


def _drawn(config: WorldConfig, plans: list[Plan]) -> Scenes:
    side, frames, count = config.side, config.frames, len(plans)
    grid = torch.arange(side) + 0.5
    pictures = torch.stack([torch.from_numpy(plan.colours[-1]) for plan in plans]).float()
    pictures = pictures[:, None, :, None, None].expand(-1, frames, -1, side, side).clone()
    masks = torch.zeros(count, len(CLASSES), frames, side, side, dtype=torch.bool)
    tones = torch.zeros(count, len(CLASSES), frames, dtype=torch.bool)
    sounds = np.zeros((count, _samples(config)), np.float32)
    for number, plan in enumerate(plans):
        rng = np.random.default_rng(plan.noise)
        for shape, kind in enumerate(plan.kinds):
            centre = torch.from_numpy(plan.paths[shape]).float()
            dx, dy = grid - centre[:, 0, None, None], grid[:, None] - centre[:, 1, None, None]
            share = covered(kind, dx, dy, torch.tensor(plan.radii[shape]).float())
            share = share * torch.from_numpy(plan.present[shape])[:, None, None]
            colour = torch.from_numpy(plan.colours[shape]).float()[:, None, None]
            pictures[number] += share[:, None] * (colour - pictures[number])
            masks[number, kind] = share >= 0.5
        for tone, (start, length) in zip(plan.sounding, plan.spans, strict=True):
            tones[number, tone, start : start + length] = True
            _add_tone(sounds[number], config, tone, start, length, rng)
        if config.noise:
            pictures[number] += torch.from_numpy(rng.normal(0, config.noise, pictures[number].shape)).float()
        # half of the silent scenes are digitally silent, as many real tracks are
        level = config.sound_noise if plan.sounding or plan.noise % 2 else 0.0
        sounds[number] += rng.normal(0, 1, len(sounds[number])).astype(np.float32) * level
    samples = torch.from_numpy(sounds)
    labels = torch.tensor([plan.label for plan in plans])
    frames_ = (pictures.clamp(0, 1) * 255).round().byte()
    return Scenes(frames_, samples.half(), spectra_of(samples, config.seconds).half(), labels, masks, tones)


def _samples(config: WorldConfig) -> int:
    own = MelConfig()
    return round(config.frames * config.seconds * own.rate) + own.window - own.hop


def _add_tone(
    sound: NDArray[np.float32], config: WorldConfig, tone: int, start: int, length: int, rng: np.random.Generator
) -> None:
    """A sine with soft ends, a little out of tune."""
    rate = MelConfig().rate
    hertz = TONES[tone] * (1 + rng.uniform(-DETUNED, DETUNED))
    n = round(length * config.seconds * rate)
    ramp = np.minimum(1, np.minimum(np.arange(n), np.arange(n)[::-1]) / (0.01 * rate))
    wave = rng.uniform(*LOUDNESS) * np.sin(2 * np.pi * hertz * np.arange(n) / rate + rng.uniform(0, 6.28)) * ramp
    at = round(start * config.seconds * rate)
    sound[at : at + n] += wave.astype(np.float32)


def spectra_of(samples: Float[Tensor, "b n"], seconds: float) -> Float[Tensor, "b s m f"]:
    """Log-mel frames by segment; see `data.ruler`."""
    config = MelConfig()
    hops = round(seconds * config.rate / config.hop)
    spectra = log_mel(samples, config)
    whole = spectra.shape[1] // hops
    return spectra[:, : whole * hops].reshape(len(spectra), whole, hops, -1)
