"""One picture of the animation: panels side by side, the layer in words and how far the walk has come.

It draws with Pillow on a dark ground. Which layer comes when is the business of `animation`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from sightline.reports.glossary import short
from sightline.reports.photo import picture_of

GROUND, INK, FADED, ALERT, BAR, TRACK = "#14161b", "#f2f3f5", "#9aa2b1", "#ff9d90", "#fca50a", "#343944"
MARGIN, GAP = 16, 12
NARROWEST = 300


@dataclass(frozen=True)
class Frame:
    """One picture of an animation.

    Args:
        picture: RGB, both sides even.
        seconds: how long it stays.
    """

    picture: Image.Image
    seconds: float


@dataclass(frozen=True)
class Caption:
    """The words on a frame.

    Args:
        title: what was decided.
        detail: score, probability and method.
        layer: where in the network this is.
        count: how many layers there are.
        warning: what is odd about a map shown, if anything.
        labels: a line under each panel; empty if there is one panel only.
        progress: how far the walk has come, 0..1.
    """

    title: str
    detail: str
    layer: str
    count: str
    warning: str
    labels: tuple[str, ...]
    progress: float


@dataclass(frozen=True)
class Layout:
    """Where things lie on a frame: all in pixels, both sides even, as video wants it.

    Args:
        panels: how many panels there are.
        width: width of a panel.
        height: height of a panel.
        stacked: whether panels stand under each other, as strips do.
    """

    panels: int
    width: int
    height: int
    stacked: bool = False

    @property
    def columns(self) -> int:
        """Panels in a row."""
        return 1 if self.stacked else math.ceil(math.sqrt(self.panels))

    @property
    def label(self) -> int:
        """Height of the line under a panel."""
        return 20 if self.panels > 1 else 0

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the frame."""
        rows = math.ceil(self.panels / self.columns)
        wide = 2 * MARGIN + self.columns * (self.width + GAP) - GAP
        high = self.top + rows * (self.height + self.label + GAP) + 76
        return _even(max(wide, NARROWEST)), _even(high)

    @property
    def top(self) -> int:
        """Where the first row of panels begins."""
        return 64

    def corner(self, place: int) -> tuple[int, int]:
        """Upper left corner of a panel."""
        row, column = divmod(place, self.columns)
        wide = self.columns * (self.width + GAP) - GAP
        left = (self.size[0] - wide) // 2
        return left + column * (self.width + GAP), self.top + row * (self.height + self.label + GAP)


def draw_frame(layout: Layout, pictures: list[Float[Tensor, "h w 3"]], *, caption: Caption) -> Image.Image:
    """Draw one frame.

    Args:
        layout: where things lie.
        pictures: a picture per panel, in 0..255.
        caption: the words.

    Returns:
        An RGB image of `layout.size`.
    """
    frame = Image.new("RGB", layout.size, GROUND)
    pen = ImageDraw.Draw(frame)
    room = layout.size[0] - 2 * MARGIN
    _write(pen, (MARGIN, 12), caption.title, size=17, room=room, bold=True)
    _write(pen, (MARGIN, 37), caption.detail, size=12, room=room, fill=FADED)
    for place, picture in enumerate(pictures):
        left, top = layout.corner(place)
        frame.paste(picture_of(picture.round().byte()), (left, top))
        if caption.labels:
            _write(
                pen, (left, top + layout.height + 3), caption.labels[place], size=11, room=layout.width, fill=FADED
            )
    _draw_foot(pen, layout, caption)
    return frame


def _draw_foot(pen: ImageDraw.ImageDraw, layout: Layout, caption: Caption) -> None:
    """The layer's name, what is odd about it, and the bar."""
    wide, high = layout.size
    room = wide - 2 * MARGIN
    level = high - 76
    _write(pen, (MARGIN, level), caption.layer, size=15, room=room - 80, bold=True)
    small = font(12, bold=False)
    pen.text((wide - MARGIN - small.getlength(caption.count), level + 3), caption.count, font=small, fill=FADED)
    _write(pen, (MARGIN, level + 23), caption.warning, size=11, room=room, fill=ALERT)
    bar = (MARGIN, high - 24, wide - MARGIN, high - 19)
    pen.rounded_rectangle(bar, 2, fill=TRACK)
    pen.rounded_rectangle((bar[0], bar[1], bar[0] + max(5, round(room * caption.progress)), bar[3]), 2, fill=BAR)


def _write(
    pen: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    text: str,
    *,
    size: int,
    room: int,
    bold: bool = False,
    fill: str = INK,
) -> None:
    """One line, cut in its middle until it fits into `room` pixels."""
    face = font(size, bold=bold)
    most = len(text)
    while most > 1 and face.getlength(short(text, most)) > room:
        most -= 1
    pen.text(corner, short(text, most), font=face, fill=fill)


@cache
def font(size: int, *, bold: bool) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which matplotlib carries and which knows most scripts."""
    import matplotlib

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name, size)


def _even(length: int) -> int:
    return length + length % 2
