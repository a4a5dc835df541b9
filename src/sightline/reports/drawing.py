"""The drawing of a map over a photo: the one way for every figure, page and animation.

Five steps, and a page's script does the same ones with `drawing_record` and `map_record`:

1. the grid is grown to the picture's size by the display kernel (`kernel`): `rows @ values @ columns^T`;
2. the result is divided by the map's unit, which makes densities of it (`density`);
3. a density `d` has the row `128 + 127 sign(d) sqrt(min(|d|, reach) / reach)` of the colour map's table (`cmaps`),
   rounded half up;
4. the row's RGBA covers the photo, in 8-bit sRGB; a share of the photo's detail stays (`detail`), and a photo has the
   shade of each hue that is seen on it (`tint`). `opacity` mixes the result with the photo;
5. the outline (`outline`) is stroked on top: a dark line, and a light one of less width in it.

Values that are not finite are hatched, never coloured.
"""

from __future__ import annotations

import base64
from typing import Any

import torch
from jaxtyping import Bool, Float, UInt8
from PIL import Image, ImageDraw
from torch import Tensor

from sightline.reports.cmaps import DEFAULT, REACH, ROWS, ZERO
from sightline.reports.density import Unit, unit_of
from sightline.reports.detail import WIDTH, covered, ground_of, within
from sightline.reports.kernel import deviation_of, grown
from sightline.reports.outline import Loop, drawn_lines, lines_of, outline
from sightline.reports.photo import tensor_of
from sightline.reports.place import Place
from sightline.reports.tint import Tint, tint_of
from sightline.results import AttentionMap
from sightline.results.original import WHOLE, Box

HATCH = 8
"""Period of the hatching over values that are not finite, in pixels."""
HATCH_LINE, HATCH_GROUND, HATCH_OPACITY = 235, 70, 0.6
LINE_DARK, LINE_LIGHT = (16, 18, 24), (255, 255, 255)
WIDTH_DARK, WIDTH_LIGHT = 2.8, 1.3
"""Widths of the outline in units of the picture's longer side / `UNITS`, and at least in pixels."""
UNITS = 360
FINER = 3
"""The outline is drawn that much larger and then brought down, which smooths it."""


def overlay(
    map_: AttentionMap,
    photo: UInt8[Tensor, "h w 3"],
    *,
    cmap: str | Tint = DEFAULT,
    unit: Unit | None = None,
    opacity: float = 1.0,
    outlined: bool = True,
    smooth: bool = True,
    box: Box = WHOLE,
) -> UInt8[Tensor, "h w 3"]:
    """A map laid over a photo; where there is no evidence the photo is as it was.

    Args:
        map_: a map over an image grid, raw values.
        photo: RGB in 0..255; see `sightline.reports.photo.pixels_of`.
        cmap: name of the colour map, see `sightline.reports.CMAPS`; or a `Tint`, whose shades are chosen already.
        unit: what the colours stand for; the map's own unit if None.
        opacity: factor on the colour map's own opacity, 0..1.
        outlined: whether the smallest area that holds half of the evidence for the decision is outlined.
        smooth: whether cells are drawn as soft patches (the display kernel); else as hard rectangles.
        box: `(x, y, width, height)` of what the map lies over, as shares of the photo's sides. What is outside of it
            is dimmed, and the box is framed.

    Returns:
        RGB in 0..255, of the photo's size.

    Raises:
        ResultError: the colour map is unknown.
    """
    if box != WHOLE:
        return _within(map_, photo, box, cmap=cmap, unit=unit, opacity=opacity, outlined=outlined, smooth=smooth)
    picture = _covered(map_, photo, WHOLE, cmap=cmap, unit=unit, opacity=opacity, smooth=smooth)
    return stroked(picture, lines_of(map_)) if outlined and opacity > 0.0 else picture


