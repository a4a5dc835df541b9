"""`Tint`: a colour map with the shade of each hue that a photo is painted with.

Lime is not seen on a white photo and deep blue not on a black one, so each hue has two shades (`cmaps`). A photo has
one shade of each in all its pictures, and a legend shows those.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from jaxtyping import UInt8
from torch import Tensor

from sightline.reports.cmaps import COVERING, DEFAULT, ROWS, ZERO, cmap_of
from sightline.reports.detail import ground_of, luma_of

PAPER = 150
"""Grey under the colours of a bar."""
MIDDLE = 0.45
"""Luma that stands for a photo where there is none."""

RGB = tuple[float, float, float]


@dataclass(frozen=True)
class Tint:
    """The colours of one photo's pictures.

    Args:
        name: name of the colour map.
        dark: whether the dark shade is taken, of evidence for and against.
    """

    name: str
    dark: tuple[bool, bool]

    @property
    def table(self) -> UInt8[Tensor, "256 4"]:
        """RGBA of every row; see `cmaps`."""
        return _table(self, None)

    @property
    def covering(self) -> UInt8[Tensor, "256 4"]:
        """The same for paint that keeps no detail of what is under it, as over a moving picture."""
        return _table(self, min(COVERING, cmap_of(self.name).strongest))

    @property
    def detail(self) -> float:
        """How much of the photo's detail stays under the paint, 0..1."""
        return cmap_of(self.name).detail

    def bar(self, *, against: bool, paper: int = PAPER) -> UInt8[Tensor, "n 3"]:
        """The colours of a bar over grey, left to right: of evidence for the decision, or of both sides."""
        table = self.table[1 if against else ZERO :].float()
        alpha = table[:, 3:] / 255
        return (paper * (1 - alpha) + table[:, :3] * alpha).round().to(self.table.dtype)

    def ends(self) -> tuple[RGB, RGB]:
        """The colours, RGB in 0..1, of the strongest evidence for the decision and against it.

        Example:
            >>> [round(part, 2) for part in tint_of("glow").ends()[0]]
            [0.64, 1.0, 0.0]
        """
        table = self.table.float() / 255
        (r, g, b), (s, h, c) = table[ROWS - 1, :3].tolist(), table[1, :3].tolist()
        return (r, g, b), (s, h, c)


def tint_of(cmap: str | Tint = DEFAULT, photo: UInt8[Tensor, "h w 3"] | None = None) -> Tint:
    """The shades of a colour map for a photo.

    Args:
        cmap: name of the colour map; a tint stays as it is.
        photo: RGB in 0..255; None is a photo of middling brightness.

    Raises:
        ResultError: the colour map is unknown.

    Example:
        >>> import torch
        >>> tint_of("glow", torch.full((8, 8, 3), 250, dtype=torch.uint8))
        Tint(name='glow', dark=(True, True))
    """
    if isinstance(cmap, Tint):
        return cmap
    colours = cmap_of(cmap)
    luma = MIDDLE if photo is None else luma_of(ground_of(photo))
    return Tint(cmap, (colours.favour.is_dark(luma), colours.against.is_dark(luma)))


@lru_cache(maxsize=32)
def _table(tint: Tint, strongest: float | None) -> UInt8[Tensor, "256 4"]:
    return cmap_of(tint.name).table(dark=tint.dark, strongest=strongest)
