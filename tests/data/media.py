"""Small films and sounds, made by the ffmpeg that reads them: what people's files are like."""

from __future__ import annotations

import subprocess
import wave
from pathlib import Path

import numpy as np


def ffmpeg(*arguments: str) -> None:
    import imageio_ffmpeg

    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-y", "-loglevel", "error", "-threads", "1", *arguments]
    subprocess.run(command, check=True, timeout=60)


def film(
    path: Path, *, picture: str = "testsrc=size=48x32:rate=10:duration=2", sound: str = "", more: str = ""
) -> Path:
    """A film of ffmpeg's own sources; no sound where none is named."""
    inputs = ["-f", "lavfi", "-i", picture, *(["-f", "lavfi", "-i", sound] if sound else [])]
    ffmpeg(*inputs, *more.split(), str(path))
    return path


def tone(hertz: float, seconds: float, rate: int = 16_000) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def wav(path: Path, channels: np.ndarray, *, rate: int = 16_000, width: int = 2) -> Path:
    """A WAV file of `[c, n]` in -1..1 with samples of 1 to 4 bytes, written by the standard library."""
    full = 2 ** (8 * width - 1) - 1
    values = np.rint(np.clip(channels, -1, 1).T.astype(np.float64) * full).astype(np.int64)
    if width == 1:
        values += 128
    content = b"".join(int(v).to_bytes(width, "little", signed=width > 1) for v in values.reshape(-1))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(channels))
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(content)
    return path
