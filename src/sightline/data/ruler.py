"""The ruler of a clip: how seconds, frames, spectrogram frames, segments of sound and patches of the picture line up.

A clip with sound is cut into segments of equal length, from second 0 on. A segment's sound is what lies in it; its
picture is the frame on the screen in its middle. So an entry of a curve, a frame and a time are one thing, also where
the frame rate varies. It knows nothing of networks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sightline.data.logmel import MelConfig
from sightline.data.sound import Track
from sightline.data.video import Footage
from sightline.errors import InputError

LATE = 0.1
"""Seconds by which sound may outlast the picture without a remark."""


@dataclass(frozen=True, eq=False)
class Ruler:
    """Times of a clip.

    Args:
        footage: its frames; None for a sound alone.
        track: its sound.
        seconds: length of a segment.
        patch: pixels of the network's input that a patch is high and wide; 0 where that is not known.
        config: parameters of the spectrogram.
        size: height and width of the network's input; (0, 0) where that is not known.

    Raises:
        InputError: a segment is no longer than the spectrogram's window, or not a whole number of its hops.
    """

    footage: Footage | None
    track: Track
    seconds: float = 0.2
    patch: int = 0
    config: MelConfig = MelConfig()
    size: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        hops = self.seconds * self.config.rate / self.config.hop
        if abs(hops - round(hops)) > 1e-6 or self.seconds * self.config.rate < self.config.window:
            raise InputError(
                f"a segment of {self.seconds:g} s is not a whole number of hops of "
                f"{self.config.hop / self.config.rate:g} s, or shorter than a window; choose another length"
            )

    @property
    def hops(self) -> int:
        """Frames of the spectrogram that begin in a segment."""
        return round(self.seconds * self.config.rate / self.config.hop)

    @property
    def segments(self) -> int:
        """Segments: as many as the picture lasts, or the sound where there is no picture; at least one."""
        still = self.footage is None or len(self.footage) == 1
        end = self.track.seconds if still or self.footage is None else self.footage.end
        return max(1, math.ceil(round(end / self.seconds, 6) - 0.25))

    @property
    def end(self) -> float:
        """Second at which the last segment ends."""
        return self.segments * self.seconds

    @property
    def middles(self) -> NDArray[np.float64]:
        """Second in the middle of each segment."""
        return np.asarray((np.arange(self.segments) + 0.5) * self.seconds, np.float64)

    @property
    def frames(self) -> NDArray[np.int64]:
        """Number of the frame that is each segment's picture; empty without pictures."""
        return np.zeros(0, np.int64) if self.footage is None else self.footage.nearest(self.middles)

    @property
    def samples(self) -> NDArray[np.float32]:
        """The sound of all segments, and of the last window that begins in them; filled up with silence."""
        count = round(self.end * self.config.rate) + self.config.window - self.config.hop
        values = np.zeros(count, np.float32)
        own = self.track.samples[:count]
        values[: len(own)] = own
        return values

    @property
    def audible(self) -> NDArray[np.bool_]:
        """Segments in which the file has sound at all, be it silence."""
        whole = np.arange(self.segments) * self.seconds
        return whole < self.track.seconds - 0.25 * self.seconds if len(self.track.samples) else whole < 0

    @property
    def notes(self) -> tuple[str, ...]:
        """In words, where picture and sound do not last equally long, and all that their readers remarked."""
        own = [*(self.footage.notes if self.footage else ()), *self.track.notes]
        if self.footage is None or len(self.footage) == 1 or not len(self.track.samples):
            return tuple(own)  # a single picture lasts as long as the sound
        gap = self.track.seconds - self.footage.end
        if abs(gap) > LATE:
            longer, shorter = ("sound", "picture") if gap > 0 else ("picture", "sound")
            own.append(
                f"the {longer} is {abs(gap):.2f} s longer than the {shorter}: what is beyond is left out or empty"
            )
        return tuple(own)

    def lines(self) -> Iterator[str]:
        """The ruler in words, a line for each scale."""
        if self.footage is not None and len(self.footage) == 1:
            yield "picture   one frame"
        elif self.footage is not None:
            step = self.footage.step
            even = f"{1 / step:.2f} a second" if step else "all at one time"
            rate = "variable frame rate" if self.footage.is_variable else even
            times = f"{self.footage.times[0]:.3f} to {self.footage.end:.3f} s"
            yield f"picture   {len(self.footage)} frames, {times}, {rate}"
        if len(self.track.samples):
            channels, rate_ = self.track.original
            yield (
                f"sound     {self.track.seconds:.3f} s, {channels} x {rate_} Hz, read as 1 x {self.track.rate} Hz "
                f"({len(self.track.samples)} samples)"
            )
        hop, window = (1000 * value / self.config.rate for value in (self.config.hop, self.config.window))
        yield (
            f"spectrum  {self.hops * self.segments} frames of {window:g} ms every {hop:g} ms; frame j covers "
            f"{hop:g} j to {hop:g} j + {window:g} ms"
        )
        yield (
            f"segments  {self.segments} of {self.seconds:g} s; segment s covers {self.seconds:g} s to "
            f"{self.seconds:g} (s + 1), spectrum frames {self.hops} s to {self.hops} s + {self.hops - 1}"
        )
        if self.patch and self.footage is not None:
            high, wide = self.size[0] // self.patch, self.size[1] // self.patch
            _, height, width = self.footage.frames.shape[:3]
            yield (
                f"patches   {high} x {wide} for each picture, each {self.patch} px of the network's {self.size[0]} x "
                f"{self.size[1]}, {height / high:.1f} x {width / wide:.1f} px of the {height} x {width} shown"
            )

    def table(self) -> Iterator[tuple[int, float, float, int | None, float | None]]:
        """Of every segment its number, begin and end in seconds, and the frame it shows with that frame's time."""
        frames = self.frames
        for number in range(self.segments):
            frame = None if self.footage is None else int(frames[number])
            time = None if self.footage is None or frame is None else float(self.footage.times[frame])
            yield number, number * self.seconds, (number + 1) * self.seconds, frame, time
