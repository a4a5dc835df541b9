"""Noise, reddish or bluish: two classes that a few pictures teach."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def tinted(folder: Path, train: int, test: int = 8) -> Path:
    """A folder of two classes, split in two; so many pictures of each class."""
    draw = np.random.default_rng(0)
    for part, count in (("train", train), ("test", test)):
        for at, name in enumerate("ab"):
            place = folder / part / name
            place.mkdir(parents=True)
            for number in range(count):
                image = draw.integers(0, 200, (16, 16, 3))
                image[..., 2 * at] += 50
                Image.fromarray(image.astype(np.uint8)).save(place / f"{number}.png")
    return folder
