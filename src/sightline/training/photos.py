"""Random crops, flips and colours of photos, with torchvision's transforms; marks of parts move along.

Bytes in, bytes out, every picture for itself. Everything is drawn from the generator that a step hands in.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from sightline.training.recipe import AugmentConfig

NOWHERE = 255
"""Part id of every cell of a picture whose parts nobody marked."""
RATIO = (0.8, 1.25)
"""Sides of a random crop to each other; torchvision's default distorts shapes more than a bird bears."""


def photo_views(
    images: UInt8[Tensor, "b 3 h w"],
    config: AugmentConfig,
    generator: torch.Generator,
    parts: UInt8[Tensor, "b p q"] | None = None,
) -> tuple[UInt8[Tensor, "b 3 h w"], UInt8[Tensor, "b p q"] | None]:
    """Every picture cropped at random, scaled back, mirrored by a coin, and varied in colour.

    Args:
        images: pictures of one size.
        config: how much.
        generator: random numbers, on the CPU.
        parts: part ids of the same pictures, on a grid of any size; cropped and mirrored likewise.
    """
    size = (images.shape[-2], images.shape[-1])
    place = v2.Compose(
        [v2.RandomResizedCrop(size, (config.crop_scale, 1.0), RATIO, antialias=True), v2.RandomHorizontalFlip()]
    )
    colour = v2.ColorJitter(config.colour, config.colour, config.colour) if config.colour else v2.Identity()
    seed = int(torch.randint(2**62, (1,), generator=generator))
    views, marks = [], []
    with torch.random.fork_rng(devices=[]):  # torchvision draws from the global state
        torch.manual_seed(seed)
        for at, image in enumerate(images.cpu()):
            mask = None if parts is None else _grown(parts[at].cpu(), size)
            left, top, right, bottom = _region(mask, config, size)
            picture = tv_tensors.Image(image[:, top:bottom, left:right])
            if mask is None:
                views.append(colour(place(picture)))
                continue
            view, moved = place(picture, tv_tensors.Mask(mask[None, top:bottom, left:right]))
            views.append(colour(view))
            marks.append(_shrunk(moved[0], (parts.shape[1], parts.shape[2])))  # type: ignore[union-attr]
    stacked = torch.stack([view.as_subclass(Tensor) for view in views]).to(images.device)
    return stacked, torch.stack(marks).to(images.device) if marks else parts


def mixed(
    images: Float[Tensor, "b c h w"], strength: float, generator: torch.Generator
) -> tuple[Float[Tensor, "b c h w"], Tensor, float]:
    """A share of every picture and the rest of another: lambda x_i + (1 - lambda) x_j, lambda ~ Beta(a, a).

    Args:
        images: pictures, normalised.
        strength: a.
        generator: random numbers, on the CPU.

    Returns:
        The mixed pictures; which other one each was mixed with; lambda.

    Source:
        zhang2018mixup.
    """
    seed = int(torch.randint(2**62, (1,), generator=generator))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        share = float(torch.distributions.Beta(strength, strength).sample())
        other = torch.randperm(len(images)).to(images.device)
    return share * images + (1 - share) * images[other], other, share


def _region(mask: Tensor | None, config: AugmentConfig, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """What a crop is taken of, as left, top, right, bottom: the picture, or the object with its margin."""
    height, width = size
    whole = (0, 0, width, height)
    if mask is None or not config.box_crops or float(torch.rand(())) >= config.box_crops:
        return whole
    rows, columns = torch.nonzero((mask > 0) & (mask != NOWHERE), as_tuple=True)
    if not len(rows):
        return whole
    top, bottom = int(rows.min()), int(rows.max()) + 1
    left, right = int(columns.min()), int(columns.max()) + 1
    down, across = round(config.box_margin * (bottom - top)), round(config.box_margin * (right - left))
    return max(0, left - across), max(0, top - down), min(width, right + across), min(height, bottom + down)


def _grown(parts: UInt8[Tensor, "p q"], size: tuple[int, int]) -> UInt8[Tensor, "h w"]:
    """Part ids at the pictures' size."""
    rows = torch.arange(size[0]) * parts.shape[0] // size[0]
    columns = torch.arange(size[1]) * parts.shape[1] // size[1]
    return parts[rows[:, None], columns]


def _shrunk(parts: UInt8[Tensor, "h w"], size: tuple[int, int]) -> UInt8[Tensor, "p q"]:
    """Part ids back on their own grid."""
    rows = torch.arange(size[0]) * parts.shape[0] // size[0]
    columns = torch.arange(size[1]) * parts.shape[1] // size[1]
    return parts[rows[:, None], columns].as_subclass(Tensor)
