"""The panels of volumes and clips: slices, or frames, side by side with their maps over them.

Each section stands for an equal part of the first axis. It shows the slice in the part's middle, and the mean of the
map over the whole part, so that no evidence is left out. The sections' names are the labels of the drawn domain.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from PIL import ImageDraw
from torch import Tensor

from sightline.reports.frame import font
from sightline.reports.motion import overlap
from sightline.reports.panels import PANELS
from sightline.reports.photo import fit, picture_of, pixels_of, tensor_of
from sightline.results import Domain, Explanation

MOST = 8
"""Sections side by side."""
SMALLEST, LARGEST = 160, 320
"""Longer side of a section, in pixels."""
INK, SHADE, RULE = (250, 250, 250), (0, 0, 0), (70, 74, 84)
LOWEST, HIGHEST = 0.005, 0.995
"""Shares of the values that are drawn black and white, where they are not in 0..1."""


@PANELS.register("volume")
@PANELS.register("space-time")
def side_by_side(item: Explanation) -> Explanation:
    """The explanation over a strip of sections: maps `[h, sections * w]`."""
    depth = item.image.shape[1] if item.image is not None else max(map_.shape[0] for map_ in item.flow.maps)
    count = min(MOST, depth)
    domain = Domain("image", tuple(section_name(item, place) for place in middles(depth, count)))
    maps = tuple(
        replace(map_, values=rearrange(averaged(map_.values, count), "n h w -> h (n w)"), domain=domain)
        for map_ in item.flow.maps
    )
    image = None if item.image is None else rearrange(strip(item.image, domain.labels) / 255.0, "h w c -> c h w")
    return replace(item, flow=replace(item.flow, maps=maps), image=image)


def middles(depth: int, count: int) -> tuple[int, ...]:
    """The slice in the middle of each of `count` equal parts of `depth` slices.

    Example:
        >>> middles(16, 4)
        (2, 6, 10, 14)
    """
    return tuple(int((number + 0.5) * depth / count) for number in range(count))


def section_name(item: Explanation, place: int) -> str:
    """What a section is called: a slice's number from 1, a frame's from 0, or its time where the rate is known."""
    if any(map_.domain.kind == "volume" for map_ in item.flow.maps):
        return f"slice {place + 1}"
    return f"{place / item.rate:.2f} s" if item.rate else f"frame {place}"


def averaged(values: Float[Tensor, "z h w"], count: int) -> Float[Tensor, "n h w"]:
    """The mean of a map over each of `count` equal parts of its first axis; NaN where a part holds one.

    Example:
        >>> averaged(torch.tensor([1.0, 3.0, 5.0, 5.0]).reshape(4, 1, 1), 2).flatten().tolist()
        [2.0, 5.0]
    """
    if len(values) == count:
        return values.detach().cpu().float()
    edges = torch.arange(count + 1, dtype=torch.float64) / count
    shares = overlap(len(values), torch.stack([edges[:-1], edges[1:]], 1))
    weights = (shares / shares.sum(1, keepdim=True)).float()
    cells = values.detach().cpu().float()
    broken = ~torch.isfinite(cells)
    mixed = torch.einsum("nz,zhw->nhw", weights, cells.masked_fill(broken, 0.0))
    return mixed.masked_fill(torch.einsum("nz,zhw->nhw", weights, broken.float()) > 0, float("nan"))


def strip(image: Float[Tensor, "c z h w"], labels: tuple[str, ...]) -> UInt8[Tensor, "h w 3"]:
    """Slices side by side, named, with thin lines between them."""
    drawn, side = shades(image), min(LARGEST, max(SMALLEST, *image.shape[2:]))
    slices = (pixels_of(drawn[:, place]) for place in middles(image.shape[1], len(labels)))
    pictures = [fit(pixels, side, enlarge=True) for pixels in slices]
    picture = picture_of(torch.cat(pictures, 1))
    pen, wide = ImageDraw.Draw(picture), pictures[0].shape[1]
    for number, label in enumerate(labels):
        if number:
            pen.line([(number * wide, 0), (number * wide, picture.height)], fill=RULE, width=2)
        write(pen, (number * wide + 5, 3), label)
    return tensor_of(picture)


def shades(image: Float[Tensor, "c ..."]) -> Float[Tensor, "c ..."]:
    """Values in 0..1 as they are; others, of a scanner say, with nearly all of their range spread over 0..1."""
    values = torch.nan_to_num(image.detach().cpu().float())
    if not values.numel() or (float(values.min()) >= 0.0 and float(values.max()) <= 1.0):
        return values
    order = values.flatten().sort().values
    low, high = (float(order[round(share * (len(order) - 1))]) for share in (LOWEST, HIGHEST))
    return (values - low) / ((high - low) or 1.0)


def write(pen: ImageDraw.ImageDraw, corner: tuple[int, int], text: str) -> None:
    """Small light words that stay readable on any ground."""
    pen.text(corner, text, font=font(11, bold=False), fill=INK, stroke_width=1, stroke_fill=SHADE)


def section_at(values: Float[Tensor, "z h w"], place: int, depth: int) -> Float[Tensor, "h w"]:
    """A map's cells at one slice of an input of `depth` slices."""
    return values[min(len(values) - 1, int((place + 0.5) * len(values) / depth))]
