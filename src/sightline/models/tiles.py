"""`Tiling`: the overlapping tiles that a large photo is read in, and the joining of their maps in the photo's places.

It knows no method: a map is numbers on a grid over a tile.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.errors import InputError

OVERLAP = 0.25
"""Share of a tile's side that neighbours have in common, at least."""
FINEST = 1024
"""Most cells along the longer side of a joined map; finer ones are averaged."""
MOST = 2_500
"""Most tiles of one photo."""


@dataclass(frozen=True)
class Tile:
    """One tile, in pixels of the photo.

    Args:
        row: from 0, downwards.
        column: from 0, to the right.
        left: its first column of pixels.
        top: its first row of pixels.
        width: in pixels.
        height: in pixels.
    """

    row: int
    column: int
    left: int
    top: int
    width: int
    height: int

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom, as Pillow crops."""
        return self.left, self.top, self.left + self.width, self.top + self.height


@dataclass(frozen=True)
class Tiling:
    """Tiles of one size, spread evenly so that they reach all edges.

    Args:
        size: `(width, height)` of the photo in pixels.
        tiles: row by row.
    """

    size: tuple[int, int]
    tiles: tuple[Tile, ...]

    @classmethod
    def of(
        cls, size: tuple[int, int], side: int, *, shape: tuple[int, int] = (1, 1), overlap: float = OVERLAP
    ) -> Tiling:
        """The fewest tiles that cover a photo; into one smaller than a tile go tiles as large as fit, without bars.

        Args:
            size: `(width, height)` of the photo in pixels.
            side: shorter side of a tile in pixels of the photo, at most.
            shape: `(h, w)` of the network's input, whose shape a tile has.
            overlap: share of a tile's side that neighbours have in common, at least.

        Raises:
            InputError: a tile has no pixels, neighbours have all in common, or there are too many tiles.

        Example:
            >>> [tile.left for tile in Tiling.of((1000, 400), 400).tiles]
            [0, 300, 600]
            >>> [tile.box for tile in Tiling.of((90, 60), 400).tiles]
            [(0, 0, 60, 60), (30, 0, 90, 60)]
        """
        if side < 1:
            raise InputError(f"a tile is at least 1 pixel wide, not {side}; ask for a size such as 512")
        scale = min(side / min(shape), size[0] / shape[1], size[1] / shape[0])
        height, width = (max(1, round(scale * length)) for length in shape)
        if not 0 <= overlap < 1:
            raise InputError(f"tiles overlap by a share of their side from 0 to below 1, not {overlap:g}")
        across, down = _starts(size[0], width, overlap), _starts(size[1], height, overlap)
        if len(across) * len(down) > MOST:
            raise InputError(
                f"tiles of {width} x {height} pixels are {len(across) * len(down)} in a photo of {size[0]} x "
                f"{size[1]}, and at most {MOST} are read; ask for larger tiles, or scale the photo down"
            )
        return cls(
            size,
            tuple(
                Tile(row, column, left, top, width, height)
                for row, top in enumerate(down)
                for column, left in enumerate(across)
            ),
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of columns."""
        return self.tiles[-1].row + 1, self.tiles[-1].column + 1


@dataclass
class Joined:
    """A map over the whole photo, to which those of tiles are added: at each place the mean over the tiles there.

    J(c) = sum_t sum_i |c and i of t| M_t(i) / sum_t |c and t|, with |.| an area: a tile's map is the same all over a
    cell i, and a joined cell c is as large as a tile's, or larger where there would be too many.

    Args:
        tiling: the tiles.
        grid: `(h, w)` of a tile's map.
    """

    tiling: Tiling
    grid: tuple[int, int]
    total: Float[Tensor, "y x"] = field(init=False)
    area: Float[Tensor, "y x"] = field(init=False)

    def __post_init__(self) -> None:
        tile, (wide, high) = self.tiling.tiles[0], self.tiling.size
        cells = [max(1, round(high * self.grid[0] / tile.height)), max(1, round(wide * self.grid[1] / tile.width))]
        scale = max(1.0, max(cells) / FINEST)
        shape = [max(1, round(count / scale)) for count in cells]
        self.total, self.area = torch.zeros(shape, dtype=torch.float64), torch.zeros(shape, dtype=torch.float64)

    def add(self, tile: Tile, values: Float[Tensor, "h w"]) -> None:
        """Add one tile's map."""
        wide, high = self.tiling.size
        down = _shared(self.total.shape[0], high, self.grid[0], tile.top, tile.height)
        across = _shared(self.total.shape[1], wide, self.grid[1], tile.left, tile.width)
        self.total += down @ values.detach().double().cpu() @ across.T
        self.area += down.sum(1)[:, None] * across.sum(1)

    @property
    def values(self) -> Float[Tensor, "y x"]:
        """The joined map."""
        return (self.total / self.area).float()


def _starts(length: int, side: int, overlap: float) -> list[int]:
    """Where tiles begin along one axis."""
    count = 1 + math.ceil((length - side) / max(1.0, side * (1 - overlap)))
    return [round(at * (length - side) / max(1, count - 1)) for at in range(count)]


def _shared(cells: int, length: int, inner: int, start: int, side: int) -> Float[Tensor, "c i"]:
    """How much of each cell of the photo each cell of a tile covers along one axis, in pixels."""
    outer = torch.linspace(0, length, cells + 1, dtype=torch.float64)
    own = start + torch.linspace(0, side, inner + 1, dtype=torch.float64)
    high = torch.minimum(outer[1:, None], own[1:])
    return (high - torch.maximum(outer[:-1, None], own[:-1])).clamp(min=0)
