"""Crop and flip, as the CIFAR recipes have it; pictures as bytes in, normalised floats out. Pure functions."""

from __future__ import annotations

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional as fn


def cropped(images: UInt8[Tensor, "b c h w"], generator: torch.Generator) -> UInt8[Tensor, "b c h w"]:
    """Each picture shifted over black by up to an eighth of its side (4 pixels of 32), and mirrored by a coin.

    Args:
        images: pictures of one size.
        generator: random numbers for the shifts and the coins, on the CPU.
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


def augmented(
    images: UInt8[Tensor, "b 3 h w"],
    parts: UInt8[Tensor, "b m n"],
    mean: Tensor,
    std: Tensor,
    generator: torch.Generator,
) -> tuple[Float[Tensor, "b 3 h w"], UInt8[Tensor, "b m n"]]:
    """Mirror half of the batch, shift by up to a sixteenth, vary gain per image and channel, normalise.

    The part ids, at half the side, move along.
    """
    count, reach = len(images), images.shape[-1] // 16
    dx, dy = (2 * int(v) for v in torch.randint(0, reach + 1, (2,), generator=generator))
    mirror, gain, tint = (torch.rand(count, n, 1, 1, generator=generator).to(images.device) for n in (1, 1, 3))
    x = torch.where(mirror < 0.5, (moved := _shifted(images.float() / 255, reach, dx, dy)).flip(-1), moved)
    where = _shifted(parts[:, None].float(), reach // 2, dx // 2, dy // 2)
    where = torch.where(mirror < 0.5, where.flip(-1), where)
    x = x * (1 + 0.12 * (2 * gain - 1)) * (1 + 0.04 * (2 * tint - 1))
    return (x.clamp(0, 1) - mean) / std, where[:, 0].byte()


def _shifted(x: Float[Tensor, "b c h w"], reach: int, dx: int, dy: int) -> Float[Tensor, "b c h w"]:
    """A window of the same size after mirroring `reach` pixels outward."""
    rows, columns = x.shape[-2:]
    return fn.pad(x, (reach,) * 4, mode="reflect")[..., dy : dy + rows, dx : dx + columns]
