"""The montage: a photo and its maps at every layer, side by side in forward order, as a matplotlib figure.

One group of cells per method and target, under a heading with the decision and the colour scale; on request with the
difference from the layer before under each map. It knows results and colours; it never computes a map.
"""

from __future__ import annotations

import io
import math
import warnings
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from sightline.common.files import write_bytes
from sightline.errors import ResultError
from sightline.reports.cmaps import DEFAULT, tick
from sightline.reports.density import Unit
from sightline.reports.drawing import overlay
from sightline.reports.gains import overlay_difference
from sightline.reports.glossary import decided, grid, meaning, number, short, warning
from sightline.reports.kernel import deviation_of, sections_of
from sightline.reports.look import CAPTION, CURVE, GAP, MARGIN, Look
from sightline.reports.motion import FINEST, difference, mass, moved
from sightline.reports.outline import half_area
from sightline.reports.photo import fit
from sightline.reports.region import marked, region_name
from sightline.reports.scale import ScaleMode
from sightline.reports.sheet import ALERT, FADED, Sheet
from sightline.reports.signal import one_row
from sightline.reports.subject import Subject, subjects_of
from sightline.reports.tint import Tint, tint_of
from sightline.results import AttentionMap, Explanation, LayerChoice, Results, Status
from sightline.results.original import Box

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8
    from matplotlib.figure import Figure
    from torch import Tensor

HEADING, TITLE, FOOT = 0.44, 0.36, 0.16
SPACE = 0.14
"""Room below a group, in inches like all of these."""
CHARACTERS = 22
"""Characters that fit under a cell."""
CURVES = "half: the smallest part of the input that holds half of the evidence for the decision"
OUTLINE = "outline: the smallest area that holds half of the evidence for the decision"
REGION = "dashed: the {} that the decision is about"
SMOOTHED = "; fine grids are smoothed for display, over {:.2g} cells at most"
LEGEND = (
    "lower rows: what each place gained (green) and lost (purple) since the map before, positive evidence at the sum "
    "of one; the less moved, the paler"
)


def montage(
    explanations: Results,
    *,
    layers: LayerChoice = None,
    columns: int = 6,
    cmap: str = DEFAULT,
    opacity: float = 1.0,
    scale: ScaleMode = "own",
    max_layers: int = 11,
    smooth: bool = True,
    differences: bool = False,
) -> Figure:
    """Draw the photo and its maps, layer by layer.

    Args:
        explanations: what to draw: one explanation, flow or map, or many; several methods and targets become groups
            under each other.
        layers: which layers: a name, a wildcard, a place (`-1` is the last), or a list of these; None is all.
        columns: cells in a row; the first cell of a group is the photo.
        cmap: colour map; see `sightline.reports.CMAPS`.
        opacity: factor on the colour map's own opacity, 0..1.
        scale: what colours compare evidence with: `"own"`, an even spread of the map's own evidence, or `"shared"`,
            one raw value for all maps of a method.
        max_layers: most layers per group; of more, an even spread with the first and the last is drawn, and the
            heading says how many are left out.
        smooth: whether cells are drawn as soft patches; else as hard rectangles.
        differences: whether to draw under each map what every place gained and lost since the layer drawn before,
            with both maps' positive parts at the sum of one.

    Returns:
        A matplotlib figure that belongs to no window.

    Raises:
        ResultError: there is nothing to draw, or it would be too much for one picture.

    Example:
        >>> import torch
        >>> from sightline.results import AttentionMap, Decision, Flow
        >>> flow = Flow((AttentionMap(torch.eye(4), "early"), AttentionMap(torch.eye(2), "late")), "gradcam")
        >>> figure = montage([Explanation(flow, Decision("cat", 3.2), torch.rand(3, 32, 32))])
    """
    look = Look(columns, cmap, opacity, scale, max_layers, smooth, differences)
    subjects = subjects_of(explanations, layers)
    sheet = Sheet(look.width, sum(_height(subject, look.of(subject)) for subject in subjects) + 2 * MARGIN)
    top = MARGIN
    for subject in subjects:
        _draw_subject(sheet, top, subject, look=look.of(subject))
        top += _height(subject, look.of(subject))
    return sheet.figure


