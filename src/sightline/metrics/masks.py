"""Where things are: boxes and masks on a grid, how wide a mask is, and where a map peaks."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from sightline.errors import InputError
from sightline.metrics.scores import SampleStatus, flagged

CONVOLUTIONS = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
"""By the number of axes."""


def box_masks(boxes: Float[Tensor, "b n"], size: tuple[int, ...]) -> Bool[Tensor, "b ..."]:
    """Masks of boxes in elements of the input: an element belongs to a box that holds its centre.

    A box is where it begins and how long it is along each axis, the last axis first: `(x, y, width, height)` in
    pixels of a picture, `(start, length)` in samples of a signal, `(x, y, z, width, height, depth)` in a volume.
    Parts of a box outside the input are cut away; a box entirely outside gives an empty mask (see `box_check`).

    Args:
        boxes: one per sample.
        size: sizes of the input's place axes: height and width of a picture.

    Raises:
        InputError: the boxes are not `[b, 4]` (two numbers for each axis).

    Example:
        >>> box_masks(torch.tensor([[1.0, 0.0, 2.0, 1.0]]), (2, 4))[0].long().tolist()
        [[0, 1, 1, 0], [0, 0, 0, 0]]
        >>> box_masks(torch.tensor([[1.0, 2.0]]), (4,))[0].long().tolist()
        [0, 1, 1, 0]
    """
    axes = len(size)
    if boxes.ndim != 2 or boxes.shape[1] != 2 * axes:
        numbers = "x, y, width and height in pixels" if axes == 2 else "a beginning and a length for each axis"
        raise InputError(f"boxes are [b, {2 * axes}] with {numbers}; got shape {tuple(boxes.shape)}")
    inside = torch.ones(len(boxes), *[1] * axes, dtype=torch.bool, device=boxes.device)
    for axis, cells in enumerate(size):
        low, wide = boxes[:, axes - 1 - axis, None], boxes[:, 2 * axes - 1 - axis, None]
        centres = torch.arange(cells, device=boxes.device) + 0.5
        along = (centres >= low) & (centres < low + wide)
        inside = inside & along.reshape(len(boxes), *[1] * axis, cells, *[1] * (axes - 1 - axis))
    return inside


def box_check(boxes: Float[Tensor, "b n"], size: tuple[int, ...]) -> Int[Tensor, "b"]:
    """Complains of boxes without an area (`empty-mask`) and of boxes outside the input (`outside`)."""
    low, wide = boxes.chunk(2, dim=1)
    sides = torch.tensor(size[::-1], device=boxes.device)
    whole = torch.isfinite(boxes).all(1) & (wide > 0).all(1)
    outside = ((low >= sides) | (low + wide <= 0)).any(1)
    return torch.where(~whole, flagged(~whole, SampleStatus.EMPTY_MASK), flagged(outside, SampleStatus.OUTSIDE))


def mask_check(masks: Bool[Tensor, "b ..."], *, full: bool = False) -> Int[Tensor, "b"]:
    """Complains of empty masks and, with `full`, of masks that cover everything."""
    flat = masks.flatten(1)
    status = flagged(~flat.any(1), SampleStatus.EMPTY_MASK)
    return torch.where(flat.all(1), flagged(flat.all(1), SampleStatus.FULL_MASK), status) if full else status


def area(masks: Bool[Tensor, "b ..."]) -> Float[Tensor, "b"]:
    """Share of the elements that each mask holds."""
    return masks.flatten(1).double().mean(1).float()


def dilate(masks: Bool[Tensor, "b ..."], radius: float) -> Bool[Tensor, "b ..."]:
    """Masks widened by a ball of `radius` elements: a disc on a picture, a span on a signal.

    Raises:
        InputError: the masks have no axis, or more than three.
    """
    axes, reach = masks.ndim - 1, int(radius)
    if axes not in CONVOLUTIONS:
        raise InputError(f"masks of one to three axes can be widened; got {tuple(masks.shape)}")
    if reach < 1:
        return masks
    offsets = torch.arange(-reach, reach + 1, device=masks.device) ** 2
    squares = sum(offsets.reshape(-1, *[1] * (axes - 1 - axis)) for axis in range(axes))
    ball = torch.as_tensor(squares <= radius**2).float()
    return CONVOLUTIONS[axes](masks[:, None].float(), ball[None, None], padding=reach)[:, 0] > 0.5


def peaks(maps: Float[Tensor, "b ..."]) -> Float[Tensor, "b m"]:
    """Weight of every element as a peak: equal among all places that share the largest value, 0 elsewhere.

    Example:
        >>> peaks(torch.tensor([[1.0, 3.0, 3.0]])).tolist()
        [[0.0, 0.5, 0.5]]
    """
    flat = maps.flatten(1)
    top = (flat == flat.amax(1, keepdim=True)).double()
    return top / top.sum(1, keepdim=True)


def centred_gaussian(size: tuple[int, ...], *, width: float = 0.25) -> Float[Tensor, "..."]:
    """The centre prior: a Gaussian at the middle, its standard deviation `width` of each side, of sum 1."""
    sides = [torch.exp(-0.5 * (((torch.arange(n) + 0.5) / n - 0.5) / width) ** 2) for n in size]
    values = sides[0]
    for side in sides[1:]:
        values = values[..., None] * side
    return values / values.sum()