def _within(
    map_: AttentionMap, photo: UInt8[Tensor, "h w 3"], box: Box, *, outlined: bool, opacity: float, **look: Any
) -> UInt8[Tensor, "h w 3"]:
    """A map laid over a part of a photo, and the rest dimmed."""
    place = Place.of(box, photo)
    inner = place.cut(photo)
    drawn = _covered(map_, inner, place.inside(photo), opacity=opacity, **look)
    picture = place.paste(drawn, photo)
    if outlined and opacity > 0.0:
        picture = stroked(picture, place.moved(lines_of(map_, place.inside(photo))))
    return picture


def _covered(
    map_: AttentionMap,
    photo: UInt8[Tensor, "h w 3"],
    inside: Box,
    *,
    cmap: str | Tint,
    unit: Unit | None,
    opacity: float,
    smooth: bool,
) -> UInt8[Tensor, "h w 3"]:
    """A map laid over a photo, around which there may be bars, without an outline."""
    values = grown(map_, (photo.shape[0], photo.shape[1]), smooth=smooth)
    tint = tint_of(cmap, within(photo, inside))
    colours = painted((unit or unit_of(map_)).densities(values), tint=tint)
    picture = laid(colours, photo, inside=inside, detail=tint.detail, opacity=opacity)
    if not bool(torch.isfinite(values).all()):
        picture = hatched(picture, ~torch.isfinite(values), opacity=opacity)
    return picture


def painted(densities: Float[Tensor, "h w"], *, tint: Tint | None = None) -> UInt8[Tensor, "h w 4"]:
    """Colour and opacity of every density, RGBA in 0..255; transparent where it is not finite."""
    finite = torch.isfinite(densities)
    return (tint or tint_of()).table[rows_of(densities.where(finite, 0.0))] * finite[..., None]


def rows_of(densities: Float[Tensor, "..."]) -> Tensor:
    """The row of a colour map's table for every density, 1..255.

    Example:
        >>> rows_of(torch.tensor([0.0, 2.0, -2.0, 8.0, 100.0])).tolist()
        [128, 192, 65, 255, 255]
    """
    share = (densities.abs() / REACH).clamp(max=1.0).sqrt() * densities.sign()
    return (ZERO + (ROWS - 1 - ZERO) * share + 0.5).floor().long()


def laid(
    colours: UInt8[Tensor, "h w 4"],
    photo: UInt8[Tensor, "h w 3"],
    *,
    inside: Box = WHOLE,
    detail: float = 0.0,
    opacity: float = 1.0,
) -> UInt8[Tensor, "h w 3"]:
    """Colours over a photo, each as opaque as its own fourth channel says; a share of the photo's detail stays."""
    below = photo.float()
    over = covered(photo, colours, ground=ground_of(photo, inside), detail=detail)
    return (below + opacity * (over - below) + 0.5).floor().to(torch.uint8)


def hatching(size: tuple[int, int]) -> Bool[Tensor, "h w"]:
    """Where the light diagonal lines of the hatching run in a picture of a size."""
    rows, columns = torch.arange(size[0])[:, None], torch.arange(size[1])[None, :]
    return (rows + columns) % HATCH < HATCH // 4


def hatched(
    picture: UInt8[Tensor, "h w 3"], where: Bool[Tensor, "h w"], *, opacity: float = 1.0
) -> UInt8[Tensor, "h w 3"]:
    """A picture with hatching over a part of it."""
    lines = torch.where(hatching((picture.shape[0], picture.shape[1])), HATCH_LINE, HATCH_GROUND)[..., None].float()
    share = HATCH_OPACITY * opacity
    mixed = (picture.float() * (1.0 - share) + lines * share + 0.5).floor().to(torch.uint8)
    return mixed.where(where[..., None], picture)


def stroked(picture: UInt8[Tensor, "h w 3"], loops: tuple[Loop, ...]) -> UInt8[Tensor, "h w 3"]:
    """A picture with closed lines on it: thin, light inside dark."""
    if not loops:
        return picture
    unit = max(1.0, max(picture.shape[:2]) / UNITS)
    result = picture.float()
    for colour, width in ((LINE_DARK, WIDTH_DARK), (LINE_LIGHT, WIDTH_LIGHT)):
        cover = line_cover(loops, (picture.shape[0], picture.shape[1]), width=width * unit)
        result = result * (1.0 - cover) + torch.tensor(colour).float() * cover
    return (result + 0.5).floor().to(torch.uint8)