def save_montage(
    explanations: Results,
    path: str | Path,
    *,
    layers: LayerChoice = None,
    columns: int = 6,
    cmap: str = DEFAULT,
    opacity: float = 1.0,
    scale: ScaleMode = "own",
    max_layers: int = 11,
    differences: bool = False,
) -> Path:
    """Draw a montage and write it, whole or not at all.

    Args:
        explanations: what to draw.
        path: where to; its ending names the format (`.png`, `.pdf`, `.svg`, `.jpg`).
        layers: see `montage`.
        columns: see `montage`.
        cmap: see `montage`.
        opacity: see `montage`.
        scale: see `montage`.
        max_layers: see `montage`.
        differences: see `montage`.

    Returns:
        The path.

    Raises:
        ResultError: the format is unknown, or the file cannot be written.
    """
    path = Path(path)
    figure = montage(
        explanations,
        layers=layers,
        columns=columns,
        cmap=cmap,
        opacity=opacity,
        scale=scale,
        max_layers=max_layers,
        differences=differences,
    )
    buffer = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph")  # a label may hold signs that the font lacks
            figure.savefig(buffer, format=path.suffix.lstrip(".").lower() or "png")
    except ValueError as problem:
        raise ResultError(f"a montage cannot be written as {path.name!r}: {problem}") from problem
    write_bytes(path, buffer.getvalue())
    return path


def _height(subject: Subject, look: Look) -> float:
    cells = sum(look.tops(item, look.height(subject))[-1] for item in subject.items)
    return TITLE + len(subject.items) * (HEADING + SPACE) + cells + (len(_footnotes(subject, look)) + 1) * FOOT


def _draw_subject(sheet: Sheet, top: float, subject: Subject, *, look: Look) -> None:
    name = short(subject.source or "a picture without a name", int(sheet.width * 11))
    sheet.text(MARGIN, top, name, fontsize=11, weight="bold")
    top += TITLE
    for item in subject.items:
        sheet.rule(top - 0.06, MARGIN, sheet.width - MARGIN)
        _draw_heading(sheet, top, subject, item=item, look=look)
        _draw_cells(sheet, top + HEADING, subject, item=item, look=look)
        top += HEADING + SPACE + look.tops(item, look.height(subject))[-1]
    for line in _footnotes(subject, look):
        sheet.text(MARGIN, top, line, fontsize=6.5, color=FADED)
        top += FOOT


def _draw_heading(sheet: Sheet, top: float, subject: Subject, *, item: Explanation, look: Look) -> None:
    room = int((sheet.width - 2 * MARGIN - 1.9) * 11)
    sheet.text(MARGIN, top, short(item.decision.label, room), fontsize=9, weight="bold")
    left_out = len(item.flow) - len(look.shown(item))
    parts = [decided(item.decision), item.method, f"{len(item.flow)} layers" if len(item.flow) > 1 else "1 layer"]
    parts += [f"{left_out} left out"] if left_out else []
    sheet.text(MARGIN, top + 0.17, short(" · ".join(parts), room + 10), fontsize=7, color=FADED)
    _draw_legend(sheet, top + 0.03, subject, item=item, look=look)


def _draw_legend(sheet: Sheet, top: float, subject: Subject, *, item: Explanation, look: Look) -> None:
    """A colour bar at the right end of the heading, with what its colours stand for."""
    right, wide = sheet.width - MARGIN, 1.7
    against = any(subject.unit(item, map_, look.scale).against for map_ in look.shown(item))
    sheet.bar((right - wide, top, wide, 0.09), tint_of(look.cmap).bar(against=against))
    for density in (-4, 0, 4) if against else (0, 1, 2, 4):
        place = right - wide * (1 - tick(density, against=against))
        sheet.text(place, top + 0.1, f"{abs(density)}×", fontsize=6, color=FADED, ha="center")
    sheet.text(right, top + 0.19, _scale_words(subject, item, look), fontsize=6, color=FADED, ha="right")


def _scale_words(subject: Subject, item: Explanation, look: Look) -> str:
    """What the bar's numbers are multiples of."""
    if look.scale == "own":
        return "times as dense as spread evenly, each layer separately"
    return f"times {number(subject.unit(item, item.flow[0], look.scale).value)}, the same for all layers"


