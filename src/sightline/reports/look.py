"""`Look`: how a montage is drawn, and the sizes that follow from it, in inches. It draws nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import accumulate

from sightline.errors import ResultError
from sightline.reports.scale import ScaleMode, check_mode
from sightline.reports.sheet import DPI
from sightline.reports.signal import one_row
from sightline.reports.spread import spread
from sightline.reports.subject import Subject
from sightline.reports.tint import Tint
from sightline.results import AttentionMap, Explanation

CELL, GAP, MARGIN = 1.5, 0.1, 0.3
CAPTION, CURVE = 0.37, 0.4
PIXELS = 320
"""Longer side of a picture in a cell of the common width, in pixels."""


@dataclass(frozen=True)
class Look:
    """How a montage is drawn; see `montage` for the fields."""

    columns: int
    cmap: str | Tint
    opacity: float
    scale: ScaleMode
    max_layers: int
    smooth: bool
    differences: bool = False
    cell: float = CELL

    def __post_init__(self) -> None:
        check_mode(self.scale)
        if self.columns < 1 or self.max_layers < 1:
            raise ResultError(
                "a montage needs at least one column and one layer; "
                f"got columns={self.columns} and max_layers={self.max_layers}"
            )

    @property
    def width(self) -> float:
        """Width of the sheet in inches; a narrow one still has room for its headings."""
        return 2 * MARGIN + max(self.columns, 3) * (CELL + GAP) - GAP

    def of(self, subject: Subject) -> Look:
        """How a subject is drawn: in the shades of its photo, and a strip has the sheet's whole width."""
        own = replace(self, cmap=subject.tint(self.cmap)) if isinstance(self.cmap, str) else self
        return replace(own, columns=1, cell=self.width - 2 * MARGIN) if subject.wide else own

    def height(self, subject: Subject) -> float:
        """Height of a picture's cell: as the picture wants it, within reason."""
        height, width = subject.canvas[0].shape[:2]
        return self.cell * (height / width if subject.wide else min(1.6, max(0.4, height / width)))

    @property
    def pixels(self) -> int:
        """Longer side of a cell's picture."""
        return PIXELS if self.cell == CELL else round(self.cell * DPI)

    def shown(self, item: Explanation) -> tuple[AttentionMap, ...]:
        """The maps that are drawn: all, or an even spread of them."""
        return tuple(item.flow[place] for place in spread(len(item.flow), self.max_layers))

    def curve(self, item: Explanation) -> float:
        """Height of the curve under a map of one row."""
        return CURVE if one_row(item.flow.maps) else 0.0

    def tops(self, item: Explanation, cell: float) -> tuple[float, ...]:
        """Where each row of cells begins, and where the last one ends; the first cell of all is the photo."""
        heights = []
        for row in range(math.ceil((1 + len(self.shown(item))) / self.columns)):
            alone = self.columns == 1 and row == 0  # the photo has no curve, and the first map no map before it
            compared = self.differences and len(item.flow) > 1 and not (self.columns == 1 and row < 2)
            heights.append(cell + CAPTION + (0.0 if alone else self.curve(item)) + (cell + CAPTION) * compared)
        return tuple(accumulate(heights, initial=0.0))
