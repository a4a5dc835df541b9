"""How results show themselves: in a notebook, as a figure, a picture, a page, a table.

Results are below everything that draws. `reports` fills the registry of displays when it is first read, so that this
file knows their names and nothing of how they are made.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightline.errors import ResultError, SightlineError
from sightline.registry import Registry

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.Image import Image

    from sightline.results.several import LayerChoice

log = logging.getLogger(__name__)


Display = Callable[..., Any]
"""From a result, and options, to something to look at."""

DISPLAYS: Registry[Display] = Registry("display", modules=("sightline.reports.displays",), error=ResultError)
"""`html`, `figure`, `picture` and `browser`."""


class Shown:
    """A result that shows itself. Its maps stay raw; colours are made when it is drawn."""

    def _repr_html_(self) -> str | None:
        """What a notebook shows: photo, map and a slider over the layers; no script is loaded from elsewhere."""
        try:
            return str(DISPLAYS["html"](self))
        except SightlineError as problem:  # a display never hides a result: a notebook falls back to its text
            log.info("shown as text, as it cannot be drawn: %s", problem)
            return None

    def show(self, *, layers: LayerChoice = None) -> Path | None:
        """Show it: in a notebook below the cell, elsewhere as a page in the browser.

        Args:
            layers: which layers: a name, a wildcard, a place, or a list of these; None is all.

        Returns:
            The page's file, or None in a notebook.

        Raises:
            ResultError: there is nothing to draw, or a layer does not exist.
        """
        if in_notebook():
            from IPython.display import HTML, display

            display(HTML(DISPLAYS["html"](self, layers=layers)))
            return None
        return Path(DISPLAYS["browser"](self, layers=layers))

    def plot(self, *, layers: LayerChoice = None, **look: Any) -> Figure:
        """The montage of its maps as a matplotlib figure.

        Args:
            layers: which layers: a name, a wildcard, a place, or a list of these; None is all, or an even spread.
            look: options of `sightline.reports.montage`, such as `columns` and `scale`.

        Returns:
            A figure that a notebook shows, and that `savefig` writes.

        Raises:
            ResultError: there is nothing to draw, or a layer does not exist.
        """
        figure: Figure = DISPLAYS["figure"](self, layers=layers, **look)
        return figure

    def to_pandas(self, *, layers: LayerChoice = None, cells: bool = False) -> Any:
        """The numbers as a `pandas.DataFrame`, one row for each layer and method.

        Args:
            layers: which layers; None is all.
            cells: one row for each cell of each map instead; see `sightline.results.tables.columns_of`.

        Raises:
            ResultError: pandas is not installed, or a layer does not exist.
        """
        return _frame(self, "pandas", layers, cells)

    def to_polars(self, *, layers: LayerChoice = None, cells: bool = False) -> Any:
        """The numbers as a `polars.DataFrame`; see `to_pandas`."""
        return _frame(self, "polars", layers, cells)


class Pictured(Shown):
    """A result with one picture for each layer."""

    def overlay(self, layer: str | int = -1, *, photo: Any = None, seen: bool = False, **look: Any) -> Image:
        """One layer's map over its photo, as a Pillow image.

        Args:
            layer: name or place of the layer; the last by default.
            photo: another picture to lay it over: a Pillow image, a path, pixels `[h, w, 3]`, or a tensor `[c, h, w]`
                in 0..1; None is the explanation's own, or grey where there is none.
            seen: draw over the picture as the network saw it, instead of the photo in its own resolution.
            look: options of the drawing, such as `cmap`, `opacity` and `outlined`.

        Raises:
            ResultError: the layer does not exist, or its map cannot be drawn over a picture.
        """
        image: Image = DISPLAYS["picture"](self, layer=layer, photo=photo, seen=seen, **look)
        return image


def in_notebook() -> bool:
    """Whether this runs in a kernel whose front end shows HTML."""
    module = sys.modules.get("IPython")
    shell = None if module is None else module.get_ipython()
    return shell is not None and hasattr(shell, "kernel")


def _frame(results: Any, library: str, layers: LayerChoice, cells: bool) -> Any:
    from sightline.results.tables import frame_of

    return frame_of(results, library, layers=layers, cells=cells)
