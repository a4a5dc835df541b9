"""The film strip: pictures of a clip with WHERE over them, and below the spectrogram, WHEN and the loudness.

Where a method was asked as well, its map lies over the same pictures in a second row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sightline.common.files import whole_file
from sightline.reports.density import Unit
from sightline.reports.drawing import overlay
from sightline.reports.glossary import clean
from sightline.reports.tint import tint_of
from sightline.results import AttentionMap, Explanation, Explanations
from sightline.tasks.audiovisual.explain.clip import EventClip
from sightline.tasks.audiovisual.report.page import QUIETEST, mean_picture, spectrogram

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

Pixels = NDArray[np.uint8]
PICTURES = 8
"""Pictures of a strip."""
WIDE, FOOT = 13.0, 2.7
"""Inches: the width of a strip, and the height of what lies below its pictures."""


def save_strip(clip: EventClip, items: Explanations, path: Path, *, flows: Sequence[Tensor] = ()) -> Path:
    """Write the strip of the most probable class as PNG.

    Args:
        clip: the clip.
        items: its explanations; none for a strip without a network.
        path: where to.
        flows: for each explanation the map of the LRP flow over the same places.
    """
    drawing = strip(clip, items[0] if len(items) else None, flows[0] if len(flows) else None)
    with whole_file(path) as temporary:
        drawing.savefig(temporary, format="png", dpi=110)
    return path


def strip(clip: EventClip, item: Explanation | None, flow: Tensor | None = None) -> Figure:
    """The strip as a figure."""
    from matplotlib.figure import Figure

    ruler = clip.ruler
    maps = {} if item is None else {"attention": item.flow["where"].values}
    if flow is not None:
        maps["LRP flow"] = flow
    film = _film_height(clip, len(maps))
    figure = Figure(figsize=(WIDE, film + FOOT + 0.3), layout="constrained")
    top, foot = figure.subfigures(2, 1, squeeze=False, height_ratios=(film, FOOT))[:, 0]
    if clip.footage is not None:
        _draw_film(top, clip, maps or {"": None})
    sound, curve = foot.subplots(2, 1, sharex=True)
    sound.imshow(spectrogram(clip.spectra).numpy(), aspect="auto", extent=(0, ruler.end, 0, 64))
    sound.set(yticks=[], ylabel="spectrum")
    if item is not None:
        values = item.flow["when"].values.numpy()
        curve.bar(ruler.middles, values, 0.92 * ruler.seconds, color="#0b62a8", label="when: attention")
        curve.axhline(1 / ruler.segments, color="grey", linestyle=":", linewidth=1, label="even")
    curve.set(xlim=(0, ruler.end), xlabel="seconds", ylabel="when")
    levels = np.maximum(ruler.track.levels(ruler.seconds), QUIETEST)[: ruler.segments]
    other = curve.twinx()
    other.plot(ruler.middles[: len(levels)], levels, color="#b4470a", label="loudness (control)")
    other.set(ylim=(QUIETEST, 0), ylabel="dB")
    handles = [*curve.get_legend_handles_labels()[0], *other.get_legend_handles_labels()[0]]
    foot.legend(handles=handles, fontsize=8, loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle(_title(clip, item), fontsize=11)
    return figure


def _film_height(clip: EventClip, rows: int) -> float:
    """Height of the pictures in inches, titles and gaps included."""
    if clip.footage is None:
        return 0.1
    _, height, width = clip.footage.frames.shape[:3]
    count = min(PICTURES, clip.ruler.segments)
    return max(1, rows) * min(2.6, WIDE / max(count, 4) * float(height / width)) + 0.4


def _draw_film(figure: SubFigure, clip: EventClip, maps: Mapping[str, Tensor | None]) -> None:
    """A row of pictures for each map, its name before it."""
    segments = np.unique(np.linspace(0, clip.ruler.segments - 1, PICTURES).round().astype(int))
    panes = figure.subplots(len(maps), len(segments), squeeze=False)
    for row, (name, values) in zip(panes, maps.items(), strict=True):
        row[0].set_ylabel(name, fontsize=9)
        for pane, segment in zip(row, segments, strict=True):
            pane.imshow(_picture(clip, values, int(segment)))
            pane.set(xticks=[], yticks=[])
            pane.spines[:].set_visible(False)
    for pane, segment in zip(panes[0], segments, strict=True):
        pane.set_title(f"{clip.ruler.middles[segment]:.1f} s", fontsize=9)


def _picture(clip: EventClip, values: Tensor | None, segment: int) -> Pixels:
    if clip.footage is None:
        return np.zeros((2, 2, 3), np.uint8)
    photo = torch.from_numpy(clip.footage.frames[clip.ruler.frames[segment]].copy())
    if values is None:
        return photo.numpy()
    tint = tint_of(photo=mean_picture(clip))
    drawn = overlay(AttentionMap(values[segment], "where"), photo, cmap=tint, unit=_unit(values), outlined=False)
    return np.asarray(drawn.numpy())


def _unit(values: Tensor) -> Unit:
    """One colour for one share in all pictures: a density of 1 is an even map over all of them."""
    return Unit(float(values.mean()))


def _title(clip: EventClip, item: Explanation | None) -> str:
    name = clean(clip.path.name)
    if item is None:
        return f"{name}: no network was named, so there is no event"
    chance = "" if item.decision.probability is None else f" ({item.decision.probability:.1%})"
    drawn = "; this network knows drawn scenes only" if item.sentences else ""
    return f"{name}: {item.decision.label}{chance}{drawn}"
