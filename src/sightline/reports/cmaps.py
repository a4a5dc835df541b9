"""The colour maps of every picture: what a place looks like by how dense the evidence for or against is there.

A colour map is one table of 256 RGBA rows. Row 128 is no evidence; rows above are evidence for the decision, up to
row 255; rows below are evidence against it, down to row 1 (row 0 repeats row 1). Between them the row follows the
*square root* of the density, `row = 128 + 127 sign(d) sqrt(min(|d|, REACH) / REACH)`, so that weak evidence has
enough rows. A density has no unit: 1 is evidence as dense as if it were spread evenly over the picture.

The opacity of all maps but `classic` is one curve of the density, `a d^n / (d^n + k^n)`: nothing at zero, so that the
photo stays as it is, and less than one at the most, so that the object stays recognisable under it. A map whose paint
keeps the photo's detail (`detail`) can be more opaque than one that only covers. A hue has a light and a dark shade,
and a photo takes the one that is seen on it (`tint`). `benchmarks/drawing.py` measures all of it, and how the numbers
were chosen stands in `docs/studies/drawing.md`. This file knows no map of attention and no photo.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from sightline.errors import ResultError
from sightline.registry import Registry
from sightline.reports.palette import SIGNED, UNSIGNED

DEFAULT = "glow"
ROWS, ZERO = 256, 128
REACH = 8.0
"""Density at both ends of a table."""
STRONGEST, COVERING = 0.9, 0.75
"""The opacity's limit `a`: of paint that keeps the photo's detail, and of paint that covers it."""
STEEPNESS, HALFWAY = 2.5, 1.25
"""The opacity's steepness `n`, and the density `k` at which it is half of its limit."""
DETAIL = 0.5
"""How much of the photo's detail stays under a hue."""
CLASSIC = 0.6
"""Opacity of the classic map at any density."""
LIME, GREEN = (162, 255, 0), (0, 90, 20)
SKY, BLUE = (120, 215, 255), (0, 30, 220)
LIGHT, DARK = 0.62, 0.28
"""Photos of a luma above the first take the dark green, and those of one below the second the light blue."""
WEAK = 0.9
"""Brightness of a hue where evidence is weak, as a share of that where it is strong."""

Colours = Callable[[Float[Tensor, " n"]], Float[Tensor, "n 3"]]
"""RGB in 0..1 of strengths in 0..1."""


@dataclass(frozen=True, eq=False)
class Shades:
    """The colours of one side of a map.

    Args:
        light: on dark photos.
        dark: on light ones.
        level: luma of the photo, 0..1, above which it takes the dark shade.
    """

    light: Colours
    dark: Colours
    level: float = 1.0

    def is_dark(self, luma: float) -> bool:
        """Whether a photo of a luma takes the dark shade."""
        return luma > self.level


@dataclass(frozen=True, eq=False)
class Cmap:
    """A colour map for evidence for and against.

    Args:
        summary: what it looks like, in a few words.
        favour: colours of evidence for the decision.
        against: colours of evidence against it.
        strongest: largest opacity.
        detail: how much of the photo's detail stays under the paint, 0..1.
        opaque: whether the opacity is the same at any density; such a map darkens the photo where nothing is.
    """

    summary: str
    favour: Shades
    against: Shades
    strongest: float = COVERING
    detail: float = 0.0
    opaque: bool = False

    def table(self, *, dark: tuple[bool, bool], strongest: float | None = None) -> UInt8[Tensor, "256 4"]:
        """RGBA of every row.

        Args:
            dark: whether the dark shade is taken, of evidence for and against.
            strongest: largest opacity, if another one than the map's own.
        """
        share = (torch.arange(ROWS) - ZERO).clamp(min=-ZERO + 1) / (ROWS - 1 - ZERO)
        density = REACH * share.square()
        shape = opacity_of(density, strongest=1.0)
        alpha = torch.full_like(density, CLASSIC) if self.opaque else shape * (strongest or self.strongest)
        strength = share.square() if self.opaque else shape
        favour, against = (
            (side.dark if deep else side.light)(strength)
            for side, deep in zip((self.favour, self.against), dark, strict=True)
        )
        colours = torch.where(share[:, None] >= 0, favour, against)
        return (torch.cat([colours, alpha[:, None]], 1) * 255).round().to(torch.uint8)


CMAPS: Registry[Cmap] = Registry("colour map", error=ResultError)


def cmap_of(name: str) -> Cmap:
    """The colour map of a name.

    Raises:
        ResultError: there is none; the text lists those that exist.
    """
    if name not in CMAPS:
        raise ResultError(f"there is no colour map {name!r}; colour maps: {', '.join(CMAPS)}")
    return CMAPS[name]


def opacity_of(density: Float[Tensor, "..."], *, strongest: float = STRONGEST) -> Float[Tensor, "..."]:
    r"""Opacity by density: $a \, d^n / (d^n + k^n)$.

    Example:
        >>> [round(float(opacity_of(torch.tensor(d))), 2) for d in (0.0, 0.3, 1.25, 8.0)]
        [0.0, 0.02, 0.45, 0.89]
    """
    power = density.abs() ** STEEPNESS
    opacity: Tensor = strongest * power / (power + HALFWAY**STEEPNESS)
    return opacity


def tick(density: float, *, against: bool) -> float:
    """Where a density lies on a bar, 0..1 from its left end.

    Example:
        >>> tick(8.0, against=True), tick(0.0, against=True), tick(2.0, against=False)
        (1.0, 0.5, 0.5)
    """
    share = math.copysign(math.sqrt(min(1.0, abs(density) / REACH)), density)
    return (share + 1) / 2 if against else share


def hue(red: int, green: int, blue: int) -> Colours:
    """One vivid hue that gets brighter with strength."""
    colour = torch.tensor([red, green, blue]) / 255
    return lambda strength: colour * (WEAK + (1 - WEAK) * strength[:, None])


def ramp(table: UInt8[Tensor, "n 3"], *, start: float = 0.0) -> Colours:
    """A table of colours, from a share of its length on to its end."""
    last = len(table) - 1
    rows = table.float() / 255
    return lambda strength: rows[((start + (1 - start) * strength) * last).round().long()]


def alone(colours: Colours) -> Shades:
    """The same colours on any photo."""
    return Shades(colours, colours)


GREENS = Shades(hue(*LIME), hue(*GREEN), LIGHT)
BLUES = Shades(hue(*SKY), hue(*BLUE), DARK)

CMAPS.add("glow", Cmap("green for, blue against", GREENS, BLUES, STRONGEST, DETAIL))
CMAPS.add("cobalt", Cmap("blue for, green against", BLUES, GREENS, STRONGEST, DETAIL))
CMAPS.add(
    "inferno",
    Cmap(
        "from purple to pale yellow for, from blue to pale cyan against",
        alone(ramp(UNSIGNED, start=0.3)),
        alone(ramp(UNSIGNED[:, [2, 1, 0]], start=0.3)),
    ),
)
CMAPS.add(
    "classic",
    Cmap(
        "black at zero over a darkened photo, as in earlier versions",
        alone(ramp(UNSIGNED)),
        alone(ramp(SIGNED[:ZERO].flip(0))),
        opaque=True,
    ),
)
