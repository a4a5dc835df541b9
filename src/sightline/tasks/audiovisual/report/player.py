"""A clip that every browser plays: WebM (VP8 and Opus), small enough to lie in a page; and drawn scenes as clips."""

from __future__ import annotations

import base64
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sightline.common.files import write_bytes
from sightline.data.ffmpeg import plain, run_ffmpeg
from sightline.data.video import LONGEST
from sightline.errors import InputError
from sightline.tasks.audiovisual.world import Scenes

SIDE = 400
"""Longer side of the picture that plays, in pixels."""
ENLARGED = 10
"""Pixels of a clip for each of a drawn scene."""


def playable(path: Path, *, picture: bool) -> str:
    """The clip as a data address; times are those of the file.

    Args:
        path: a video or a sound.
        picture: whether it has a picture.

    Raises:
        InputError: it cannot be written in this form.
    """
    kind = "video/webm" if picture else "audio/webm"
    scale = f"scale=w='min({SIDE},iw)':h='min({SIDE},ih)':force_original_aspect_ratio=decrease:force_divisible_by=2"
    # V: the first stream that is no cover picture, as `read_video` takes it
    film = ["-map", "0:V:0", "-vf", scale, "-fps_mode", "passthrough", "-c:v", "libvpx", "-b:v", "400k"]
    quick = ["-deadline", "realtime", "-cpu-used", "16", "-pix_fmt", "yuv420p"]
    sound = ["-map", "0:a:0?", "-c:a", "libopus", "-ac", "2", "-b:a", "64k"]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "clip.webm"  # a file and no pipe: only then the place of every second is written
        code, _, report = run_ffmpeg(
            ["-t", f"{LONGEST:g}", "-i", plain(path), *(film + quick if picture else []), *sound, "-y", str(out)],
            purpose=f"writing {str(path)!r} for the page",
        )
        if code or not out.exists():
            reason = next(iter(report.strip().splitlines()[-1:]), "")
            raise InputError(
                f"{str(path)!r} cannot be written as WebM for the page ({reason}); export it as MP4 (H.264)"
            )
        return f"data:{kind};base64,{base64.b64encode(out.read_bytes()).decode()}"


def save_scene(scenes: Scenes, number: int, path: Path, *, seconds: float = 0.2) -> Path:
    """Write a drawn scene as a clip with sound, without loss.

    Args:
        scenes: drawn scenes.
        number: which of them.
        path: a file that ends in `.mkv`.
        seconds: time from a picture to the next.
    """
    frames = scenes.frames[number].permute(0, 2, 3, 1).numpy()
    samples = scenes.sounds[number].float().numpy()[: round(len(frames) * seconds * 16_000)]
    with tempfile.TemporaryDirectory() as folder:
        raw, wave, out = (Path(folder) / name for name in ("frames.rgb", "sound.f32", "clip.mkv"))
        raw.write_bytes(_large(frames).tobytes())
        wave.write_bytes(samples.astype("<f4").tobytes())
        side = frames.shape[1] * ENLARGED
        code, _, report = run_ffmpeg(
            [
                *("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{side}x{side}", "-r", f"{1 / seconds:g}"),
                *("-i", str(raw), "-f", "f32le", "-ar", "16000", "-ac", "1", "-i", str(wave)),
                *("-c:v", "ffv1", "-c:a", "flac", "-fflags", "+bitexact", "-y", str(out)),
            ],
            purpose="writing a scene",
        )
        if code:
            raise InputError(f"the scene cannot be written as a clip ({report.strip().splitlines()[-1]})")
        write_bytes(path, out.read_bytes())
    return path


def _large(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(frames.repeat(ENLARGED, 1).repeat(ENLARGED, 2))