def _draw_cells(sheet: Sheet, top: float, subject: Subject, *, item: Explanation, look: Look) -> None:
    pixels, box = subject.canvas
    photo, high = fit(pixels, look.pixels, enlarge=True), look.height(subject)
    tops = look.tops(item, high)
    for place, map_ in enumerate((None, *look.shown(item))):
        row, column = divmod(place, look.columns)
        left, level = MARGIN + column * (look.cell + GAP), top + tops[row]
        if map_ is None:
            framed = fit(subject.framed, look.pixels, enlarge=True)
            sheet.picture((left, level, look.cell, high), marked(framed, item.decision, box=box))
            sheet.text(left, level + high + 0.04, _title(subject), fontsize=7)
            continue
        unit = subject.unit(item, map_, look.scale)
        picture = overlay(map_, photo, cmap=look.cmap, unit=unit, opacity=look.opacity, smooth=look.smooth, box=box)
        sheet.picture((left, level, look.cell, high), marked(picture, item.decision, box=box))
        if one_row(item.flow.maps):
            _draw_curve(sheet, (left, level + high, look.cell, CURVE), map_=map_, unit=unit, cmap=look.cmap)
            level += CURVE
        _draw_caption(sheet, left, level + high + 0.04, map_=map_, crop=box)
    if look.differences:
        seen = fit(subject.pixels, look.pixels, enlarge=True)
        _draw_differences(sheet, top, item=item, photo=seen, high=high, look=look)


def _title(subject: Subject) -> str:
    """What stands under the first cell."""
    if not subject.has_photo:
        return "no photo"
    return "what the network saw" if subject.wide else "photo"


def _draw_curve(
    sheet: Sheet, box: tuple[float, float, float, float], *, map_: AttentionMap, unit: Unit, cmap: str | Tint
) -> None:
    """Under a line its map as a curve in the map's two hues: its height is read more exactly than its colour."""
    values = map_.values[0].detach().cpu().float()
    values = unit.densities(values.nan_to_num(0.0, 0.0, 0.0))
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    sheet.curve(box, values, low=low, high=high, hues=tint_of(cmap).ends())


def _draw_differences(
    sheet: Sheet, top: float, *, item: Explanation, photo: UInt8[Tensor, "h w 3"], high: float, look: Look
) -> None:
    """Under each map but the first, the difference from the map before it; colours are paler where less moved."""
    changes, sections = _changes(look.shown(item)), sections_of(item.flow[0])
    farthest = max((moved(change) for change in changes if change is not None), default=0.0)
    tops, above = look.tops(item, high), high + look.curve(item) + CAPTION
    for place, change in enumerate(changes, 2):
        row, column = divmod(place, look.columns)
        left, level = MARGIN + column * (look.cell + GAP), top + tops[row] + above
        if change is None:
            sheet.text(left, level + 0.04, "no difference: nothing to compare", fontsize=6, color=FADED)
            continue
        strength = math.sqrt(moved(change) / farthest) if farthest else 0.0
        picture = overlay_difference(
            change, photo, strength=strength, smoothing="bilinear" if look.smooth else "nearest", sections=sections
        )
        sheet.picture((left, level, look.cell, high), picture)
        sheet.text(left, level + high + 0.04, f"{100 * moved(change):.0f} % moved", fontsize=7)


def _changes(maps: tuple[AttentionMap, ...]) -> tuple[Float[Tensor, "y x"] | None, ...]:
    """The difference between each two neighbours; None where one of them has no evidence."""
    masses, finest = [mass(map_) for map_ in maps], FINEST * sections_of(maps[0])
    return tuple(None if a is None or b is None else difference(a, b, finest=finest) for a, b in pairwise(masses))


def _draw_caption(sheet: Sheet, left: float, top: float, *, map_: AttentionMap, crop: Box) -> None:
    sheet.text(left, top, short(map_.layer, CHARACTERS), fontsize=7, weight="bold")
    if map_.status is Status.OK:
        area = half_area(map_, crop=crop)
        words = f"half in {100 * area:.2g} %" if area == area else "nothing for it"
        sheet.text(left, top + 0.125, f"{grid(map_)} · {words}", fontsize=6, color=FADED)
    else:
        sheet.text(left, top + 0.125, f"{grid(map_)} · {warning(map_)}", fontsize=6, color=ALERT)


def _footnotes(subject: Subject, look: Look) -> list[str]:
    """What the statuses mean that occur among the maps drawn, and how to read the outline."""
    drawn = [map_ for item in subject.items for map_ in look.shown(item)]
    odd = {map_.status: meaning(map_) for map_ in drawn if map_.status is not Status.OK}
    notes = [text + (" (hatched)" if status is Status.NAN else "") for status, text in odd.items()]
    if any(map_.status is Status.OK for map_ in drawn):
        widest = max(deviation_of(map_) for map_ in drawn)
        words = CURVES if one_row(tuple(drawn)) else OUTLINE
        notes.append(words + (SMOOTHED.format(widest) if look.smooth and widest >= 1 else ""))
    if names := dict.fromkeys(name for item in subject.items if (name := region_name(item.decision))):
        notes.append(REGION.format(" or ".join(names)))
    return [*notes, LEGEND] if look.differences else notes
