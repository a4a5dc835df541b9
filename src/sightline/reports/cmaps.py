"""The colour maps of every picture: what a place looks like by how dense the evidence for or against is there.

A colour map is one table of 256 RGBA rows. Row 128 is no evidence; rows above are evidence for the decision, up to
row 255; rows below are evidence against it, down to row 1 (row 0 repeats row 1). Between them the row follows the
*square root* of the density, `row = 128 + 127 sign(d) sqrt(min(|d|, REACH) / REACH)`, so that weak evidence has
enough rows. A density has no unit: 1 is evidence as dense as if it were spread evenly over the picture.

The opacity of all maps but `classic` is one curve of the density, `STRONGEST d^n / (d^n + k^n)`: nothing at zero, so
that the photo stays as it is, and three quarters at the most, so that the object stays recognisable under it.
`benchmarks/drawing.py` measures both, and how `STRONGEST`, `STEEPNESS` and `HALFWAY` were chosen stands in
`docs/studies/drawing.md`. This file knows no map of attention and no photo.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

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
STRONGEST, STEEPNESS, HALFWAY = 0.75, 2.5, 1.25
"""The opacity's limit, its steepness `n`, and the density `k` at which it is half of the limit."""
CLASSIC = 0.6
"""Opacity of the classic map at any density."""
LIME, BLUE = (162, 255, 0), (0, 64, 255)
PAPER = 150
"""Grey under the colours of a bar."""
WEAK = 0.9
"""Brightness of a hue where evidence is weak, as a share of that where it is strong."""

Colours = Callable[[Float[Tensor, " n"]], Float[Tensor, "n 3"]]
"""RGB in 0..1 of strengths in 0..1."""


@dataclass(frozen=True, eq=False)
class Cmap:
    """A colour map for evidence for and against.

    Args:
        summary: what it looks like, in a few words.
        favour: colours of evidence for the decision.
        against: colours of evidence against it.
        opaque: whether the opacity is the same at any density; such a map darkens the photo where nothing is.
    """

    summary: str
    favour: Colours
    against: Colours
    opaque: bool = False

    @cached_property
    def table(self) -> UInt8[Tensor, "256 4"]:
        """RGBA of every row."""
        share = (torch.arange(ROWS) - ZERO).clamp(min=-ZERO + 1) / (ROWS - 1 - ZERO)
        density = REACH * share.square()
        alpha = torch.full_like(density, CLASSIC) if self.opaque else opacity_of(density)
        strength = share.square() if self.opaque else alpha / STRONGEST
        colours = torch.where(share[:, None] >= 0, self.favour(strength), self.against(strength))
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


def opacity_of(density: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    r"""Opacity by density: $a \, d^n / (d^n + k^n)$.

    Example:
        >>> [round(float(opacity_of(torch.tensor(d))), 2) for d in (0.0, 0.3, 1.25, 8.0)]
        [0.0, 0.02, 0.38, 0.74]
    """
    power = density.abs() ** STEEPNESS
    opacity: Tensor = STRONGEST * power / (power + HALFWAY**STEEPNESS)
    return opacity


def tick(density: float, *, against: bool) -> float:
    """Where a density lies on a bar, 0..1 from its left end.

    Example:
        >>> tick(8.0, against=True), tick(0.0, against=True), tick(2.0, against=False)
        (1.0, 0.5, 0.5)
    """
    share = math.copysign(math.sqrt(min(1.0, abs(density) / REACH)), density)
    return (share + 1) / 2 if against else share


def bar(name: str, *, against: bool, paper: int = PAPER) -> UInt8[Tensor, "n 3"]:
    """The colours of a bar, from left to right, as they look over grey: a map's, and those of evidence against it."""
    table = cmap_of(name).table[1 if against else ZERO :].float()
    alpha = table[:, 3:] / 255
    return (paper * (1 - alpha) + table[:, :3] * alpha).round().to(torch.uint8)


def ends(name: str) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """The colours, RGB in 0..1, of the strongest evidence for the decision and against it.

    Example:
        >>> [round(part, 2) for part in ends("glow")[1]]
        [0.0, 0.25, 1.0]
    """
    table = cmap_of(name).table.float() / 255
    (r, g, b), (s, h, c) = table[ROWS - 1, :3].tolist(), table[1, :3].tolist()
    return (r, g, b), (s, h, c)


def hue(red: int, green: int, blue: int) -> Colours:
    """One vivid hue that gets brighter with strength."""
    colour = torch.tensor([red, green, blue]) / 255
    return lambda strength: colour * (WEAK + (1 - WEAK) * strength[:, None])


def ramp(table: UInt8[Tensor, "n 3"], *, start: float = 0.0) -> Colours:
    """A table of colours, from a share of its length on to its end."""
    last = len(table) - 1
    rows = table.float() / 255
    return lambda strength: rows[((start + (1 - start) * strength) * last).round().long()]


CMAPS.add("glow", Cmap("lime for, blue against", hue(*LIME), hue(*BLUE)))
CMAPS.add("cobalt", Cmap("blue for, lime against", hue(*BLUE), hue(*LIME)))
CMAPS.add(
    "inferno",
    Cmap(
        "from purple to pale yellow for, from blue to pale cyan against",
        ramp(UNSIGNED, start=0.3),
        ramp(UNSIGNED[:, [2, 1, 0]], start=0.3),
    ),
)
CMAPS.add(
    "classic",
    Cmap(
        "black at zero over a darkened photo, as in earlier versions",
        ramp(UNSIGNED),
        ramp(SIGNED[:ZERO].flip(0)),
        opaque=True,
    ),
)
