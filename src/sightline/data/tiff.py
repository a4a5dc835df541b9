"""TIFF files of numbers: samples of 16, 32 and 64 bits, signed or float, in one channel or several, as they are.

Pillow keeps the upper half of 16-bit colours, takes signed bytes for unsigned ones, and knows no 64-bit floats. But
it reads bytes out of every compression: so the first page's strips get a directory that calls them a grey picture of
bytes, Pillow decodes that, and its bytes are the samples. This file knows nothing of what the numbers mean.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from sightline.data.levels import Levels
from sightline.errors import InputError

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
OFFSETS, SAMPLES, ROWS, COUNTS, LOW, HIGH, PLANAR = 273, 277, 278, 279, 280, 281, 284
PREDICTOR, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS = 317, 322, 323, 324, 325
ORIENTATION, EXTRA, FORMAT, SMALLEST, LARGEST, NO_DATA = 274, 338, 339, 340, 341, 42113

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB = 0, 1, 2
KINDS = {1: "u", 2: "i", 3: "f"}
"""Sample formats, in numpy's letters."""

DIFFERENCES, FLOAT_DIFFERENCES = 2, 3
PREDICTED = (5, 8, 32946, 34925, 50000)
"""Compressions that heed the predictor: LZW, both kinds of deflate, LZMA, Zstandard."""


@dataclass(frozen=True, eq=False)
class Page:
    """The first page of a file whose samples are numbers.

    Args:
        path: the file.
        tags: its directory.
        order: order of its bytes, as `struct` writes it.
        pages: whether more follow.
    """

    path: Path
    tags: dict[int, Any]
    order: str
    pages: bool

    @property
    def size(self) -> tuple[int, int]:
        """`(width, height)` in pixels."""
        return int(self._one(WIDTH, 0)), int(self._one(HEIGHT, 0))

    @property
    def channels(self) -> int:
        """Channels, opacity among them."""
        return int(self._one(SAMPLES, 1))

    @property
    def alpha(self) -> bool:
        """Whether the last channel is opacity."""
        return self.channels in (2, 4) and self._one(EXTRA, 0) in (1, 2)

    @property
    def inverted(self) -> bool:
        """Whether the greatest value is black."""
        return bool(self._one(PHOTOMETRIC, BLACK_IS_ZERO) == WHITE_IS_ZERO)

    @property
    def orientation(self) -> int:
        """EXIF's number for how the picture has to be turned."""
        return int(self._one(ORIENTATION, 1))

    def levels(self) -> Levels:
        """Black and white, as far as the file names its smallest and largest sample."""
        low, high = self._one(SMALLEST, self._one(LOW, None)), self._one(LARGEST, self._one(HIGH, None))
        kind = self._kind
        full = 2.0 ** (8 * kind.itemsize) - 1 if kind.kind != "f" else float("inf")
        if high is None or not 0 < float(high) < full:
            return Levels()
        return Levels(float(low) if low is not None and low < high else None, float(high))

    def empty(self, values: NDArray[Any]) -> NDArray[np.bool_] | None:
        """Where maps of the earth say that nothing was measured; None where the file names no such value."""
        try:
            missing = float(str(self._one(NO_DATA, "")).strip("\0 "))
        except ValueError:
            return None
        empty: NDArray[np.bool_] = np.isnan(values) if np.isnan(missing) else np.equal(values, missing)
        return empty

    def samples(self) -> NDArray[Any]:
        """The samples `[h, w, c]`.

        Raises:
            InputError: they are of a kind that is not read.
        """
        self._check()
        width, height = self.size
        apart = self._planes
        together = self.channels // apart
        kind = self._kind
        with Image.open(io.BytesIO(self._as_bytes(together * kind.itemsize))) as picture:
            values = np.asarray(picture).view(kind).reshape(apart, height, width, together)
        values = self._summed(values).astype(kind.newbyteorder("="))
        return np.moveaxis(values, 0, -1)[..., 0, :] if apart > 1 else values[0]

    def _one(self, tag: int, default: Any) -> Any:
        """A tag's value, the first of several, or the default."""
        value = self.tags.get(tag, default)
        return value[0] if isinstance(value, tuple) and value else value

    @property
    def _kind(self) -> np.dtype[Any]:
        return np.dtype(f"{self.order}{KINDS[int(self._one(FORMAT, 1))]}{int(self._one(BITS, 1)) // 8}")

    @property
    def _planes(self) -> int:
        """Into how many pictures the channels are split."""
        return self.channels if self._one(PLANAR, 1) == 2 else 1

    @property
    def _rows(self) -> int:
        """Rows of one strip or tile."""
        height = self.size[1]
        return int(self._one(TILE_HEIGHT, 0)) or min(int(self._one(ROWS, height)), height)

    def numbers(self) -> bool:
        """Whether these are grey or RGB samples that are more than plain bytes."""
        bits, photometric = int(self._one(BITS, 1)), self._one(PHOTOMETRIC, BLACK_IS_ZERO)
        known = self._one(FORMAT, 1) in KINDS and bits in (8, 16, 32, 64)
        predicted = self._one(PREDICTOR, 1) == FLOAT_DIFFERENCES and self._one(COMPRESSION, 1) in PREDICTED
        plain = bits == 8 and self._one(FORMAT, 1) == 1 and (self.channels in (1, 3) or self.alpha)
        return photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB) and known and not predicted and not plain

    def _check(self) -> None:
        """Refuse more channels than a picture has, and planes that do not end where a strip ends.

        Raises:
            InputError: it says what the samples are.
        """
        even = self._planes == 1 or self._rows in (0, self.size[1]) or self.size[1] % self._rows == 0
        if self.channels <= 4 and even:
            return
        raise InputError(
            f"the picture {str(self.path)!r} holds {self.channels} channels of {8 * self._kind.itemsize} bits, which "
            "is not read; save it as grey or RGB with its channels together, or hand its numbers to "
            "sightline.explain as a tensor"
        )

    def _summed(self, values: NDArray[Any]) -> NDArray[Any]:
        """The samples, where each was kept as its difference from the one to its left, within a strip or a tile."""
        if self._one(PREDICTOR, 1) != DIFFERENCES or self._one(COMPRESSION, 1) not in PREDICTED:
            return values
        step = int(self._one(TILE_WIDTH, 0)) or self.size[0]
        whole = values.dtype.newbyteorder("=")
        parts = [values[:, :, at : at + step].astype(whole) for at in range(0, self.size[0], step)]
        return np.concatenate([np.cumsum(part, axis=2, dtype=whole) for part in parts], axis=2)

    def _as_bytes(self, factor: int) -> bytes:
        """A file of this page's data that calls it a grey picture of bytes, `factor` times as wide."""
        tiled = TILE_WIDTH in self.tags
        offsets, counts = (TILE_OFFSETS, TILE_COUNTS) if tiled else (OFFSETS, COUNTS)
        strips = self._strips(offsets, counts)
        width, height = self.size
        tags = {
            WIDTH: (width * factor,),
            HEIGHT: (height * self._planes,),
            BITS: (8,),
            COMPRESSION: (int(self._one(COMPRESSION, 1)),),
            PHOTOMETRIC: (BLACK_IS_ZERO,),
            SAMPLES: (1,),
            PLANAR: (1,),
            counts: tuple(map(len, strips)),
            offsets: tuple(8 + sum(map(len, strips[:i])) for i in range(len(strips))),
        }
        if tiled:
            tags |= {TILE_WIDTH: (int(self._one(TILE_WIDTH, 0)) * factor,), TILE_HEIGHT: (self._rows,)}
        else:
            tags[ROWS] = (self._rows,)
        return _file(b"".join(strips), tags, self.order)

    def _strips(self, offsets: int, counts: int) -> list[bytes]:
        """The compressed data, strip by strip or tile by tile."""
        with self.path.open("rb") as file:
            strips = []
            for offset, count in zip(_several(self.tags[offsets]), _several(self.tags[counts]), strict=True):
                file.seek(offset)
                strips.append(file.read(count))
        return strips


