"""The display kernel: every cell of a map is drawn as a soft patch of its own size, never as a hard square.

A value stands for its whole cell, so it is spread evenly over the cell and then by a Gaussian. Over coarse grids the
Gaussian is half a cell wide, which hides the grid; an early layer's evidence lies on single cells that nobody can see
over a photo, and there it is as wide as `FINEST` says. This is for display only: raw values stay raw. Both rows and
columns of the weights sum to one (the tails are folded back at the borders), so that a map's sum is kept and an even
map stays even.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate

from sightline.results import AttentionMap

LEAST = 0.5
"""Standard deviation of the Gaussian in cells, at least."""
FINEST = 56
"""The standard deviation is this part of the grid's longer side, at least."""
FOLDS = 2
"""How many times the tails are folded back at each border."""


def sections_of(map_: AttentionMap) -> int:
    """Parts side by side of the picture that a map is drawn over; see `sightline.reports.panels`."""
    return max(1, len(map_.domain.labels))


def deviation_of(map_: AttentionMap) -> float:
    """Standard deviation of the display kernel in cells of the map's grid.

    Example:
        >>> [deviation_of(AttentionMap(torch.rand(n, n), "layer")) for n in (7, 28, 112)]
        [0.5, 0.5, 2.0]
    """
    height, width = map_.shape
    if height == 1:  # a line of a signal or of words: its cells are read one by one
        return LEAST
    return max(LEAST, max(height, width / sections_of(map_)) / FINEST)


def kernel_words(map_: AttentionMap) -> str:
    """What to say beside a picture whose grid was smoothed over more than a cell; nothing otherwise."""
    deviation = deviation_of(map_)
    return f"smoothed for display over {deviation:.2g} cells" if deviation >= 1.0 else ""


def grown(map_: AttentionMap, size: tuple[int, int], *, smooth: bool = True) -> Float[Tensor, "H W"]:
    """A map's values at every pixel of a picture.

    Args:
        map_: a map over an image grid.
        size: `(H, W)` of the picture, in pixels.
        smooth: whether cells are spread by the display kernel; else they are hard rectangles.

    Returns:
        Float32 values in the map's units. A cell that is not finite is NaN over its whole area, and does not bleed
        into its neighbours: those are mixed from finite cells only.
    """
    values, deviation = map_.values.detach().cpu().float(), deviation_of(map_) if smooth else 0.0
    edges = [int(number * size[1] / sections_of(map_) + 0.5) for number in range(sections_of(map_) + 1)]
    widths = [end - start for start, end in pairwise(edges)]
    parts = zip(values.chunk(sections_of(map_), 1), widths, strict=True)
    return torch.cat([_grown(part, (size[0], width), deviation) for part, width in parts], 1)


def _grown(values: Float[Tensor, "h w"], size: tuple[int, int], deviation: float) -> Float[Tensor, "H W"]:
    finite = torch.isfinite(values)
    whole = bool(finite.all())
    if not deviation or not whole:
        hard = interpolate(values.where(finite, torch.nan)[None, None], size, mode="nearest-exact")[0, 0]
        if not deviation:
            return hard
    mixed = spread(values.where(finite, 0.0), size, deviation)
    if whole:
        return mixed
    return (mixed / spread(finite.float(), size, deviation).clamp(min=1e-12)).where(torch.isfinite(hard), torch.nan)


def spread(values: Float[Tensor, "h w"], size: tuple[int, int], deviation: float) -> Float[Tensor, "H W"]:
    """Finite values at every pixel of a picture, each cell spread by a Gaussian of a standard deviation in cells."""
    rows, columns = (kernel_weights(*pair, deviation) for pair in zip(values.shape, size, strict=True))
    return rows @ values @ columns.mT


@lru_cache(maxsize=64)
def kernel_weights(cells: int, pixels: int, deviation: float) -> Float[Tensor, "pixels cells"]:
    r"""How much of each cell is in each pixel along one axis: $\Phi((x - e_j)/\sigma) - \Phi((x - e_{j+1})/\sigma)$.

    `x` is the pixel's centre and `e_j` the cell's first edge, in cells, and the same for the cell's mirror images
    beyond both borders. Every row sums to one.
    """
    with torch.inference_mode(False):
        centres = (torch.arange(pixels, dtype=torch.float64) + 0.5) * cells / pixels
        edges = torch.arange(-FOLDS * cells, (FOLDS + 1) * cells + 1, dtype=torch.float64)
        below = torch.special.ndtr((centres[:, None] - edges[None]) / deviation)
        strips = (below[:, :-1] - below[:, 1:]).reshape(pixels, -1, cells)
        strips[:, 1 - FOLDS % 2 :: 2] = strips[:, 1 - FOLDS % 2 :: 2].flip(-1)  # every second strip is a mirror image
        weights = strips.sum(1)
        result: Tensor = (weights / weights.sum(1, keepdim=True)).float()
        return result
