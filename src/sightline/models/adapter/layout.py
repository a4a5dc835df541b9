"""How a layer's tensor is laid out - grid, windows or tokens - and how it becomes `[b, c, h, w]`.

Nobody writes a reshape function: the layout is found from the shape, checked against the size of the picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, cast

from einops import rearrange
from jaxtyping import Float
from torch import Tensor

Kind = Literal["grid", "windows", "tokens"]
EXACT = 0.02
LOOSE = 0.35
"""Largest difference of log aspect ratio between a layer's grid and the picture: read at sight, and read at all."""


@dataclass(frozen=True)
class Layout:
    """Where channels and space are in a tensor.

    Args:
        kind: `grid` is `[b, c, h, w]`, `windows` is `[b, h, w, c]`, `tokens` is `[b, prefix + h*w, c]`.
        height: rows of the grid.
        width: columns of the grid.
        prefix: tokens before the grid (class, distillation and register tokens).
    """

    kind: Kind
    height: int
    width: int
    prefix: int = 0

    def to_grid(self, x: Float[Tensor, "..."]) -> Float[Tensor, "b c h w"]:
        """A view of the tensor with channels second and space last; no copy."""
        if self.kind == "grid":
            return x
        if self.kind == "windows":
            return cast(Tensor, rearrange(x, "b h w c -> b c h w"))
        return cast(Tensor, rearrange(x[:, self.prefix :], "b (h w) c -> b c h w", h=self.height))

    def channels(self, shape: tuple[int, ...]) -> int:
        """Number of channels of a tensor of this shape."""
        return shape[1] if self.kind == "grid" else shape[-1]

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.height, self.width


def find_layout(
    shape: tuple[int, ...], picture: tuple[int, int], *, prefix: int = 0, windows: bool | None = None
) -> Layout | None:
    """The layout of a tensor of this shape, or None where it holds no grid.

    Args:
        shape: shape of the layer's tensor.
        picture: height and width of the network's input.
        prefix: how many tokens before the grid the model is known to have.
        windows: whether four axes mean `[b, h, w, c]` where both orders fit; None decides by the aspect ratio.

    Example:
        >>> find_layout((1, 197, 384), (224, 224), prefix=1)
        Layout(kind='tokens', height=14, width=14, prefix=1)
        >>> find_layout((1, 7, 7, 768), (224, 224))
        Layout(kind='windows', height=7, width=7, prefix=0)
    """
    if len(shape) == 4:
        return _four_axes(shape, picture, windows)
    if len(shape) == 3:
        return _three_axes(shape, picture, prefix)
    return None


def _four_axes(shape: tuple[int, ...], picture: tuple[int, int], windows: bool | None) -> Layout | None:
    grid = Layout("grid", shape[2], shape[3])
    nhwc = Layout("windows", shape[1], shape[2])
    if not (_fits(grid, picture) and _fits(nhwc, picture)):
        return nhwc if _fits(nhwc, picture) else grid
    if windows is not None:
        return nhwc if windows else grid
    return nhwc if _mismatch(nhwc, picture) + EXACT < _mismatch(grid, picture) else grid


def _fits(layout: Layout, picture: tuple[int, int]) -> bool:
    """Whether the grid is no finer than the picture and has about its aspect ratio."""
    finer = layout.height > picture[0] or layout.width > picture[1]
    return not finer and _mismatch(layout, picture) < max(LOOSE, 1.5 / min(layout.size))


def _mismatch(layout: Layout, picture: tuple[int, int]) -> float:
    """Difference of log aspect ratios; 0 where the grid has the picture's shape."""
    return abs(math.log(layout.height / layout.width) - math.log(picture[0] / picture[1]))


def _three_axes(shape: tuple[int, ...], picture: tuple[int, int], prefix: int) -> Layout | None:
    """Tokens: the known prefix first, then none; the one whose grid has the picture's aspect ratio."""
    candidates = [_token_grid(shape[1], before, picture) for before in dict.fromkeys((prefix, 0))]
    layouts = [layout for layout in candidates if layout is not None]
    if not layouts:
        return None
    return min(layouts, key=lambda layout: round(_mismatch(layout, picture) / EXACT))


def _token_grid(tokens: int, prefix: int, picture: tuple[int, int]) -> Layout | None:
    cells = tokens - prefix
    if cells < 1:
        return None
    rows = [row for row in range(1, cells + 1) if cells % row == 0]
    best = min((Layout("tokens", row, cells // row, prefix) for row in rows), key=lambda x: _mismatch(x, picture))
    return best if _mismatch(best, picture) < LOOSE else None
