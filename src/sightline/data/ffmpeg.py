"""The ffmpeg program that `imageio-ffmpeg` brings (extra `video`): run it, and list a file's streams.

It knows nothing of pictures or samples; `video` and `sound` ask it for bytes.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from sightline.common.reading import check_file
from sightline.errors import InputError, MissingExtraError

PATIENCE = 600
"""Seconds after which a decoder that says nothing is stopped."""
DAMAGE = re.compile(r"Error submitting packet to decoder|corrupt decoded frame")
"""What the program says of a damaged stream, whichever its codec."""
STREAM = re.compile(r"^\s*Stream #0:(\d+)\S*: (Video|Audio|Subtitle|Data|Attachment): (.*)$", re.MULTILINE)
CHANNELS = {"mono": 1, "stereo": 2, "2.1": 3, "quad": 4, "4.0": 4, "5.0": 5, "5.1": 6, "6.1": 7, "7.1": 8}


@dataclass(frozen=True)
class Stream:
    """A stream of a file.

    Args:
        number: its place in the file.
        kind: `Video`, `Audio`, `Subtitle` and the like.
        text: what ffmpeg says of it: codec, size or rate.
    """

    number: int
    kind: str
    text: str

    @property
    def codec(self) -> str:
        """Name of the codec, such as `h264`."""
        return self.text.split(",")[0].split(" ")[0]

    @property
    def is_cover(self) -> bool:
        """Whether it is a cover picture in a sound file and no film."""
        return "(attached pic)" in self.text

    @property
    def size(self) -> tuple[int, int] | None:
        """Stored width and height in pixels; None where they are not said."""
        match = re.search(r"(?<![\w])(\d{1,5})x(\d{1,5})(?![\w])", self.text)
        return None if match is None else (int(match[1]), int(match[2]))

    @property
    def rate(self) -> int | None:
        """Samples a second of a sound; None where they are not said."""
        match = re.search(r"(\d+) Hz", self.text)
        return None if match is None else int(match[1])

    @property
    def channels(self) -> int | None:
        """Channels of a sound; None where they are not said."""
        match = re.search(r"Hz, ([\w.]+)(?:\(\w+\))?(?: (channels))?", self.text)
        if match is None:
            return None
        return int(match[1]) if match[2] and match[1].isdigit() else CHANNELS.get(match[1])


def need_ffmpeg(purpose: str) -> None:
    """Refuse work that needs the program where it is not installed.

    Raises:
        MissingExtraError: it is not.
    """
    if find_spec("imageio_ffmpeg") is None:
        raise MissingExtraError("imageio-ffmpeg", "video", purpose)


def run_ffmpeg(arguments: Sequence[str], *, purpose: str) -> tuple[int, bytes, str]:
    """Run the program on one thread.

    Args:
        arguments: after the program's name; the output goes to `-`.
        purpose: what it is for, in the text of an error.

    Returns:
        Exit code, what it wrote to its output, and what it said.

    Raises:
        MissingExtraError: it is not installed.
        InputError: it does not come to an end.
    """
    need_ffmpeg(purpose)
    import imageio_ffmpeg

    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-hide_banner", "-threads", "1", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)  # noqa: S603 - no shell
    except subprocess.TimeoutExpired as problem:
        raise InputError(f"{purpose} took more than {PATIENCE} s; cut the file") from problem
    return done.returncode, done.stdout, done.stderr.decode("utf-8", "replace")


def damage_of(report: str, what: str) -> tuple[str, ...]:
    """A remark where the program stumbled over a file and went on; nothing where all was well.

    Args:
        report: what it said while it decoded.
        what: `pictures` or `sound`.

    Example:
        >>> damage_of("[dec:h264] corrupt decoded frame", "pictures")
        ('the file is damaged: its decoder stumbled once, so pictures may be wrong or missing',)
    """
    count = len(DAMAGE.findall(report))
    if not count:
        return ()
    times = "once" if count == 1 else f"{count} times"
    return (f"the file is damaged: its decoder stumbled {times}, so {what} may be wrong or missing",)


def streams_of(path: Path) -> tuple[Stream, ...]:
    """The streams of a file, in its order.

    Raises:
        MissingExtraError: the program is not installed.
        InputError: the file is missing or empty, or nothing that ffmpeg knows.
    """
    check_file(path)
    if path.stat().st_size == 0:
        raise InputError(f"{str(path)!r} is empty (0 bytes); copy or download it again")
    _, _, report = run_ffmpeg(["-i", plain(path)], purpose=f"reading {str(path)!r}")
    streams = tuple(Stream(int(number), kind, text) for number, kind, text in STREAM.findall(report))
    if not streams:
        reason = next(
            (line.strip() for line in reversed(report.splitlines()) if "rror" in line or "nvalid" in line), ""
        )
        raise InputError(
            f"{str(path)!r} cannot be decoded: it is damaged or no video and no sound"
            f"{f' ({reason.rpartition(chr(58))[2].strip()})' if reason else ''}; download it again, or export it as "
            "MP4 (H.264)"
        )
    return streams


def plain(path: Path) -> str:
    """A path as ffmpeg takes it, even where its name begins with a dash or holds a colon."""
    return f"file:{path}"
