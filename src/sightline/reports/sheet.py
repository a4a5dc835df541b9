"""`Sheet`: a matplotlib figure that is written on from the top down, in inches.

It never touches pyplot, so that it works without a display and in threads. It knows no explanation.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from sightline.errors import ResultError

DPI, NOTEBOOK_DPI = 150, 100
TALLEST = 30_000
"""Most pixels that a sheet may be high."""
INK, FADED, ALERT, RULE = "#16181d", "#6a7080", "#b3261e", "#d9dce3"
CURVE = "#3a3e48"
CROWDED = 400
"""Steps from which on a curve has no line of its own, which would cover its hues."""
Hue = tuple[float, float, float]

Box = tuple[float, float, float, float]
"""`(left, top, width, height)` in inches."""


class Shown(Figure):
    """A figure that a notebook shows even where pyplot was never imported."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph")  # a label may hold signs that the font lacks
            self.savefig(buffer, format="png", dpi=NOTEBOOK_DPI)
        return buffer.getvalue()


@dataclass(frozen=True, eq=False)
class Sheet:
    """A white sheet of paper.

    Args:
        width: in inches.
        height: in inches.

    Raises:
        ResultError: it would be too high to be drawn.
    """

    width: float
    height: float

    def __post_init__(self) -> None:
        if self.height * DPI > TALLEST:
            raise ResultError(
                f"the montage would be {self.height * DPI:.0f} pixels high, more than {TALLEST}; narrow what is "
                "drawn by explanations.of(...), take more columns, or fewer layers by max_layers"
            )

    @cached_property
    def figure(self) -> Figure:
        """The figure that all is drawn on."""
        return Shown((self.width, self.height), dpi=DPI, facecolor="white")

    def text(self, left: float, top: float, text: str, **style: Any) -> None:
        """Write plain text (no mathematics) with its upper left corner at a place; `style` goes to matplotlib."""
        style = {"va": "top", "ha": "left", "color": INK, "fontsize": 7, **style}
        self.figure.text(left / self.width, 1 - top / self.height, text, parse_math=False, **style)

    def picture(self, box: Box, pixels: UInt8[Tensor, "h w c"]) -> None:
        """Draw a picture into a box of `(left, top, width, height)`, centred, without distorting it."""
        left, top, width, height = box
        share = min(width / pixels.shape[1], height / pixels.shape[0])
        wide, high = pixels.shape[1] * share, pixels.shape[0] * share
        self._image((left + (width - wide) / 2, top + (height - high) / 2, wide, high), pixels)

    def bar(self, box: Box, table: UInt8[Tensor, "n 3"]) -> None:
        """Draw a colour table as a horizontal bar that fills a box."""
        self._image(box, table[None])

    def curve(self, box: Box, values: Float[Tensor, " n"], *, low: float, high: float, hues: tuple[Hue, Hue]) -> None:
        """Draw values as steps over a box, filled from zero, with `low` at its lower edge and `high` at its upper.

        Args:
            box: place on the sheet, in inches.
            values: heights of the steps.
            low: value at the lower edge.
            high: value at the upper edge.
            hues: fill above zero, and below.
        """
        axes = self._axes(box)
        edges = np.linspace(0.0, 1.0, len(values) + 1)
        for part, hue in zip((values.clamp(min=0.0), values.clamp(max=0.0)), hues, strict=True):
            axes.stairs(part.numpy(), edges, baseline=0.0, fill=True, color=hue)
        if len(values) <= CROWDED:
            axes.stairs(values.numpy(), edges, baseline=None, color=CURVE, linewidth=0.6)
        axes.set_xlim(0.0, 1.0)
        axes.set_ylim(low, high if high > low else low + 1.0)

    def rule(self, top: float, left: float, right: float) -> None:
        """Draw a thin line across the sheet."""
        from matplotlib.lines import Line2D

        level = 1 - top / self.height
        self.figure.add_artist(
            Line2D([left / self.width, right / self.width], [level, level], color=RULE, linewidth=0.7)
        )

    def _image(self, box: Box, pixels: UInt8[Tensor, "h w c"]) -> None:
        self._axes(box).imshow(pixels.numpy(), aspect="auto")

    def _axes(self, box: Box) -> Axes:
        """Axes without frame and ticks that fill a box."""
        left, top, width, height = box
        place = (left / self.width, 1 - (top + height) / self.height, width / self.width, height / self.height)
        axes = self.figure.add_axes(place)
        axes.set_axis_off()
        return axes
