"""A plate: a finished figure that a page shows below its panels, with a title and words."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class ExtraFigure:
    """A figure of a page.

    Args:
        title: its heading.
        words: what is seen, and how it is read.
        png: the picture; none where there is nothing to draw and the words say why.
    """

    title: str
    words: str
    png: bytes = b""

    @classmethod
    def of(cls, title: str, words: str, figure: Figure) -> ExtraFigure:
        """A plate of a matplotlib figure."""
        buffer = BytesIO()
        figure.savefig(buffer, format="png", dpi=130)
        return cls(title, words, buffer.getvalue())

    @property
    def address(self) -> str:
        """The picture as a data address; empty if there is none."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode() if self.png else ""
