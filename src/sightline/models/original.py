"""The picture that the user gave, made ready to be drawn on: `Original`. It knows no network."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from sightline.data.photos import Photo
from sightline.models.preprocess import Preprocess
from sightline.results.original import Original

LONGEST = 1024
"""Pixels along the longer side, at most."""


def original_of(photo: Any, settings: Preprocess | None) -> Original | None:
    """The photo in its own resolution and what preprocessing leaves of it; None for what is no photo.

    Args:
        photo: what an opener gave.
        settings: how it was made ready; None where that is not known, and then nothing can be said.

    Example:
        >>> from PIL import Image
        >>> photo = Photo(Image.new("RGB", (200, 100)), None, (200, 100))
        >>> original_of(photo, Preprocess((100, 100))).crop
        (0.25, 0.0, 0.5, 1.0)
    """
    if settings is None or not isinstance(photo, Photo):
        return None
    image = photo.image.convert("RGB")
    crop = settings.crop(image.size)
    image.thumbnail((LONGEST, LONGEST))
    return Original(torch.from_numpy(np.array(image)), crop)
