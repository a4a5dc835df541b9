"""A photo's detail under paint: what is finer than its ground, the photo without anything fine.

Paint that only covers hides both; paint that takes the place of the ground and leaves a share of the detail lets the
object be recognised at the same strength. It knows no map and no colours; `paint` and a page's script do the mixing:

`P (1 - a (1 - k)) + a (C - k G)`, clipped, where `P` is the photo, `G` its ground, `C` the colour, `a` the opacity
and `k` the share of the detail that stays. On an even photo (`P = G`) that is `P (1 - a) + a C`.
"""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn.functional import interpolate

from sightline.reports.kernel import spread
from sightline.results.original import WHOLE, Box

CELLS = 28
"""Cells of the ground along the photo's longer side."""
WIDTH = 1.0
"""Standard deviation, in cells, of the Gaussian that spreads them."""
LUMA = (0.299, 0.587, 0.114)


def ground_of(photo: UInt8[Tensor, "h w 3"], inside: Box = WHOLE) -> UInt8[Tensor, "y x 3"]:
    """The means of a photo in cells of a twenty-eighth of its longer side.

    Args:
        photo: RGB in 0..255.
        inside: `(x, y, width, height)` of the photo as shares, where bars are around it. Bars count in no mean; a
            cell of nothing else has the mean of the closest one.

    Example:
        >>> tuple(ground_of(torch.zeros(100, 200, 3, dtype=torch.uint8)).shape)
        (14, 28, 3)
    """
    height, width = photo.shape[:2]
    share = min(1.0, CELLS / max(height, width))
    size = (max(1, round(height * share)), max(1, round(width * share)))
    pixels = rearrange(photo.float(), "h w c -> 1 c h w")
    means = interpolate(pixels, size, mode="area")[0] if inside == WHOLE else _means(pixels, inside, size)
    cells: Tensor = rearrange((means + 0.5).floor(), "c y x -> y x c").to(torch.uint8)
    return cells


def within(photo: UInt8[Tensor, "h w 3"], inside: Box) -> UInt8[Tensor, "y x 3"]:
    """A photo without the bars around it."""
    rows, columns = _slices((photo.shape[0], photo.shape[1]), inside)
    return photo[rows, columns]


def luma_of(ground: UInt8[Tensor, "y x 3"]) -> float:
    """The median luma of a photo, 0..1.

    Example:
        >>> luma_of(torch.full((2, 2, 3), 51, dtype=torch.uint8))
        0.2
    """
    return round(float((ground.float() @ torch.tensor(LUMA)).median()) / 255, 4)


def _slices(size: tuple[int, int], inside: Box) -> tuple[slice, slice]:
    """Rows and columns of a part of a picture; at least one of each."""
    spans = ((inside[1], inside[3], size[0]), (inside[0], inside[2], size[1]))
    starts = [min(round(start * length), length - 1) for start, _, length in spans]
    ends = [round((start + share) * length) for start, share, length in spans]
    rows, columns = (slice(start, max(start + 1, end)) for start, end in zip(starts, ends, strict=True))
    return rows, columns


def _means(pixels: Float[Tensor, "1 c h w"], inside: Box, size: tuple[int, int]) -> Float[Tensor, "c y x"]:
    rows, columns = _slices((pixels.shape[2], pixels.shape[3]), inside)
    cover = torch.zeros_like(pixels[:, :1])
    cover[..., rows, columns] = 1.0
    share = interpolate(cover, size, mode="area")[0, 0]
    means = interpolate(pixels * cover, size, mode="area")[0] / share.clamp(min=1e-9)
    for axis, part in ((1, share.amax(1)), (2, share.amax(0))):
        full = part.nonzero().flatten()
        nearest = torch.arange(len(part)).clamp(int(full[0]), int(full[-1]))
        means = means.index_select(axis, nearest)
    return means


def covered(
    photo: UInt8[Tensor, "h w 3"],
    colours: UInt8[Tensor, "h w 4"],
    *,
    ground: UInt8[Tensor, "y x 3"],
    detail: float,
) -> Float[Tensor, "h w 3"]:
    """A photo under colours, each as opaque as its own fourth channel says; the photo's detail stays in part.

    Args:
        photo: RGB in 0..255.
        colours: RGBA in 0..255.
        ground: see `ground_of`.
        detail: share of the detail that stays, 0..1.

    Returns:
        RGB in 0..255, not rounded.
    """
    alpha, paint = colours[..., 3:].float() / 255, colours[..., :3].float()
    if detail:
        size = (photo.shape[0], photo.shape[1])
        paint = paint - detail * torch.stack([spread(part.float(), size, WIDTH) for part in ground.unbind(-1)], -1)
    return (photo.float() * (1.0 - alpha * (1.0 - detail)) + alpha * paint).clamp(0.0, 255.0)
