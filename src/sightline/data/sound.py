"""Sound as one channel at one rate, in step with the picture of its file, whatever the file holds.

A WAV file is read without any program, by the reader that signals have; everything else is decoded by ffmpeg. Gaps
and a late start become silence, so that sample `n` belongs to second `n / rate` of the clip. It knows no picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sightline.common.reading import check_file
from sightline.data.arrays import read_sound
from sightline.data.ffmpeg import damage_of, plain, run_ffmpeg, streams_of
from sightline.data.video import LONGEST
from sightline.errors import InputError

RATE = 16_000
"""Samples a second that networks of sound take."""
QUIET = -60.0
"""Level in dB of full scale below which a track is called silent."""
WAV = (".wav", ".wave")
Samples = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Track:
    """A sound as a network takes it.

    Args:
        samples: one channel in -1..1; empty where the file has no sound.
        rate: samples a second.
        path: the file.
        original: channels and rate of the file; (0, 0) where it has no sound.
        notes: in words, what was mixed, resampled, or is odd.
    """

    samples: Samples
    rate: int
    path: Path | None
    original: tuple[int, int] = (1, RATE)
    notes: tuple[str, ...] = ()

    @property
    def is_there(self) -> bool:
        """Whether there is any sound to look at: a track whose samples are not all zero."""
        return bool(np.any(self.samples))

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / self.rate

    def levels(self, seconds: float) -> NDArray[np.float64]:
        """Level of every part in dB of full scale, by its mean square; -inf for digital silence.

        Args:
            seconds: length of a part; the last may be shorter.
        """
        step = max(1, round(seconds * self.rate))
        parts = [self.samples[at : at + step].astype(np.float64) for at in range(0, len(self.samples), step)]
        with np.errstate(divide="ignore"):
            return np.array([10 * np.log10(np.mean(part**2)) for part in parts])


def read_track(path: str | Path, *, rate: int = RATE, stream: int | None = None, longest: float = LONGEST) -> Track:
    """Read the sound of a file as one channel.

    Args:
        path: a WAV file, or anything that ffmpeg decodes; a video without sound gives an empty track.
        rate: samples a second that are wanted.
        stream: number of the audio stream in the file; None takes the first.
        longest: seconds that are read.

    Raises:
        MissingExtraError: the decoder is not installed, and this is no WAV file.
        InputError: the file is missing, damaged, or has no such stream.
    """
    path = Path(path)
    check_file(path)
    track = (_of_wav if path.suffix.lower() in WAV else _decoded)(path, rate, stream, longest)
    return Track(track.samples, rate, path, track.original, (*track.notes, *_remarks(track)))


def mono(channels: NDArray[np.float32]) -> Samples:
    """The mean of all channels `[c, n]`.

    Example:
        >>> mono(np.array([[1.0, 0.0], [0.0, 0.0]], np.float32)).tolist()
        [0.5, 0.0]
    """
    return np.ascontiguousarray(channels.mean(axis=0, dtype=np.float64), np.float32)


def resampled(samples: Samples, old: int, new: int) -> Samples:
    """The same sound at another rate, by a polyphase filter; `ceil(n * new / old)` samples."""
    if old == new:
        return samples
    from scipy.signal import resample_poly

    ratio = Fraction(new, old)
    return np.ascontiguousarray(resample_poly(samples, ratio.numerator, ratio.denominator), np.float32)


def _of_wav(path: Path, rate: int, stream: int | None, longest: float) -> Track:
    if stream is not None:
        raise InputError(f"{str(path)!r} is a WAV file, which has one stream; leave the number {stream} out")
    sound = read_sound(path)
    own = round(sound.rate or rate)
    values = sound.values[:, : math.ceil(longest * own)]
    if not np.isfinite(values).all():
        raise InputError(f"the sound {str(path)!r} holds values that are not finite; export it again")
    notes = _changes(len(values), own, rate, "the mean of them is taken")
    return Track(resampled(mono(values), own, rate), rate, path, (len(values), own), notes)


def _decoded(path: Path, rate: int, stream: int | None, longest: float) -> Track:
    streams = [one for one in streams_of(path) if one.kind == "Audio"]
    if not streams:
        return Track(np.zeros(0, np.float32), rate, path, (0, 0))
    chosen = streams[0] if stream is None else next((one for one in streams if one.number == stream), None)
    if chosen is None:
        numbers = ", ".join(str(one.number) for one in streams)
        raise InputError(f"{str(path)!r} has no audio stream {stream}; it has {numbers}")
    code, content, report = run_ffmpeg(
        [
            *("-t", f"{longest:g}", "-i", plain(path), "-map", f"0:{chosen.number}", "-ac", "1"),
            *("-af", f"aresample={rate}:async=1:first_pts=0", "-f", "f32le", "-"),
        ],
        purpose=f"decoding the sound of {str(path)!r}",
    )
    samples = np.frombuffer(content[: len(content) // 4 * 4], "<f4").astype(np.float32)
    if code and not len(samples):
        reason = next(iter(report.strip().splitlines()[-1:]), "")
        raise InputError(f"the sound of {str(path)!r} cannot be decoded ({reason}); export it as WAV")
    notes = [] if len(streams) == 1 else [f"{len(streams)} audio streams: stream {chosen.number} of the file is read"]
    channels, own = chosen.channels or 1, chosen.rate or rate
    changes = _changes(channels, own, rate, "mixed to one")
    return Track(samples, rate, path, (channels, own), (*notes, *damage_of(report, "sound"), *changes))


def _changes(channels: int, own: int, rate: int, mixed: str) -> tuple[str, ...]:
    notes = [f"{channels} channels of sound: {mixed}"] if channels > 1 else []
    return (*notes, *([f"sound at {own} Hz, resampled to {rate} Hz"] if own != rate else []))


def _remarks(track: Track) -> tuple[str, ...]:
    """What a reader has to know about a track that says little."""
    if not track.original[1]:
        return ("the file has no audio track, so nothing is known of its sound",)
    if not len(track.samples):
        return ("the audio track holds no samples, so nothing is known of its sound",)
    if not track.is_there:
        return (f"the audio track is digital silence: all {len(track.samples):,} samples are 0",)
    level = float(10 * np.log10(np.mean(track.samples.astype(np.float64) ** 2)))
    return (f"the sound is silent: {level:.0f} dB of full scale",) if level < QUIET else ()