def open_page(path: Path) -> Page | None:
    """The first page of a TIFF file of numbers; None where it is no TIFF, or one that Pillow reads as it is."""
    with path.open("rb") as file:
        header = file.read(8)
        if header[:4] in (b"II+\0", b"MM\0+"):  # of more than 4 GiB, or made as if it were
            header += file.read(8)
        elif header[:4] not in (b"II*\0", b"MM\0*"):
            return None
        tags = TiffImagePlugin.ImageFileDirectory_v2(header)
        file.seek(tags.next)
        tags.load(file)
    page = Page(path, dict(tags), "<" if header[:2] == b"II" else ">", bool(tags.next))
    return page if page.numbers() else None


def _several(value: Any) -> tuple[int, ...]:
    return tuple(map(int, value)) if isinstance(value, tuple) else (int(value),)


def _file(data: bytes, tags: dict[int, tuple[int, ...]], order: str) -> bytes:
    """A TIFF file of this data, which begins at its eighth byte, with a directory behind it."""
    data += b"\0" * (len(data) % 2)
    start = 8 + len(data)
    place = start + 2 + 12 * len(tags) + 4
    entries = values = b""
    for tag in sorted(tags):
        packed = struct.pack(f"{order}{len(tags[tag])}I", *tags[tag])
        entries += struct.pack(f"{order}HHI", tag, 4, len(tags[tag]))
        if len(packed) > 4:  # too long for its entry, which then says where it stands
            packed, longer = struct.pack(f"{order}I", place + len(values)), packed
            values += longer
        entries += packed
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", start)
    return head + data + struct.pack(f"{order}H", len(tags)) + entries + b"\0\0\0\0" + values
