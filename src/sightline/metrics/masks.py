"""Where things are: boxes and masks on a grid, how wide a mask is, and where a map peaks."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from sightline.errors import InputError
from sightline.metrics.scores import SampleStatus, flagged


def box_masks(boxes: Float[Tensor, "b 4"], size: tuple[int, int]) -> Bool[Tensor, "b h w"]:
    """Masks of boxes `(x, y, width, height)` in pixels: a pixel belongs to a box that holds its centre.

    Parts of a box outside the picture are cut away; a box entirely outside gives an empty mask (see `box_check`).

    Raises:
        InputError: the boxes are not `[b, 4]`.

    Example:
        >>> box_masks(torch.tensor([[1.0, 0.0, 2.0, 1.0]]), (2, 4))[0].long().tolist()
        [[0, 1, 1, 0], [0, 0, 0, 0]]
    """
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise InputError(f"boxes are [b, 4] with x, y, width and height in pixels; got shape {tuple(boxes.shape)}")
    height, width = size
    ys = torch.arange(height, device=boxes.device) + 0.5
    xs = torch.arange(width, device=boxes.device) + 0.5
    x, y, wide, high = (boxes[:, k, None] for k in range(4))
    inside_x = (xs >= x) & (xs < x + wide)
    inside_y = (ys >= y) & (ys < y + high)
    return inside_y[:, :, None] & inside_x[:, None, :]


def box_check(boxes: Float[Tensor, "b 4"], size: tuple[int, int]) -> Int[Tensor, "b"]:
    """Complains of boxes without an area (`empty-mask`) and of boxes outside the picture (`outside`)."""
    x, y, wide, high = boxes.unbind(1)
    whole = torch.isfinite(boxes).all(1) & (wide > 0) & (high > 0)
    outside = (x >= size[1]) | (y >= size[0]) | (x + wide <= 0) | (y + high <= 0)
    return torch.where(~whole, flagged(~whole, SampleStatus.EMPTY_MASK), flagged(outside, SampleStatus.OUTSIDE))


def mask_check(masks: Bool[Tensor, "b ..."], *, full: bool = False) -> Int[Tensor, "b"]:
    """Complains of empty masks and, with `full`, of masks that cover everything."""
    flat = masks.flatten(1)
    status = flagged(~flat.any(1), SampleStatus.EMPTY_MASK)
    return torch.where(flat.all(1), flagged(flat.all(1), SampleStatus.FULL_MASK), status) if full else status


def area(masks: Bool[Tensor, "b ..."]) -> Float[Tensor, "b"]:
    """Share of the elements that each mask holds."""
    return masks.flatten(1).double().mean(1).float()


def dilate(masks: Bool[Tensor, "b h w"], radius: float) -> Bool[Tensor, "b h w"]:
    """Masks widened by a disc of `radius` pixels."""
    reach = int(radius)
    if reach < 1:
        return masks
    offsets = torch.arange(-reach, reach + 1, device=masks.device)
    disc = (offsets[:, None] ** 2 + offsets[None] ** 2 <= radius**2).float()
    return functional.conv2d(masks[:, None].float(), disc[None, None], padding=reach)[:, 0] > 0.5


def peaks(maps: Float[Tensor, "b ..."]) -> Float[Tensor, "b m"]:
    """Weight of every element as a peak: equal among all places that share the largest value, 0 elsewhere.

    Example:
        >>> peaks(torch.tensor([[1.0, 3.0, 3.0]])).tolist()
        [[0.0, 0.5, 0.5]]
    """
    flat = maps.flatten(1)
    top = (flat == flat.amax(1, keepdim=True)).double()
    return top / top.sum(1, keepdim=True)


def centred_gaussian(size: tuple[int, int], *, width: float = 0.25) -> Float[Tensor, "h w"]:
    """The centre prior: a Gaussian at the middle, its standard deviation `width` of each side, of sum 1."""
    sides = [torch.exp(-0.5 * (((torch.arange(n) + 0.5) / n - 0.5) / width) ** 2) for n in size]
    values = sides[0][:, None] * sides[1][None]
    return values / values.sum()
