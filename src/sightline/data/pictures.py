"""Pictures in memory - PIL images, arrays and tensors of pixels - as photos. It knows nothing of models."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from sightline.data.levels import Levels
from sightline.data.photos import Photo, photo_of, photo_of_values
from sightline.errors import InputError

CHANNELS = (1, 3, 4)
"""Numbers of channels that pixels have: grey, RGB, RGB and opacity."""


def is_pixels(value: Any) -> bool:
    """Whether an array or a tensor holds pixels rather than what a network takes.

    Bytes, and numpy's other whole numbers in three or four axes, are pixels; so are numpy's floats `[h, w, 3 or 4]`.

    Example:
        >>> is_pixels(np.zeros((5, 5, 3))), is_pixels(np.zeros((1, 3, 5, 5))), is_pixels(torch.zeros(3, 5, 5))
        (True, False, False)
    """
    if isinstance(value, Tensor):
        return value.dtype in (torch.uint8, torch.uint16)
    if not isinstance(value, np.ndarray):
        return False
    if value.dtype == np.uint8:
        return True
    if value.dtype.kind in "ui":
        return value.ndim in (3, 4)
    return value.dtype.kind == "f" and value.ndim == 3 and value.shape[2] in CHANNELS[1:] and min(value.shape[:2]) > 4


def photos_of_pixels(value: NDArray[Any] | Tensor) -> list[Photo]:
    """One photo for each picture of an array: `[h, w]`, `[h, w, c]`, `[c, h, w]`, or a batch of the last two.

    Where both ends could be the channels, numpy's are the last and torch's the first.

    Raises:
        InputError: no axis has as many entries as pixels have channels, or floats are no pixels.
    """
    first = isinstance(value, Tensor)
    array: NDArray[Any] = value.detach().cpu().numpy() if isinstance(value, Tensor) else value
    if 0 in array.shape:
        raise InputError(f"inputs hold nothing: their shape is {tuple(array.shape)}")
    if array.ndim not in (2, 3, 4):
        raise InputError(_odd(array))
    batch = array[None, ..., None] if array.ndim == 2 else array[None] if array.ndim == 3 else array
    ends = (1, 3) if first else (3, 1)
    axis = next((axis for axis in ends if batch.shape[axis] in CHANNELS), None)
    if axis is None:
        raise InputError(_odd(array))
    return [_photo(np.moveaxis(picture, axis - 1, -1)) for picture in batch]


def photo_in_memory(value: Image.Image | NDArray[Any] | Tensor) -> list[Photo]:
    """The photos of a PIL image, or of an array or tensor of pixels."""
    return [photo_of(value)] if isinstance(value, Image.Image) else photos_of_pixels(value)


def _photo(values: NDArray[Any]) -> Photo:
    if values.dtype.kind == "f" and (low := float(values.min())) < 0:
        raise InputError(
            f"an array of floats {tuple(values.shape)} holds values below 0 ({low:g}), so it is not an image; pass "
            "what the model takes as [batch, channels, height, width]"
        )
    return photo_of_values(values, Levels() if values.dtype != np.uint8 else None)


def _odd(array: NDArray[Any]) -> str:
    return (
        f"pixels come as [h, w], [h, w, c], [c, h, w] or a batch of these with 1, 3 or 4 channels, but the array has "
        f"the shape {tuple(array.shape)}; pass what the model takes as a tensor of floats"
    )
