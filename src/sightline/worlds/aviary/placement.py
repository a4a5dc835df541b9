"""Where the birds sit, and what a prior that never looks would get for free."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sightline.worlds.aviary.canvas import Bools, Floats
from sightline.worlds.aviary.render import Rendering


@dataclass(frozen=True)
class Placement:
    """Means over scenes.

    Args:
        area: share of the picture that is bird.
        centre_in_box: share of scenes with the picture's centre in the bird's box.
        centre_on_bird: share of scenes with the picture's centre on the bird.
        gaussian_on_bird: share of a centred Gaussian (sigma a quarter of the side) that falls on the bird.
        gaussian_in_box: share of the same Gaussian that falls in the box.
    """

    area: float
    centre_in_box: float
    centre_on_bird: float
    gaussian_on_bird: float
    gaussian_in_box: float


def placement(drawings: Sequence[Rendering]) -> Placement:
    """Measure rendered scenes of one size."""
    masks = [one.foreground for one in drawings]
    boxes = [_box_mask(one) for one in drawings]
    middle = masks[0].shape[0] // 2
    prior = centred_gaussian(masks[0].shape[0])
    return Placement(
        area=float(np.mean([mask.mean() for mask in masks])),
        centre_in_box=float(np.mean([box[middle, middle] for box in boxes])),
        centre_on_bird=float(np.mean([mask[middle, middle] for mask in masks])),
        gaussian_on_bird=float(np.mean([prior[mask].sum() for mask in masks])),
        gaussian_in_box=float(np.mean([prior[box].sum() for box in boxes])),
    )


def centred_gaussian(side: int, sigma: float = 0.25) -> Floats:
    """A Gaussian in the middle of the picture that sums to 1; sigma as a share of the side."""
    axis = ((np.arange(side) + 0.5) / side - 0.5) / sigma
    bell = np.exp(-(axis**2) / 2)
    both = bell[:, None] * bell[None, :]
    return np.asarray(both / both.sum(), np.float32)


def _box_mask(drawing: Rendering) -> Bools:
    """The box as a mask."""
    mask = np.zeros_like(drawing.foreground)
    if drawing.box is not None:
        x, y, width, height = drawing.box
        mask[y : y + height, x : x + width] = True
    return mask
