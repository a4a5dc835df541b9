"""What results show of themselves: the displays that `sightline.results.display` asks for by name.

`html` is what a notebook shows, `figure` the montage, `picture` one map over its photo, `browser` the page.
"""

from __future__ import annotations

import tempfile
import webbrowser
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from sightline.errors import ResultError
from sightline.reports.cmaps import DEFAULT
from sightline.reports.drawing import overlay
from sightline.reports.montage import montage
from sightline.reports.notebook import notebook
from sightline.reports.page import save_page
from sightline.reports.photo import picture_of, pixels_of, tensor_of
from sightline.reports.region import marked
from sightline.reports.subject import subjects_of
from sightline.reports.whole import over_whole
from sightline.results import LayerChoice, Results
from sightline.results.display import DISPLAYS

PHOTOS = "a Pillow image, a path, an array of pixels [h, w, 3], or a tensor [c, h, w] in 0..1"

DISPLAYS.add("html", notebook)
DISPLAYS.add("figure", montage)


@DISPLAYS.register("picture")
def picture(
    results: Results, *, layer: str | int = -1, photo: Any = None, seen: bool = False, **look: Any
) -> Image.Image:
    """One layer's map over its photo.

    Args:
        results: one explanation, flow or map.
        layer: name or place of the layer.
        photo: another picture to lay the map over; None is the explanation's own, or grey.
        seen: draw over the picture as the network saw it, instead of the photo in its own resolution.
        look: options of `sightline.reports.drawing.overlay`, such as `cmap` and `outlined`.

    Raises:
        ResultError: the layer does not exist, or its map cannot be drawn over a picture.
    """
    subject = subjects_of(results, layer)[0]
    maps, decision = subject.items[0].flow.maps, subject.items[0].decision
    if len(maps) > 1:
        names = ", ".join(map_.layer for map_ in maps[:4])
        raise ResultError(f"one layer was asked for, but {layer!r} names {len(maps)}: {names}")
    if photo is None:
        look = {**look, "cmap": subject.tint(look.get("cmap", DEFAULT))}
    if photo is None and subject.original is not None and not seen:
        return picture_of(marked(over_whole(maps[0], subject.original, **look), decision, box=subject.crop))
    pixels = subject.pixels if photo is None else _pixels(photo)
    return picture_of(marked(overlay(maps[0], pixels, **look), decision))


@DISPLAYS.register("browser")
def browser(results: Results, *, layers: LayerChoice = None) -> Path:
    """Write the page into a temporary folder and open it in the browser, if there is one.

    Returns:
        The page's file.
    """
    path = save_page(results, Path(tempfile.mkdtemp(prefix="sightline-")) / "page.html", layers=layers)
    webbrowser.open(path.as_uri())
    return path


def _pixels(photo: Any) -> UInt8[Tensor, "h w 3"]:
    """A picture of whatever kind as pixels."""
    if isinstance(photo, str | Path):
        with Image.open(photo) as picture:
            return tensor_of(picture)
    if isinstance(photo, Image.Image):
        return tensor_of(photo)
    if isinstance(photo, np.ndarray) and photo.dtype == np.uint8 and photo.shape[2:] == (3,):
        return torch.from_numpy(photo.copy())
    if isinstance(photo, Tensor) and photo.is_floating_point():
        return pixels_of(photo)
    raise ResultError(f"a map is laid over {PHOTOS}, not over {type(photo).__name__}")
