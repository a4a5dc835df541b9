"""The outline: the smallest area of a picture that holds half of the evidence for the decision.

It is taken from the map as it is drawn (after the display kernel, on a fine grid of its own), so that the line
in the picture and the number beside it are of the same area. The size of the picture plays no part in it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sightline.reports.density import fine_size
from sightline.reports.kernel import grown
from sightline.results import AttentionMap, Status
from sightline.results.original import WHOLE, Box, inside_of

SMALLEST = 0.0005
"""An island of less than this share of the picture is part of the area and has no line of its own."""
TINY = 1e-6
TOLERANCE = 0.3
"""How far, in cells of the fine grid, a line may stray when its points are thinned out."""

Loop = tuple[tuple[float, float], ...]
"""Corners `(x, y)` of a closed line, as shares of the picture's width and height."""


@dataclass(frozen=True, eq=False)
class Outline:
    """The smallest area that holds a share of the positive evidence.

    Args:
        field: the evidence for the decision on a fine grid.
        mask: the cells of the area.
        level: the smallest value within it.
        area: its share of the picture, 0..1; NaN where there is no evidence.
    """

    field: Float[Tensor, "H W"]
    mask: Bool[Tensor, "H W"]
    level: float
    area: float

    @cached_property
    def loops(self) -> tuple[Loop, ...]:
        """Its borders as closed lines; holes have lines of their own (even-odd rule)."""
        return loops_of(self.field, self.level) if self.area == self.area else ()


def outline(map_: AttentionMap, *, share: float = 0.5, inside: Box = WHOLE) -> Outline:
    """The outline of a map.

    Args:
        map_: a map over an image grid.
        share: how much of the positive evidence it holds, 0..1.
        inside: `(x, y, width, height)` of the photo as shares of the map, where bars are around it: evidence on bars
            counts for nothing.

    Example:
        >>> area = outline(AttentionMap(torch.tensor([[4.0, 0.0], [0.0, 0.0]]), "layer")).area
        >>> 0.0 < area < 0.25
        True
    """
    field = fine_field(map_)
    if inside != WHOLE:
        field = field * _covered(field, inside)
    mask, level, area = smallest_area(field, share=share)
    if map_.status in (Status.FLAT, Status.NAN):  # no place is preferred, or it is not known which
        return Outline(field, torch.zeros_like(mask), math.inf, math.nan)
    return Outline(field, mask, level, area)


def _covered(field: Float[Tensor, "H W"], inside: Box) -> Float[Tensor, "H W"]:
    """Share of each cell that lies in a part of the picture."""
    shares = []
    for start, length, cells in zip(inside[:2], inside[2:], (field.shape[1], field.shape[0]), strict=True):
        edges = torch.linspace(0, 1, cells + 1, dtype=torch.float64).clamp(start, start + length)
        shares.append((edges.diff() * cells).to(field))
    return shares[1][:, None] * shares[0]


def lines_of(map_: AttentionMap, inside: Box = WHOLE) -> tuple[Loop, ...]:
    """The outline as it is drawn; none of a map of one row, whose curve shows the same without lines across it.

    Args:
        map_: a map over an image grid.
        inside: the photo between bars, as `outline` takes it.

    Example:
        >>> lines_of(AttentionMap(torch.tensor([[0.0, 1.0, 0.0]]), "layer"))
        ()
    """
    return drawn_lines(map_, outline(map_, inside=inside))


def drawn_lines(map_: AttentionMap, line: Outline) -> tuple[Loop, ...]:
    """`lines_of` a map whose outline is known already."""
    return () if map_.shape[0] == 1 else line.loops


def half_area(map_: AttentionMap, *, crop: Box = WHOLE) -> float:
    """Share of the picture that holds half of the evidence for the decision; NaN where there is none.

    Args:
        map_: a map over an image grid.
        crop: the part of the picture that the map lies over, as shares of its sides; a photo is larger than that.
    """
    area = outline(map_, inside=inside_of(crop)).area
    return area if math.isnan(area) else min(1.0, area * crop[2] * crop[3])