def line_cover(
    loops: tuple[Loop, ...], size: tuple[int, int], *, width: float, closed: bool = True
) -> Float[Tensor, "h w 1"]:
    """How much of each pixel lines of a width in pixels cover, 0..1; closed ones, or ones with two ends."""
    canvas = Image.new("L", (size[1] * FINER, size[0] * FINER))
    pen, thickness = ImageDraw.Draw(canvas), max(1, round(width * FINER))
    for loop in loops:
        corners = [(x * canvas.width, y * canvas.height) for x, y in ((*loop, *loop[:2]) if closed else loop)]
        pen.line(corners, fill=255, width=thickness, joint="curve")
    small = canvas.resize((size[1], size[0]), Image.Resampling.BOX)
    return tensor_of(small)[..., :1].float() / 255


def drawing_record() -> dict[str, Any]:
    """What a page's script needs to draw as `overlay` does, for all of its photos.

    Returns:
        `reach`: the density at both ends of a colour table; `spread`: standard deviation, in cells, of the Gaussian
        that spreads a photo's ground; `line`: colours and widths of the outline, widths in units of `max(1, longer
        side of the picture in pixels / units)`; `hatch`: period, grey of the lines, grey of the ground, opacity.
    """
    return {
        "reach": REACH,
        "spread": WIDTH,
        "line": {"dark": LINE_DARK, "light": LINE_LIGHT, "widths": [WIDTH_DARK, WIDTH_LIGHT], "units": UNITS},
        "hatch": [HATCH, HATCH_LINE, HATCH_GROUND, HATCH_OPACITY],
    }


def photo_record(
    photo: UInt8[Tensor, "h w 3"], *, cmap: str | Tint = DEFAULT, covering: bool = False, inside: Box = WHOLE
) -> dict[str, Any]:
    """What a page's script needs beside a photo's pixels.

    Args:
        photo: RGB in 0..255, as the network saw it.
        cmap: name of the colour map, or its shades.
        covering: whether the script only covers the picture and keeps no detail, as over a clip.
        inside: where the photo lies between bars, as `ground_of` takes it.

    Returns:
        `table`: base64 of the 256 RGBA rows (row 128 is no evidence, 255 most for, 1 most against); `detail`: how
        much of the photo's detail stays; `ground`: base64 of the photo's means in `height` times `width` cells, RGB.
    """
    tint, ground = tint_of(cmap, within(photo, inside)), ground_of(photo, inside)
    return {
        "name": tint.name,
        "table": _text(tint.covering if covering else tint.table),
        "detail": 0.0 if covering else tint.detail,
        "ground": {"height": ground.shape[0], "width": ground.shape[1], "values": _text(ground)},
    }


def _text(values: UInt8[Tensor, "..."]) -> str:
    return base64.b64encode(values.contiguous().numpy().tobytes()).decode()


def map_record(map_: AttentionMap, inside: Box = WHOLE) -> dict[str, Any]:
    """What a page's script needs beside a map's values.

    Args:
        map_: a map over an image grid.
        inside: where the photo lies between bars, as `outline` takes it.

    Returns:
        `unit`: the raw value whose density is 1 (0: nothing is drawn); `against`: whether values below zero are
        drawn (else they count as 0); `kernel`: standard deviation of the display kernel in cells;
        `area`: share of the picture that holds half of the evidence (None where there is none); `loops`: the outline,
        each loop a flat list `x, y, x, y, ...` in shares of the picture's sides.
    """
    unit, line = unit_of(map_), outline(map_, inside=inside)
    return {
        "unit": unit.value,
        "against": unit.against,
        "kernel": deviation_of(map_),
        "area": line.area if line.area == line.area else None,
        "loops": [[share for place in loop for share in place] for loop in drawn_lines(map_, line)],
    }
