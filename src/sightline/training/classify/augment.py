"""Crop and flip, as the CIFAR recipes have it; pictures as bytes in, normalised floats out. Pure functions."""

from __future__ import annotations

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional as fn


def cropped(images: UInt8[Tensor, "b c h w"], generator: torch.Generator) -> UInt8[Tensor, "b c h w"]:
    """Each picture shifted over black by up to an eighth of its side (4 pixels of 32), and mirrored by a coin.

    Args:
        images: of one size.
        generator: of the shifts and the coins, on the CPU.
    """
    count, _, height, width = images.shape
    reach = max(1, height // 8)
    dy, dx = torch.randint(0, 2 * reach + 1, (2, count), generator=generator).to(images.device)
    coin = torch.rand(count, generator=generator).to(images.device) < 0.5
    rows = dy[:, None] + torch.arange(height, device=images.device)
    columns = dx[:, None] + torch.arange(width, device=images.device)
    columns = torch.where(coin[:, None], columns.flip(1), columns)
    wide = fn.pad(images, (reach,) * 4)
    picture = torch.arange(count, device=images.device)[:, None, None]
    return wide.permute(0, 2, 3, 1)[picture, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def normalised(
    images: UInt8[Tensor, "b c h w"], mean: Float[Tensor, "1 c 1 1"], std: Float[Tensor, "1 c 1 1"]
) -> Float[Tensor, "b c h w"]:
    """`(x / 255 - mean) / std`."""
    return (images.float() / 255 - mean) / std
