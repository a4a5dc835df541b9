"""Where boxes lie relative to each other, as numbers.

Boxes only: this file knows no features, no attention and no words.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

FLOOR = 1e-3
"""Smallest ratio whose logarithm is taken: boxes with one centre would give the logarithm of zero."""


def geometry_size(*, signed: bool) -> int:
    """How many numbers describe a pair of boxes."""
    return 6 if signed else 4


def relative_geometry(boxes: Float[Tensor, "b n 4"], *, signed: bool = False) -> Float[Tensor, "b n n f"]:
    r"""How box $j$ lies as seen from box $i$ [guo2020ngsan].

    $$ f_{ij} = \left(\log\frac{|x_i - x_j|}{w_i}, \log\frac{|y_i - y_j|}{h_i}, \log\frac{w_i}{w_j},
    \log\frac{h_i}{h_j}\right) $$

    The ratios of the first two are at least `FLOOR`. These four numbers stay the same when all boxes are moved,
    scaled, stretched along one axis, or *mirrored*. So a network that sees boxes only through them cannot tell left
    from right. `signed` adds $\mathrm{sign}(x_j - x_i)$ and $\mathrm{sign}(y_j - y_i)$, which a mirror turns round.

    Args:
        boxes: left, top, right, bottom, in any unit. A side of zero, as in padding, counts as 1.
        signed: whether the two signs are added.

    Returns:
        4 numbers for each pair, or 6 with the signs.

    Example:
        >>> boxes = torch.tensor([[[0.0, 0.0, 2.0, 2.0], [3.0, 0.0, 4.0, 1.0]]])
        >>> [round(value, 3) for value in relative_geometry(boxes, signed=True)[0, 0, 1].tolist()]
        [0.223, -1.386, 0.693, 0.693, 1.0, -1.0]
    """
    centres = (boxes[..., :2] + boxes[..., 2:]) / 2
    sides = boxes[..., 2:] - boxes[..., :2]
    sides = torch.where(sides > 0, sides, torch.ones_like(sides))
    offsets = centres[:, None] - centres[:, :, None]  # from i to j
    near = (offsets.abs() / sides[:, :, None]).clamp_min(FLOOR).log()
    logs = sides.log()
    parts = [near, logs[:, :, None] - logs[:, None]]
    return torch.cat([*parts, offsets.sign()] if signed else parts, dim=-1)


def unit_boxes(boxes: Float[Tensor, "... n 4"], size: Float[Tensor, "... 2"]) -> Float[Tensor, "... n 4"]:
    """Boxes as shares of their picture.

    Args:
        boxes: left, top, right, bottom in pixels.
        size: width and height of the picture in pixels.
    """
    return boxes / torch.cat([size, size], dim=-1)[..., None, :]


def grid_boxes(rows: int, columns: int) -> Float[Tensor, "n 4"]:
    """The cells of a grid as boxes, row by row, as shares of the picture.

    Example:
        >>> grid_boxes(1, 2).tolist()
        [[0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 1.0, 1.0]]
    """
    y, x = torch.meshgrid(torch.arange(rows) / rows, torch.arange(columns) / columns, indexing="ij")
    return torch.stack([x, y, x + 1 / columns, y + 1 / rows], dim=-1).reshape(-1, 4)
