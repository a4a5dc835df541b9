"""A difference between two maps over a greyed photo: green where evidence was gained, purple where it was lost.

Its colours are others than those of a map (`cmaps`), since it says something else. It knows nothing of maps' values;
`motion` computes the difference.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from sightline.reports.resize import Smoothing, upsample

GAINED, LOST = (22, 185, 105), (172, 70, 235)
"""Green and purple, which the common kinds of colour blindness tell apart."""
STRONGEST = 0.9
"""Share of the colour where the strongest difference of a flow is largest."""


def greyed(photo: UInt8[Tensor, "h w 3"]) -> Float[Tensor, "h w 1"]:
    """The photo in pale grey, so that the colours of a difference stand out over it."""
    light = photo.float() @ torch.tensor([0.3, 0.59, 0.11])
    return 50.0 + 0.55 * light[..., None]


def overlay_difference(
    change: Float[Tensor, "y x"],
    photo: UInt8[Tensor, "h w 3"],
    *,
    strength: float = 1.0,
    smoothing: Smoothing = "bilinear",
    sections: int = 1,
) -> UInt8[Tensor, "h w 3"]:
    """A difference laid over the greyed photo: green where evidence was gained, purple where it was lost.

    Args:
        change: see `sightline.reports.motion.difference`.
        photo: RGB in 0..255.
        strength: share of the full colour that the largest change gets, 0..1.
        smoothing: how the grid is brought to the photo's size.
        sections: parts of the photo, side by side, that are kept apart.

    Returns:
        RGB in 0..255, of the photo's size.
    """
    size = (photo.shape[0], photo.shape[1])
    reach = float(change.abs().max())
    shares = change.detach().cpu() / reach if reach > 0.0 else change
    values = upsample(shares, size, smoothing=smoothing, sections=sections)[..., None]
    share = STRONGEST * strength * values.abs().clamp(max=1.0)
    colour = torch.where(values > 0, torch.tensor(GAINED).float(), torch.tensor(LOST).float())
    return (greyed(photo) * (1.0 - share) + colour * share).round().to(torch.uint8)
