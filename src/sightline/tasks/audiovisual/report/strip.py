"""The film strip: pictures of a clip with WHERE over them, and below the spectrogram, WHEN and the loudness."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from sightline.common.files import whole_file
from sightline.reports.density import Unit
from sightline.reports.drawing import overlay
from sightline.reports.glossary import clean
from sightline.results import AttentionMap, Explanation, Explanations
from sightline.tasks.audiovisual.explain.clip import EventClip
from sightline.tasks.audiovisual.report.page import QUIETEST, spectrogram

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Pixels = NDArray[np.uint8]
PICTURES = 8
"""Pictures of a strip."""


def save_strip(clip: EventClip, items: Explanations, path: Path) -> Path:
    """Write the strip of the most probable class as PNG.

    Args:
        clip: the clip.
        items: its explanations; none for a strip without a network.
        path: where to.
    """
    drawing = strip(clip, items[0] if len(items) else None)
    with whole_file(path) as temporary:
        drawing.savefig(temporary, format="png", dpi=110)
    return path


def strip(clip: EventClip, item: Explanation | None) -> Figure:
    """The strip as a figure."""
    from matplotlib.figure import Figure

    ruler = clip.ruler
    figure = Figure(figsize=(13, 4.6), layout="constrained")
    top, foot = figure.subfigures(2, 1, squeeze=False, height_ratios=(1.0, 1.3))[:, 0]
    segments = np.unique(np.linspace(0, ruler.segments - 1, PICTURES).round().astype(int))
    if clip.footage is not None:
        panes = top.subplots(1, len(segments), squeeze=False)[0]
        for pane, segment in zip(panes, segments, strict=True):
            pane.imshow(_picture(clip, item, int(segment)))
            pane.set_title(f"{ruler.middles[segment]:.1f} s", fontsize=9)
            pane.axis("off")
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
    curve.legend(handles=handles, fontsize=8, loc="upper right", ncols=3)
    figure.suptitle(_title(clip, item), fontsize=11)
    return figure


def _picture(clip: EventClip, item: Explanation | None, segment: int) -> Pixels:
    if clip.footage is None:
        return np.zeros((2, 2, 3), np.uint8)
    photo = torch.from_numpy(clip.footage.frames[clip.ruler.frames[segment]].copy())
    if item is None:
        return photo.numpy()
    values = item.flow["where"].values
    drawn = overlay(AttentionMap(values[segment], "where"), photo, unit=_unit(values), outlined=False)
    return np.asarray(drawn.numpy())


def _unit(values: torch.Tensor) -> Unit:
    """One colour for one share in all pictures: a density of 1 is an even map over all of them."""
    return Unit(float(values.mean()))


def _title(clip: EventClip, item: Explanation | None) -> str:
    name = clean(clip.path.name)
    if item is None:
        return f"{name}: no network was named, so there is no event"
    chance = "" if item.decision.probability is None else f" ({item.decision.probability:.1%})"
    drawn = "; this network knows drawn scenes only" if item.sentences else ""
    return f"{name}: {item.decision.label}{chance}{drawn}"