def fine_field(map_: AttentionMap) -> Float[Tensor, "H W"]:
    """The positive evidence as it is drawn, on a fine grid of whole multiples of the map's own."""
    return grown(map_, fine_size(map_)).nan_to_num(0.0).clamp(min=0.0)


def smallest_area(field: Float[Tensor, "H W"], *, share: float = 0.5) -> tuple[Bool[Tensor, "H W"], float, float]:
    """The fewest cells that hold a share of the whole: mask, smallest value among them, share of all cells.

    The last cell counts in part, so that the share does not jump with the grid.
    """
    ranked, order = field.flatten().sort(descending=True, stable=True)
    values = ranked.double()
    sums = values.cumsum(0)
    whole = float(sums[-1])
    if not whole > 0.0:
        return torch.zeros_like(field, dtype=torch.bool), math.inf, math.nan
    count = int((sums < share * whole * (1 - 1e-12)).sum()) + 1
    before = float(sums[count - 2]) if count > 1 else 0.0
    part = (share * whole - before) / float(values[count - 1])
    mask = torch.zeros(field.numel(), dtype=torch.bool)
    mask[order[:count]] = True
    return mask.reshape(field.shape), float(values[count - 1]), (count - 1 + part) / field.numel()


def loops_of(field: Float[Tensor, "H W"], level: float) -> tuple[Loop, ...]:
    """The closed lines at a level, thinned out, without those around tiny islands."""
    import contourpy

    height, width = field.shape
    ring = torch.nn.functional.pad(field.double()[None], (1, 1, 1, 1), mode="replicate")[0]
    ring = level - (ring - level).abs() - TINY * level  # as far below the level as its neighbour is above it, ...
    ring[1:-1, 1:-1] = field.double()  # ... so that a line closes just at the picture's edge
    sizes, loops = torch.tensor([width, height], dtype=torch.float64), []
    for line in contourpy.contour_generator(z=ring.numpy()).lines(level):
        points = thinned(torch.as_tensor(line).double(), TOLERANCE)
        places = ((points - 0.5) / sizes).clamp(0.0, 1.0)  # the ring's first centre lies half a cell outside
        if area_of(places) >= SMALLEST:
            loops.append(tuple((round(x, 4), round(y, 4)) for x, y in places[:-1].tolist()))
    return tuple(loops)


def area_of(points: Float[Tensor, "n 2"]) -> float:
    """Area within a closed line, whose last point is its first."""
    x, y = points.unbind(1)
    return 0.5 * abs(float((x[:-1] * y[1:] - x[1:] * y[:-1]).sum()))


def thinned(points: Float[Tensor, "n 2"], tolerance: float) -> Float[Tensor, "m 2"]:
    """A line with fewer points, none of the old ones farther from it than a tolerance (Douglas and Peucker)."""
    keep = torch.zeros(len(points), dtype=torch.bool)
    keep[[0, -1]] = True
    spans = [(0, len(points) - 1)]
    while spans:
        start, end = spans.pop()
        if end - start < 2:
            continue
        away = distances(points[start + 1 : end], points[start], points[end])
        far = int(away.argmax())
        if float(away[far]) > tolerance:
            keep[start + 1 + far] = True
            spans += [(start, start + 1 + far), (start + 1 + far, end)]
    return points[keep]


def distances(
    points: Float[Tensor, "n 2"], start: Float[Tensor, "2"], end: Float[Tensor, "2"]
) -> Float[Tensor, " n"]:
    """Distances of points from a chord; from its start where both its ends are one place."""
    chord, offsets = end - start, points - start
    length = float(chord.norm())
    if length == 0.0:
        away: Tensor = offsets.norm(dim=1)
        return away
    return (chord[0] * offsets[:, 1] - chord[1] * offsets[:, 0]).abs() / length
