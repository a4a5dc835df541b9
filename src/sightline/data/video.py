"""Video with its time stamps: every frame of a file, when it is shown, and nothing resampled in time.

`clips` reads a few frames for a network that takes pictures in a row; here time itself matters. A variable frame rate
is passed through. It knows nothing of sound.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sightline.data.clips import read_frames
from sightline.data.ffmpeg import damage_of, plain, run_ffmpeg, streams_of
from sightline.errors import InputError

SIDE = 320
"""Longer side of decoded frames in pixels, where nothing says another."""
LONGEST = 60.0
"""Seconds that are read of a clip."""
SHOWN = re.compile(r"pts_time:\s*(-?[\d.]+|NOPTS).*? s:(\d+)x(\d+)")
EVEN = 0.1
"""Share by which steps between frames may differ in a video of constant rate: time stamps are rounded."""
Frames = NDArray[np.uint8]
Times = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Footage:
    """Frames and when they are shown.

    Args:
        frames: bytes `[t, h, w, 3]`, upright, with square pixels.
        times: second at which each frame appears, rising, from the file's own time stamps.
        path: the file or folder.
        original_size: frames, height and width of the file, `(t, h, w)`.
        notes: in words, what was chosen or left out.
    """

    frames: Frames
    times: Times
    path: Path | None
    original_size: tuple[int, ...]
    notes: tuple[str, ...] = ()

    @property
    def domain(self) -> str:
        """A clip lies over space and time."""
        return "space-time"

    def __len__(self) -> int:
        """Frames."""
        return len(self.frames)

    @cached_property
    def step(self) -> float:
        """Median seconds from a frame to the next; 0 for a single frame."""
        return float(np.median(np.diff(self.times))) if len(self.times) > 1 else 0.0

    @property
    def end(self) -> float:
        """Second at which the last frame has been shown as long as its like."""
        return float(self.times[-1]) + self.step

    @property
    def is_variable(self) -> bool:
        """Whether frames are shown for different times."""
        if len(self.times) < 3:
            return False
        steps = np.diff(self.times)
        return bool(np.abs(steps - self.step).max() > EVEN * self.step)

    def nearest(self, moments: Times) -> NDArray[np.int64]:
        """Number of the frame that is on the screen at each moment: the last one that has appeared.

        Args:
            moments: seconds; before the first frame the first one is taken.
        """
        return np.clip(np.searchsorted(self.times, moments + 1e-9, side="right") - 1, 0, len(self.times) - 1)


def read_video(path: str | Path, *, side: int = SIDE, stream: int | None = None, longest: float = LONGEST) -> Footage:
    """Decode a video's frames with their time stamps.

    Args:
        path: any file that ffmpeg decodes, or a folder of pictures (25 a second).
        side: longer side of the frames in pixels; smaller videos are not enlarged.
        stream: number of the video stream in the file; None takes the first that is no cover picture.
        longest: seconds that are read.

    Raises:
        MissingExtraError: the decoder is not installed.
        InputError: the file is missing, damaged, or has no such stream of pictures.
    """
    path = Path(path)
    if path.is_dir():
        return _of_folder(path, side)
    streams = [one for one in streams_of(path) if one.kind == "Video" and not one.is_cover]
    if not streams:
        raise InputError(f"{str(path)!r} has no video track; name a file with pictures")
    chosen = next((one for one in streams if one.number == stream), None) if stream is not None else streams[0]
    if chosen is None:
        numbers = ", ".join(str(one.number) for one in streams)
        raise InputError(f"{str(path)!r} has no video stream {stream}; it has {numbers}")
    frames, times, damage = _decoded(path, chosen.number, side, longest)
    notes = [] if len(streams) == 1 else [f"{len(streams)} video streams: stream {chosen.number} of the file is read"]
    notes += damage
    notes += [f"only the first {longest:g} s are read"] if times[-1] > longest - 2 * max(0.04, times[0]) else []
    width, height = chosen.size or frames.shape[2:0:-1]
    footage = Footage(frames, times, path, (len(frames), height, width), tuple(notes))
    if len(frames) == 1:
        return Footage(frames, times, path, footage.original_size, (*notes, "the clip has one frame"))
    if footage.is_variable:
        steps = np.diff(times)
        words = f"variable frame rate: frames stay {steps.min():.3f} to {steps.max():.3f} s"
        return Footage(frames, times, path, footage.original_size, (*notes, words))
    return footage


def _decoded(path: Path, stream: int, side: int, longest: float) -> tuple[Frames, Times, tuple[str, ...]]:
    """Frames and times of a stream, which may begin later than the file, and a remark where it is damaged."""
    ratio = "iw*if(sar,sar,1)/ih"
    wide = f"if(gte({ratio},1),min({side},iw*if(sar,sar,1)),min({side},ih)*{ratio})"
    high = f"if(gte({ratio},1),min({side},iw*if(sar,sar,1))/({ratio}),min({side},ih))"
    scale = f"scale=w='max(2,2*round({wide}/2))':h='max(2,2*round({high}/2))':flags=area"
    code, content, report = run_ffmpeg(
        [
            *("-t", f"{longest:g}", "-i", plain(path), "-map", f"0:{stream}", "-fps_mode", "passthrough"),
            *("-vf", f"{scale},setsar=1,format=rgb24,showinfo", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"),
        ],
        purpose=f"decoding {str(path)!r}",
    )
    lines = SHOWN.findall(report)
    if not lines:
        if code:
            raise InputError(f"the video {str(path)!r} cannot be decoded; export it again as MP4 (H.264)")
        raise InputError(f"the video {str(path)!r} holds no pictures; name a file with a video track")
    width, height = int(lines[0][1]), int(lines[0][2])
    count = min(len(lines), len(content) // (3 * width * height))
    frames = np.frombuffer(content[: count * 3 * width * height], np.uint8).reshape(count, height, width, 3)
    times = np.array([float("nan") if stamp == "NOPTS" else float(stamp) for stamp, _, _ in lines[:count]])
    if not count or not np.isfinite(times).all() or (np.diff(times) < 0).any():
        raise InputError(f"the video {str(path)!r} has no usable time stamps; export it again as MP4 (H.264)")
    return frames, times, damage_of(report, "pictures")


def _of_folder(path: Path, side: int) -> Footage:
    """The pictures of a folder, of which nothing says when they are shown."""
    clip = read_frames(path, frames=int(LONGEST * 25))
    width, height = clip.frames[0].size
    scale = min(1.0, side / max(width, height))
    size = (max(2, round(width * scale)), max(2, round(height * scale)))
    frames = np.stack([np.asarray(frame.resize(size)) for frame in clip.frames])
    times = np.arange(len(frames)) / 25
    notes = (*clip.notes, "a folder of pictures says no times: taken as 25 a second")
    return Footage(frames, times, path, clip.original_size, notes)
