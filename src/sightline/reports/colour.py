"""From raw values to colours, and from colours over a photo to a picture.

Pure functions over tensors. A value that is not finite has no colour: it is transparent in `colourise`, and `overlay`
draws hatching there.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from sightline.reports.palette import SIGNED, STEPS, UNSIGNED
from sightline.reports.resize import Smoothing, upsample
from sightline.reports.scale import Scale, own_scale
from sightline.results import AttentionMap

OPACITY = 0.6
HATCH = 8
"""Period of the hatching over values that are not finite, in pixels."""
HATCH_LINE, HATCH_GROUND = 235, 70
GAINED, LOST = (22, 185, 105), (172, 70, 235)
"""Green and purple of a difference, which the common kinds of colour blindness tell apart."""
STRONGEST = 0.9
"""Share of the colour where the strongest difference of a flow is largest."""


def colourise(values: Float[Tensor, "h w"], scale: Scale) -> UInt8[Tensor, "h w 4"]:
    """Colour and opacity of every value: the table's colour, opaque; transparent black where not finite.

    Args:
        values: raw values.
        scale: what the ends of the table stand for.

    Returns:
        RGBA in 0..255.
    """
    finite = torch.isfinite(values)
    steps = (scale.positions(values.where(finite, 0.0)) * (STEPS - 1) + 0.5).floor().long()
    table = (SIGNED if scale.signed else UNSIGNED).to(values.device)
    alpha = torch.full((*values.shape, 1), 255, dtype=torch.uint8, device=values.device)
    return torch.cat([table[steps], alpha], dim=-1) * finite[..., None]


def hatching(size: tuple[int, int]) -> Bool[Tensor, "h w"]:
    """Where the light diagonal lines of the hatching run in a picture of a size."""
    rows, columns = torch.arange(size[0])[:, None], torch.arange(size[1])[None, :]
    return (rows + columns) % HATCH < HATCH // 4


def overlay(
    map_: AttentionMap,
    photo: UInt8[Tensor, "h w 3"],
    *,
    scale: Scale | None = None,
    opacity: float = OPACITY,
    smoothing: Smoothing = "bilinear",
) -> UInt8[Tensor, "h w 3"]:
    """A map laid over a photo: `(1 - opacity) photo + opacity colour`, hatched where the map is not finite.

    Args:
        map_: a map over an image grid.
        photo: RGB in 0..255; see `sightline.reports.photo.pixels_of`.
        scale: what the ends of the colour table stand for; the map's own scale if None.
        opacity: share of the colour, 0..1.
        smoothing: how the grid is brought to the photo's size.

    Returns:
        RGB in 0..255, of the photo's size.
    """
    size = (photo.shape[0], photo.shape[1])
    values = upsample(map_.values.detach().cpu(), size, smoothing=smoothing, sections=sections_of(map_))
    colours = colourise(values, scale or own_scale(map_))
    lines = torch.where(hatching(size), HATCH_LINE, HATCH_GROUND)[..., None].expand(-1, -1, 3)
    top = torch.where(colours[..., 3:] > 0, colours[..., :3], lines).float()
    return (photo.float() * (1.0 - opacity) + top * opacity).round().to(torch.uint8)


def sections_of(map_: AttentionMap) -> int:
    """Parts side by side of the picture that a map is drawn over; see `sightline.reports.panels`."""
    return max(1, len(map_.domain.labels))


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
