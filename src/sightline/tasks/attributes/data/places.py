"""Where the object and its parts are in a photo, as a map of part ids: from masks, key points and boxes.

Key points become soft maps of parts: a Gaussian around each that is visible, as wide as the object is large. Ids are
whole numbers, so a Gaussian is written by ordered dithering: the share of a cell's pixels that have a part's id is
the Gaussian's mean over the cell. Knows no network.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightline.data.photos import read_photo
from sightline.errors import InputError
from sightline.tasks.attributes.data.table import AttributeData

NOWHERE = 255
"""Part id of every cell of a picture whose parts nobody marked."""
WIDTH = 0.08
"""Standard deviation of a part's Gaussian, as a share of the side of a square as large as the object's box."""
OBJECT = "object"
"""Name of the id of what belongs to the object but to none of its key points."""

Ids = NDArray[np.uint8]
Floats = NDArray[np.float64]


def id_names(data: AttributeData) -> tuple[str, ...]:
    """Names of the ids from 1 in the maps of a data set."""
    if data.part_masks:
        return data.part_ids
    return (*data.parts, OBJECT) if has_points(data) else (OBJECT,)


def has_points(data: AttributeData) -> bool:
    """Whether parts are known by their key points."""
    return not data.part_masks and data.points is not None and bool((data.points[..., 2] > 0).any())


def part_ids(data: AttributeData, row: int, size: int) -> Ids:
    """Ids of a photo's middle square: of part masks, of key points on the object's mask or box, or nowhere."""
    if data.part_masks and (path := data.part_masks[row]) is not None:
        return np.asarray(middle_square(read_mask(path), size, Image.Resampling.NEAREST), dtype=np.uint8)
    outline = object_outline(data, row, size)
    if not has_points(data):
        return np.full((size, size), NOWHERE, np.uint8) if outline is None else outline.astype(np.uint8)
    points, spread = _points(data, row, size)
    if outline is None and not len(points):
        return np.full((size, size), NOWHERE, np.uint8)
    inside = np.zeros((size, size), bool) if outline is None else outline
    return (
        np.where(inside, len(data.parts) + 1, 0).astype(np.uint8)
        if not len(points)
        else dithered(points, spread, inside, whole=len(data.parts) + 1)
    )


def dithered(points: Floats, spread: float, inside: NDArray[np.bool_], *, whole: int) -> Ids:
    """Ids of parts whose shares, averaged over cells, are Gaussians around key points; the likeliest part wins.

    Args:
        points: x, y and id of every visible key point, [p, 3], in pixels of the map.
        spread: standard deviation in pixels of the map.
        inside: the object.
        whole: id of what is inside and of no part.
    """
    size = len(inside)
    at = np.arange(size) + 0.5
    squares = (at[None, :, None] - points[:, 0]) ** 2 + (at[:, None, None] - points[:, 1]) ** 2
    nearest = squares.argmin(2)
    height = np.exp(-squares.min(2) / (2 * spread**2))
    chosen = points[nearest, 2].astype(np.uint8)
    return np.where(height > _bayer(size), chosen, np.where(inside, whole, 0)).astype(np.uint8)


def _bayer(size: int) -> Floats:
    """Thresholds of ordered dithering, 8 x 8 repeated: each 64th from 1/128 to 127/128 once."""
    matrix = np.zeros((1, 1))
    for _ in range(3):
        matrix = np.block([[4 * matrix, 4 * matrix + 2], [4 * matrix + 3, 4 * matrix + 1]])
    tile = (matrix + 0.5) / 64
    return np.tile(tile, (size // 8 + 1, size // 8 + 1))[:size, :size]


def _points(data: AttributeData, row: int, size: int) -> tuple[Floats, float]:
    """Visible key points of a photo in the map of its middle square, and the width of their Gaussians."""
    points = np.zeros((0, 3)) if data.points is None else data.points[row]
    visible = points[:, 2] > 0
    width, height = read_photo(data.files[row]).size
    side = min(width, height)
    scale = size / side
    placed = np.column_stack(
        [
            (points[visible, 0] - (width - side) / 2) * scale,
            (points[visible, 1] - (height - side) / 2) * scale,
            np.flatnonzero(visible) + 1.0,
        ]
    )
    box = None if data.boxes is None else data.boxes[row]
    large = side if box is None or not np.isfinite(box).all() else float(np.sqrt(box[2] * box[3]))
    return placed, max(0.5, WIDTH * large * scale)


def object_outline(data: AttributeData, row: int, size: int) -> NDArray[np.bool_] | None:
    """The object's mask, or else its box; None where neither is known."""
    if data.foreground and (path := data.foreground[row]) is not None:
        mask = middle_square(read_mask(path).convert("L"), size, Image.Resampling.BILINEAR)
        return np.asarray(mask) > 127
    if data.boxes is not None and np.isfinite(data.boxes[row]).all():
        x, y, width, height = data.boxes[row]
        full = Image.new("L", read_photo(data.files[row]).size)
        full.paste(255, (round(x), round(y), round(x + width), round(y + height)))
        return np.asarray(middle_square(full, size, Image.Resampling.BILINEAR)) > 127
    return None


def middle_square(image: Image.Image, size: int, how: Image.Resampling) -> Image.Image:
    """The middle square of a picture, `size` pixels wide."""
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    return image.resize((size, size), how, box=(left, top, left + side, top + side))


def read_mask(path: Path) -> Image.Image:
    """A mask.

    Raises:
        InputError: it cannot be read.
    """
    try:
        mask = Image.open(path)
        mask.load()
    except (OSError, SyntaxError, ValueError) as problem:
        raise InputError(
            f"the mask {str(path)!r} is damaged or cut short ({problem}); copy or make it again"
        ) from problem
    return mask
