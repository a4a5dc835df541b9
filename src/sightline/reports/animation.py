"""The animation: a walk through the layers, each layer's map fading into the next, or a clip that is played.

It is written as GIF or WebP through Pillow, or as MP4 by the encoder of `imageio-ffmpeg` (extra `video`).
"""

from __future__ import annotations

import importlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from sightline.common.files import whole_file, write_bytes
from sightline.errors import MissingExtraError, ResultError
from sightline.reports.clip import Reel, moves, played
from sightline.reports.cmaps import DEFAULT
from sightline.reports.drawing import overlay
from sightline.reports.frame import Caption, Frame, Layout, draw_frame
from sightline.reports.glossary import decided, grid, meaning
from sightline.reports.photo import fit
from sightline.reports.region import marked
from sightline.reports.scale import ScaleMode, check_mode
from sightline.reports.spread import spread
from sightline.reports.subject import STRIP, Subject, subjects_of
from sightline.reports.tint import Tint
from sightline.results import Explanation, LayerChoice, Results, Status, explanations_of

SIZE, HOLD, FADE = 360, 0.8, 0.24
STEP = {".gif": 0.08, ".webp": 0.08, ".mp4": 0.04}
"""Seconds that a picture of a cross-fade stays, by format."""
MOST_STAGES, MOST_PANELS = 24, 9
SAMPLED, QUALITY = 8, 75
"""Frames that the colours of a GIF are taken from, and the quality of WebP."""
HEAVIEST = 1_500_000
"""Bytes of a GIF from which on it is made lighter."""
NO_MAP = 0.3
"""Brightness of the photo where a method has no map."""


