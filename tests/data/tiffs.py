"""TIFF files written by hand, of any kind of sample, in either order of bytes."""

import struct
import zlib
from pathlib import Path

import numpy as np

SIZES = {"H": 3, "I": 4}


def write_tiff(
    path: Path, values, *, order="<", deflated=False, planes=False, tile=0, pages=1, photometric=None, tags=None
):
    """Write `[h, w]` or `[h, w, c]` numbers.

    Args:
        path: where to.
        values: of any numpy type.
        order: `<` or `>`.
        deflated: whether the data is compressed.
        planes: whether the channels stand one behind the other.
        tile: side of the tiles, if there are any; their samples are differences, and compressed.
        pages: how often the same page is written.
        photometric: 0 white is zero, 1 black is zero, 2 RGB.
        tags: further ones, or others: number to `(type letter, values)`.
    """
    values = np.asarray(values)
    values = values[..., None] if values.ndim == 2 else values
    height, width, channels = values.shape
    stored = values.astype(values.dtype.newbyteorder(order))
    data = [stored[..., i].tobytes() for i in range(channels)] if planes else [stored.tobytes()]
    if tile:
        data, deflated = _tiles(stored, tile), True
    data = [zlib.compress(part) for part in data] if deflated else data
    entries = {
        256: ("I", [width]),
        257: ("I", [height]),
        258: ("H", [8 * values.dtype.itemsize] * channels),
        259: ("H", [8 if deflated else 1]),
        262: ("H", [(2 if channels > 2 else 1) if photometric is None else photometric]),
        273: ("I", [0] * len(data)),
        277: ("H", [channels]),
        278: ("I", [height]),
        279: ("I", [len(part) for part in data]),
        284: ("H", [2 if planes else 1]),
        339: ("H", [{"u": 1, "i": 2, "f": 3}[values.dtype.kind]] * channels),
        **(tags or {}),
    }
    if tile:
        entries |= {317: ("H", [2]), 322: ("I", [tile]), 323: ("I", [tile]), 324: entries[273], 325: entries[279]}
        entries = {tag: entry for tag, entry in entries.items() if tag not in (273, 278, 279)}
    content = b""
    for page in range(pages):
        content = _with_page(content, dict(entries), data, order, last=page == pages - 1)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    path.write_bytes(head + content)


def _tiles(values, side):
    height, width, _ = values.shape
    whole = np.pad(values, ((0, -height % side), (0, -width % side), (0, 0)))
    tiles = [whole[y : y + side, x : x + side] for y in range(0, height, side) for x in range(0, width, side)]
    return [np.diff(tile, axis=1, prepend=tile.dtype.type(0)).astype(values.dtype).tobytes() for tile in tiles]


def _with_page(before, entries, data, order, *, last):
    start = 8 + len(before)
    packed = {tag: struct.pack(f"{order}{len(v)}{t}", *v) for tag, (t, v) in entries.items()}
    place = start + 2 + 12 * len(entries) + 4
    behind = place + sum(len(value) for value in packed.values() if len(value) > 4)
    offsets = [behind + sum(map(len, data[:i])) for i in range(len(data))]
    where = 324 if 324 in entries else 273
    entries[where] = ("I", offsets)
    packed[where] = struct.pack(f"{order}{len(offsets)}I", *offsets)
    directory, blob = struct.pack(f"{order}H", len(entries)), b""
    for tag in sorted(entries):
        kind, value = entries[tag]
        directory += struct.pack(f"{order}HHI", tag, SIZES[kind], len(value))
        if len(packed[tag]) > 4:
            directory += struct.pack(f"{order}I", place + len(blob))
            blob += packed[tag]
        else:
            directory += packed[tag].ljust(4, b"\0")
    body = b"".join(data)
    end = behind + len(body)
    directory += struct.pack(f"{order}I", 0 if last else end)
    return before + directory + blob + body
