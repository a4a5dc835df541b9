"""The region that a decision is about: a detector's box, or the places of a segmenter's class.

It is drawn as a dashed yellow line, so that it is not taken for the outline of the evidence. It knows no target.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageChops, ImageDraw
from torch import Tensor
from torch.nn.functional import interpolate

from sightline.reports.drawing import LINE_DARK, UNITS, line_cover
from sightline.reports.motion import inside, mass
from sightline.reports.outline import Loop, loops_of
from sightline.reports.photo import tensor_of
from sightline.reports.place import Place
from sightline.results import AttentionMap, Decision
from sightline.results.original import WHOLE, Box

COLOUR = (255, 225, 77)
WIDTH_DARK, WIDTH_LIGHT = 3.2, 1.6
"""Widths of the line in units of the picture's longer side / `UNITS`, and at least in pixels."""
DASH, PAUSE = 8.0, 4.5
"""Lengths of a dash and of the pause behind it, in the same units."""
FINEST, COARSEST = 64, 128
"""A region's grid is brought to about so many cells a side before its border is taken: small cells stay squares, and
the border of a fine mask has no more corners than a picture shows."""
GRID = 512
"""Side of the grid on which the evidence within a region is counted."""


def borders(mask: Float[Tensor, "h w"]) -> tuple[Loop, ...]:
    """The borders of a mask as closed lines, in shares of the picture's sides; holes have lines of their own.

    Example:
        >>> mask = torch.zeros(4, 4)
        >>> mask[1:3, 1:3] = 1.0
        >>> len(borders(mask))
        1
    """
    field = mask.detach().float().cpu()
    longest = max(field.shape)
    if longest > COARSEST:
        size = tuple(max(1, round(side * COARSEST / longest)) for side in field.shape)
        field = interpolate(field[None, None], size, mode="area")[0, 0]
    if len(field) == 1:  # a signal's strip has one row, whose corners would be cut off
        field = field.expand(FINEST, -1)
    times = max(1, math.ceil(FINEST / max(field.shape)))
    return loops_of(field.repeat_interleave(times, 0).repeat_interleave(times, 1), 0.5)


def region_of(decision: Decision) -> tuple[Loop, ...]:
    """The closed lines around what a decision is about, within the picture; none where that is the whole picture.

    A detector's box may begin or end outside.

    Example:
        >>> region_of(Decision("dog", 1.0, box=(0.25, 0.5, 0.5, 0.25)))
        (((0.25, 0.5), (0.75, 0.5), (0.75, 0.75), (0.25, 0.75)),)
    """
    if decision.box is None:
        return decision.region
    x, y, wide, high = decision.box
    left, right, top, bottom = (min(1.0, max(0.0, at)) for at in (x, x + wide, y, y + high))
    return (((left, top), (right, top), (right, bottom), (left, bottom)),)


def region_name(decision: Decision) -> str:
    """What the region is called: `box`, `region`, or nothing."""
    return "box" if decision.box is not None else "region" if decision.region else ""


def share_within(map_: AttentionMap, decision: Decision) -> float | None:
    """Share of the evidence for the decision that lies in its region; None where either is missing."""
    evidence, loops = mass(map_), region_of(decision)
    if evidence is None or not loops:
        return None
    if decision.box is not None:
        return inside(evidence, [decision.box])[0]
    cover = interpolate(mask_of(loops, GRID)[None, None], evidence.shape, mode="area")[0, 0]
    return float((evidence * cover).sum())


def region_area(decision: Decision) -> float | None:
    """The region's share of the picture, which an even map has in it; None where the decision has no region."""
    if decision.box is not None:
        ((left, top), _, (right, bottom), _) = region_of(decision)[0]
        return (right - left) * (bottom - top)
    loops = region_of(decision)
    return float(mask_of(loops, GRID).mean()) if loops else None


def mask_of(loops: tuple[Loop, ...], side: int) -> Float[Tensor, "side side"]:
    """1 within closed lines and 0 outside; a hole's line takes away what the line around it gave."""
    cover = Image.new("1", (side, side))
    for loop in loops:
        one = Image.new("1", cover.size)
        ImageDraw.Draw(one).polygon([(x * side - 0.5, y * side - 0.5) for x, y in loop], fill=1)
        cover = ImageChops.logical_xor(cover, one)
    return tensor_of(cover.convert("L"))[..., 0].double() / 255


def marked(picture: UInt8[Tensor, "h w 3"], decision: Decision, *, box: Box = WHOLE) -> UInt8[Tensor, "h w 3"]:
    """A picture with the region of a decision on it.

    Args:
        picture: RGB in 0..255, with a map or without.
        decision: what was decided.
        box: the part of the picture that the network saw, as shares of its sides.
    """
    loops = Place.of(box, picture).moved(region_of(decision))
    if not loops:
        return picture
    unit = max(1.0, max(picture.shape[:2]) / UNITS)
    size, result = (picture.shape[0], picture.shape[1]), picture.float()
    dashes = tuple(dash for loop in loops for dash in dashes_of(loop, size, unit=unit))
    for colour, width, lines in ((LINE_DARK, WIDTH_DARK, loops), (COLOUR, WIDTH_LIGHT, dashes)):
        cover = line_cover(lines, size, width=width * unit, closed=lines is loops)
        result = result * (1.0 - cover) + torch.tensor(colour).float() * cover
    return (result + 0.5).floor().to(torch.uint8)


def dashes_of(loop: Loop, size: tuple[int, int], *, unit: float) -> Iterator[Loop]:
    """A closed line cut into dashes, each a line with the corners that it goes around."""
    high, wide = size
    corners = [(x * wide, y * high) for x, y in (*loop, loop[0])]
    dash: list[tuple[float, float]] = [corners[0]]
    drawn, left = True, DASH * unit
    for (x0, y0), (x1, y1) in pairwise(corners):
        length, at = math.hypot(x1 - x0, y1 - y0), 0.0
        while length - at > left:
            at += left
            place = (x0 + (x1 - x0) * at / length, y0 + (y1 - y0) * at / length)
            if drawn:
                yield tuple((x / wide, y / high) for x, y in (*dash, place))
            dash, drawn, left = [place], not drawn, (PAUSE if drawn else DASH) * unit
        left -= length - at
        dash.append((x1, y1))
    if drawn and len(dash) > 1:
        yield tuple((x / wide, y / high) for x, y in dash)