@dataclass(frozen=True, eq=False)
class Walk:
    """How one photo's maps are walked through; see `frames` for the fields."""

    subject: Subject
    size: int
    cmap: str
    opacity: float
    scale: ScaleMode

    @cached_property
    def photo(self) -> UInt8[Tensor, "h w 3"]:
        """The photo at the size of a panel; several panels are smaller ones, and a strip is larger."""
        pixels, _ = self.subject.canvas
        if self.subject.wide:
            return fit(pixels, STRIP * self.size, enlarge=True)
        columns = Layout(len(self.subject.items), 1, 1).columns
        return fit(pixels, max(32, 2 * self.size // (1 + columns)), enlarge=True)

    @cached_property
    def tint(self) -> Tint:
        """The colours of all frames."""
        return self.subject.tint(self.cmap)

    @cached_property
    def layout(self) -> Layout:
        """Where things lie on the frames."""
        height, width = self.photo.shape[:2]
        return Layout(len(self.subject.items), width, height, stacked=self.subject.wide)

    @cached_property
    def places(self) -> tuple[int, ...]:
        """Which layers are visited: all, or an even spread with the first and the last."""
        return spread(len(self.subject.layers), MOST_STAGES)

    def pictures(self, place: int) -> list[Float[Tensor, "h w 3"]]:
        """Every panel at a layer."""
        layer = self.subject.layers[place]
        return [self._picture(item, layer) for item in self.subject.items]

    def _picture(self, item: Explanation, layer: str) -> Float[Tensor, "h w 3"]:
        map_ = self.subject.at(item, layer)
        if map_ is None:
            return self.photo.float() * NO_MAP
        unit = self.subject.unit(item, map_, self.scale)
        box = self.subject.canvas[1]
        picture = overlay(map_, self.photo, cmap=self.tint, unit=unit, opacity=self.opacity, box=box)
        return marked(picture, item.decision, box=box).float()

    def caption(self, place: int, progress: float) -> Caption:
        """The words at a layer."""
        items, layer = self.subject.items, self.subject.layers[place]
        maps = [self.subject.at(item, layer) for item in items]
        odd = [meaning(map_) for map_ in maps if map_ is not None and map_.status is not Status.OK]
        same = len({item.decision.label for item in items}) == 1
        methods = " · ".join(dict.fromkeys(item.method for item in items))
        grids = {grid(map_) for map_ in maps if map_ is not None}
        size = f"  {grids.pop()}" if len(grids) == 1 else ""
        return Caption(
            title=items[0].decision.label if same else self.subject.source or "several decisions",
            detail=f"{decided(items[0].decision)} · {methods}" if same else methods,
            layer=layer + size,
            count=f"{place + 1} of {len(self.subject.layers)}",
            warning=odd[0] if odd else "",
            labels=() if len(items) == 1 else tuple(self._label(item, layer) for item in items),
            progress=progress,
        )

    def _label(self, item: Explanation, layer: str) -> str:
        map_ = self.subject.at(item, layer)
        state = " · no map here" if map_ is None else "" if map_.status is Status.OK else f" · {map_.status}"
        return f"{item.method} · {item.decision.label}{state}"


def frames(
    explanations: Results,
    *,
    layers: LayerChoice = None,
    size: int = SIZE,
    cmap: str = DEFAULT,
    opacity: float = 1.0,
    scale: ScaleMode = "own",
    hold: float = HOLD,
    fade: float = FADE,
    step: float = 0.08,
) -> Iterator[Frame]:
    """Walk through the layers of one photo's explanations, in forward order; a clip or volume is played instead.

    Args:
        explanations: one explanation or flow, or several of one photo; methods and targets become panels.
        layers: which layers: a name, a wildcard, a place (`-1` is the last), or a list of these; None is all.
        size: longer side of the photo in pixels, if there is one panel; several are smaller.
        cmap: colour map; see `sightline.reports.CMAPS`.
        opacity: factor on the colour map's own opacity, 0..1.
        scale: `"own"` or `"shared"`, as in `montage`.
        hold: seconds that a layer stays.
        fade: seconds that it takes to fade into the next one.
        step: seconds per picture of a cross-fade.

    Yields:
        The frames. Of more than 24 layers an even spread is visited, the first and the last among them. Of a clip or
        volume at most 64 frames or slices are shown, over up to 8 layers of one explanation or the last of several.

    Raises:
        ResultError: there is more than one photo, or too many panels, or a time or size makes no sense.
    """
    items = explanations_of(explanations, layers)
    walk = Walk(_only(subjects_of(items)), size, cmap, opacity, scale)
    check_mode(scale)
    if size < 1 or hold <= 0 or fade < 0 or step <= 0:
        raise ResultError(f"an animation cannot have size={size}, hold={hold}, fade={fade}, step={step}")
    if moves(items):
        return played(Reel(items, size, cmap, opacity, scale))
    return _walked(walk, hold=hold, fade=fade, step=step)


def save_animation(
    explanations: Results,
    path: str | Path,
    *,
    layers: LayerChoice = None,
    size: int = SIZE,
    cmap: str = DEFAULT,
    opacity: float = 1.0,
    scale: ScaleMode = "own",
    hold: float = HOLD,
    fade: float = FADE,
) -> Path:
    """Write the animation, whole or not at all; the path's ending, `.gif`, `.webp` or `.mp4`, names the format.

    Args:
        explanations: explanations of one photo.
        path: where to.
        layers: see `frames`.
        size: see `frames`.
        cmap: see `frames`.
        opacity: see `frames`.
        scale: see `frames`.
        hold: see `frames`.
        fade: see `frames`.

    Returns:
        The path.

    Raises:
        ResultError: the format is unknown, the file cannot be written, or as in `frames`.
        MissingExtraError: MP4 is asked for, and its encoder is not installed.
    """
    path = Path(path)
    kind = path.suffix.lower()
    if kind not in STEP:
        raise ResultError(f"an animation cannot be written as {path.name!r}; end the name in .gif, .webp or .mp4")
    encoder = _encoder() if kind == ".mp4" else None
    items = explanations_of(explanations, layers)
    walked = frames(items, size=size, cmap=cmap, opacity=opacity, scale=scale, hold=hold, fade=fade, step=STEP[kind])
    if encoder is None:
        write_bytes(path, _gif(walked) if kind == ".gif" else _webp(walked))
    else:
        _write_mp4(walked, path, encoder=encoder)
    return path


def _only(subjects: tuple[Subject, ...]) -> Subject:
    if len(subjects) > 1:
        raise ResultError(
            f"an animation shows one photo, but there are {len(subjects)}; narrow by explanations.of(source=...)"
        )
    if len(subjects[0].items) > MOST_PANELS:
        raise ResultError(
            f"an animation shows at most {MOST_PANELS} panels, but there are {len(subjects[0].items)} methods and "
            "targets; narrow by explanations.of(method=..., label=...)"
        )
    return subjects[0]


def _walked(walk: Walk, *, hold: float, fade: float, step: float) -> Iterator[Frame]:
    """Hold a layer, fade into the next one, and so on."""
    last, steps = len(walk.places) - 1, round(fade / step)
    now = walk.pictures(walk.places[0])
    for number, place in enumerate(walk.places):
        caption = walk.caption(place, number / last if last else 1.0)
        yield Frame(draw_frame(walk.layout, now, caption=caption), hold * (2 if number == last else 1))
        if number == last:
            return
        after = walk.pictures(walk.places[number + 1])
        for count in range(1, steps + 1):
            share = count / (steps + 1)
            mixed = [old * (1 - share) + new * share for old, new in zip(now, after, strict=True)]
            shown = walk.caption(place if share < 0.5 else walk.places[number + 1], (number + share) / last)
            yield Frame(draw_frame(walk.layout, mixed, caption=shown), step)
        now = after


def _gif(walked: Iterator[Frame]) -> bytes:
    """The frames as GIF; where that is too heavy, in fewer colours, then without cross-fades, then smaller."""
    every = list(walked)
    held = _held(every)
    content = b""
    for some, colours, share in ((every, 256, 1.0), (every, 64, 1.0), (held, 128, 1.0), (held, 64, 0.75)):
        content = _encoded_gif(some, colours, share)
        if len(content) <= HEAVIEST:
            break
    return content


def _held(walked: list[Frame]) -> list[Frame]:
    """The frames that stay, each as long as until the next one; all where none is part of a cross-fade."""
    held: list[Frame] = []
    for frame in walked:
        if held and frame.seconds <= STEP[".gif"] < held[0].seconds:
            held[-1] = replace(held[-1], seconds=held[-1].seconds + frame.seconds)
        else:
            held.append(frame)
    return held


def _encoded_gif(walked: list[Frame], colours: int, share: float) -> bytes:
    """All frames in the same colours, so that a place that stays the same costs nothing in the next frame."""
    pictures = [frame.picture for frame in walked]
    if share < 1.0:
        size = (round(pictures[0].width * share), round(pictures[0].height * share))
        pictures = [picture.resize(size, Image.Resampling.LANCZOS) for picture in pictures]
    palette = _palette(pictures, colours)
    drawn = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    return _animated(drawn, walked, "GIF", optimize=True)


def _palette(pictures: list[Image.Image], colours: int) -> Image.Image:
    """The colours of a few frames below each other."""
    few = [pictures[place] for place in spread(len(pictures), SAMPLED)]
    width, height = few[0].size
    sheet = Image.new("RGB", (width, height * len(few)))
    for number, picture in enumerate(few):
        sheet.paste(picture, (0, height * number))
    return sheet.quantize(colours, method=Image.Quantize.MEDIANCUT)


def _webp(walked: Iterator[Frame]) -> bytes:
    walked_frames = list(walked)
    return _animated([frame.picture for frame in walked_frames], walked_frames, "WEBP", quality=QUALITY, method=2)


def _animated(pictures: list[Image.Image], walked: list[Frame], kind: str, **options: int | bool) -> bytes:
    times = [round(1000 * frame.seconds) for frame in walked]
    buffer = io.BytesIO()
    pictures[0].save(buffer, kind, save_all=True, append_images=pictures[1:], duration=times, loop=0, **options)
    return buffer.getvalue()


def _encoder() -> Any:
    try:
        return importlib.import_module("imageio_ffmpeg")
    except ImportError as problem:
        raise MissingExtraError("imageio-ffmpeg", "video", "writing MP4") from problem


def _write_mp4(walked: Iterator[Frame], path: Path, *, encoder: Any) -> None:
    """Encode frame by frame, whole or not at all."""
    rate = round(1 / STEP[".mp4"])
    writer = None
    with whole_file(path) as temporary:
        for frame in walked:
            if writer is None:
                writer = encoder.write_frames(
                    str(temporary),
                    frame.picture.size,
                    fps=rate,
                    quality=8,
                    macro_block_size=2,
                    ffmpeg_log_level="error",
                )
                writer.send(None)
            for _ in range(max(1, round(frame.seconds * rate))):
                writer.send(frame.picture.tobytes())
        if writer is not None:
            writer.close()
