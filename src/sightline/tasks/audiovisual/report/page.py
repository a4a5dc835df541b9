"""The page that plays a clip: WHERE over its picture, WHEN under its spectrogram, one cursor for all.

One HTML file that works from `file://`: the clip is in it. Beside the attention stand its controls: movement for
WHERE, loudness for WHEN. The looks are in `events.html.j2`, `events.css` and `events.js` beside this file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from sightline.reports.document import document
from sightline.reports.drawing import drawing_record, photo_record
from sightline.reports.glossary import clean
from sightline.reports.output import write_page
from sightline.reports.packing import raw_bytes
from sightline.reports.payload import safe_json
from sightline.reports.photo import data_uri, pixels_of
from sightline.results import Explanation, Explanations
from sightline.tasks.audiovisual.explain.clip import EventClip
from sightline.tasks.audiovisual.report.player import playable

QUIETEST = -60.0
"""Level in dB at the foot of the loudness curve."""


def save_event_page(clip: EventClip, items: Explanations, path: Path, *, flows: Sequence[Tensor] = ()) -> Path:
    """Write the page of a clip, whole or not at all.

    Args:
        clip: the clip.
        items: its explanations, a class each; none for a page without a network.
        path: where to.
        flows: for each explanation the map of a post-hoc method over the same places, to look at beside it.
    """
    return write_page(path, event_page(clip, items, flows))


def event_page(clip: EventClip, items: Explanations, flows: Sequence[Tensor] = ()) -> str:
    """The page's text."""
    from markupsafe import Markup

    payload = safe_json({**payload_of(clip, items), "flows": [raw_bytes(_shares(values)) for values in flows]})
    has_picture = clip.footage is not None
    notes = (*clip.ruler.notes, *dict.fromkeys(sentence for item in items for sentence in item.sentences))
    return document(
        "events.html.j2",
        title=clean(f"Where and when in {clip.path.name}"),
        package="sightline.tasks.audiovisual.report",
        styles=("events.css",),
        scripts=("events.js",),
        media="data:",
        address=_address(clip),
        has_picture=has_picture,
        has_flows=bool(flows),
        has_sound=bool(len(clip.ruler.track.samples)),
        spectrogram=data_uri(spectrogram(clip.spectra)),
        classes=[(clean(item.decision.label), _share(item)) for item in items],
        ruler=[line.partition(" ")[::2] for line in clip.ruler.lines()],
        rows=[_row(row) for row in clip.ruler.table()],
        notes=[clean(note) for note in notes],
        data=Markup(payload),  # noqa: S704 - safe_json leaves nothing to escape
    )


def payload_of(clip: EventClip, items: Explanations) -> dict[str, Any]:
    """The numbers that the page's script draws."""
    movement = motion(clip.frames[0], None if not len(items) else items[0].flow["where"].values.shape[1:])
    levels = [max(QUIETEST, float(level)) for level in clip.ruler.track.levels(clip.ruler.seconds)]
    count = clip.ruler.segments
    return {
        "seconds": clip.ruler.seconds,
        "segments": count,
        "grid": list(movement.shape),
        "drawing": drawing_record() | photo_record(mean_picture(clip), covering=True),
        "classes": [_class(item) for item in items],
        "motion": raw_bytes(movement / movement.sum().clamp(min=1e-12)),
        "levels": (levels + [QUIETEST] * count)[:count],
        "quietest": QUIETEST,
        "frames": [] if clip.footage is None else [int(frame) for frame in clip.ruler.frames],
        "times": [] if clip.footage is None else [float(clip.footage.times[frame]) for frame in clip.ruler.frames],
    }


def mean_picture(clip: EventClip) -> UInt8[Tensor, "h w 3"]:
    """The mean of a clip's pictures, by which the shades of its colours are chosen."""
    return pixels_of(clip.frames[0].mean(0))


def motion(frames: Float[Tensor, "t 3 h w"], grid: Sequence[int] | None = None) -> Float[Tensor, "t y x"]:
    """How much each cell changes from a picture to the next: the control of WHERE.

    Args:
        frames: pictures.
        grid: rows and columns of the cells; None for the patches of a network that takes frames.
    """
    from sightline.tasks.audiovisual.network.encoders import PATCH

    change = (frames - frames.roll(1, 0)).abs().mean(1)
    change[0] = change[1] if len(change) > 1 else 0
    rows, columns = grid or (frames.shape[-2] // PATCH, frames.shape[-1] // PATCH)
    size = (int(rows), int(columns))
    cells: Tensor = torch.nn.functional.adaptive_avg_pool2d(change, size)
    return cells


def spectrogram(spectra: Float[Tensor, "1 s m f"]) -> Tensor:
    """The log-mel spectrogram as a picture `[f, t, 3]`, low bands at the foot, the same grey for the same level."""
    values = spectra[0].flatten(0, 1).T.flip(0)
    grey = ((values + 4.61) / 8.0).clamp(0, 1)
    return (255 * grey).round().byte()[..., None].repeat(1, 1, 3)


def _address(clip: EventClip) -> str:
    """The clip as it plays; empty for a folder of pictures, which has no film of its own."""
    return "" if clip.path.is_dir() else playable(clip.path, picture=clip.footage is not None)


def _shares(values: Tensor) -> Tensor:
    """A map that is not negative, as shares of its sum."""
    return values / values.sum().clamp(min=1e-12)


def _class(item: Explanation) -> dict[str, Any]:
    where, when = item.flow.maps
    return {"where": raw_bytes(where.values), "when": [float(value) for value in when.values]}


def _share(item: Explanation) -> str:
    return "" if item.decision.probability is None else f"{item.decision.probability:.1%}"


def _row(row: tuple[int, float, float, int | None, float | None]) -> tuple[str, str, str, str]:
    number, begin, end, frame, time = row
    return (
        str(number),
        f"{begin:.2f} to {end:.2f} s",
        "-" if frame is None else str(frame),
        "-" if time is None else f"{time:.3f} s",
    )
