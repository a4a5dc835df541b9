"""Clips: frames out of a video file, or pictures of a folder in the order of their names.

Of a clip as many frames are read as a network takes, spread evenly over all of it. A video is decoded by the encoder
that `imageio-ffmpeg` brings (extra `video`); a folder of frames needs nothing.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from PIL import Image

from sightline.common.reading import check_file
from sightline.data.openers import opener
from sightline.data.paths import natural
from sightline.data.photos import SUFFIXES, read_photo
from sightline.errors import InputError, MissingExtraError

logging.getLogger("imageio_ffmpeg").addHandler(logging.NullHandler())  # what it remarks is no news to a reader
FRAMES = 16
"""Frames that are read where nobody says how many."""


@dataclass(frozen=True, eq=False)
class Clip:
    """Frames of a clip, upright RGB pictures of one size.

    Args:
        frames: in order.
        path: the file or folder.
        original_size: frames in all, height and width in pixels.
        rate: of the frames that were read, how many there are in a second; None where that is not known.
        notes: in words, which were read.
    """

    frames: tuple[Image.Image, ...]
    path: Path | None
    original_size: tuple[int, ...]
    rate: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def domain(self) -> str:
        """A clip lies over space and time."""
        return "space-time"


@opener("clip", ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", in_folders=False)
def read_clip(path: str | Path, *, frames: int = FRAMES) -> Clip:
    """Read frames of a video, spread evenly.

    Args:
        path: a file that ffmpeg can decode.
        frames: how many are read.

    Raises:
        MissingExtraError: the decoder is not installed.
        InputError: the file is missing or damaged, or holds no picture.
    """
    path = Path(path)
    check_file(path)
    if find_spec("imageio_ffmpeg") is None:
        raise MissingExtraError("imageio-ffmpeg", "video", "reading a video")
    count, rate, size = _header(path)
    wanted = spread_evenly(count, frames)
    pictures = _decoded(path, wanted, size)
    whole = f"{len(pictures)} of {count} frames, spread evenly" if len(pictures) < count else ""
    own = rate * len(pictures) / count if rate else None
    return Clip(tuple(pictures), path, (count, size[1], size[0]), own, (whole,) if whole else ())


@opener("frames")
def read_frames(folder: str | Path, *, frames: int = FRAMES) -> Clip:
    """Read the pictures of a folder as the frames of a clip, in the order of their names (`2.png` before `10.png`).

    Args:
        folder: the pictures lie in it, not in folders below it.
        frames: how many are read, spread evenly.

    Raises:
        InputError: it holds no pictures, one is damaged, or they are not of one size.
    """
    folder = Path(folder)
    files = sorted((p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file()), key=natural)
    if not files:
        raise InputError(f"the folder {str(folder)!r} holds no pictures that could be the frames of a clip")
    chosen = spread_evenly(len(files), frames)
    pictures = [read_photo(files[place]).image for place in chosen]
    if odd := [place for place, picture in zip(chosen, pictures, strict=True) if picture.size != pictures[0].size]:
        raise InputError(
            f"the frames of a clip have one size, but {files[odd[0]].name!r} in {str(folder)!r} has another than "
            f"{files[chosen[0]].name!r}; bring them to one size"
        )
    width, height = pictures[0].size
    notes = (f"{len(pictures)} of {len(files)} frames, spread evenly",) if len(pictures) < len(files) else ()
    return Clip(tuple(pictures), folder, (len(files), height, width), None, notes)


def spread_evenly(count: int, frames: int) -> tuple[int, ...]:
    """The frame in the middle of each of `frames` equal parts of a clip; all of a shorter one.

    Example:
        >>> spread_evenly(100, 4)
        (12, 37, 62, 87)
    """
    if frames < 1:
        raise InputError(f"a clip has at least one frame; {frames} were asked for")
    if count <= frames:
        return tuple(range(count))
    return tuple(int((place + 0.5) * count / frames) for place in range(frames))


def _header(path: Path) -> tuple[int, float | None, tuple[int, int]]:
    """Number of frames, frames a second, and width and height."""
    import imageio_ffmpeg

    try:
        reader = imageio_ffmpeg.read_frames(str(path))
        meta = next(reader)
        reader.close()
        count, _ = imageio_ffmpeg.count_frames_and_secs(str(path))
    except Exception as problem:  # the decoder may say anything of a damaged file
        raise InputError(f"the video {str(path)!r} cannot be decoded; export it again as MP4 (H.264)") from problem
    rate = float(meta.get("fps") or 0.0)
    if not count:
        raise InputError(f"the video {str(path)!r} holds no pictures; name a file with a video track")
    return int(count), rate if 0 < rate < 1000 else None, (int(meta["size"][0]), int(meta["size"][1]))


def _decoded(path: Path, wanted: tuple[int, ...], size: tuple[int, int]) -> list[Image.Image]:
    """The frames of these numbers; decoding ends with the last of them."""
    import imageio_ffmpeg

    reader = imageio_ffmpeg.read_frames(str(path), pix_fmt="rgb24")
    pictures: list[Image.Image] = []
    keep = set(wanted)
    try:
        next(reader)
        for number, content in enumerate(reader):
            if number in keep:
                pictures.append(Image.frombytes("RGB", size, content))
            if len(pictures) == len(wanted):
                break
    except Exception as problem:
        raise InputError(f"the video {str(path)!r} cannot be decoded to its end; export it again") from problem
    finally:
        reader.close()
    if not pictures:
        raise InputError(f"the video {str(path)!r} holds no pictures; name a file with a video track")
    return pictures
