"""The page of a caption: point at a word and see its regions, point at a region and see its words."""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from sightline.reports.document import document
from sightline.tasks.captioning.explain.caption import Caption
from sightline.tasks.captioning.explain.geometry import BESIDE, LARGEST, REACH, LearnedGeometry, geometry_tiles
from sightline.terminal.folder import check_place, whole_folder, write_summary

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME = "caption.html"
PACKAGE = "sightline.tasks.captioning.explain"
SIDE = 640
"""Most pixels of the longer side of the drawn picture."""


def caption_page(
    caption: Caption,
    image: Image.Image | None,
    *,
    right: Sequence[Sequence[int]] = (),
    geometry: LearnedGeometry | None = None,
) -> str:
    """The page as text.

    Args:
        caption: words with their regions.
        image: the picture; None draws the boxes alone.
        right: for each word the regions that are right, where they are known.
        geometry: what the captioner has learnt of boxes, as one region sees them.
    """
    width, height = (1, 1) if image is None else image.size
    scale = SIDE / max(width, height)
    size = (round(width * scale), round(height * scale))
    shares = [caption.shares(place) for place in range(len(caption.words))]
    words = [
        {"text": word, "share": f"{2.718281828459045**log:.1%}", "log": f"{log:.3f}", "most": caption.most(place)}
        for place, (word, log) in enumerate(zip(caption.words, caption.logs, strict=True))
    ]
    areas = [(right_ - left) * (bottom - top) for left, top, right_, bottom in caption.boxes]
    boxes = [
        {
            "number": number,
            "x": f"{left * size[0]:.1f}",
            "y": f"{top * size[1]:.1f}",
            "w": f"{(right_ - left) * size[0]:.1f}",
            "h": f"{(bottom - top) * size[1]:.1f}",
        }
        for number in sorted(range(len(areas)), key=lambda number: -areas[number])
        for left, top, right_, bottom in caption.boxes[number : number + 1]
    ]
    return document(
        "caption.html.j2",
        title=" ".join(caption.words) or "caption",
        package=PACKAGE,
        styles=("caption.css",),
        scripts=("caption.js",),
        words=words,
        boxes=boxes,
        size=size,
        picture=None if image is None else _picture(image, size),
        table=[[round(share, 4) for share in row] for row in shares],
        right=[list(own) for own in right],
        caption=caption,
        geometry=None if geometry is None else _geometry(geometry),
        command="sightline caption",
    )


def write_page(
    folder: Path, caption: Caption, image: Image.Image | None, *, geometry: LearnedGeometry | None = None
) -> Path:
    """Write the page into a result folder, whole or not at all.

    Raises:
        ResultError: the folder holds something else, or cannot be written.
    """
    check_place(folder)
    with whole_folder(folder) as place:
        (place / NAME).write_text(caption_page(caption, image, geometry=geometry), encoding="utf-8")
        write_summary(place, {"caption": " ".join(caption.words), "method": caption.method, "files": [NAME]})
    return folder / NAME


def _geometry(learned: LearnedGeometry) -> dict[str, object]:
    """What the template shows of it."""
    return {
        "region": learned.region + 1,
        "heads": learned.places.shape[1],
        "tiles": geometry_tiles(learned),
        "top": f"{learned.top:.1f}",
        "reach": f"{REACH:g}",
        "largest": f"{LARGEST:g}",
        "beside": f"{BESIDE:g}",
    }


def _picture(image: Image.Image, size: tuple[int, int]) -> str:
    buffer = BytesIO()
    image.convert("RGB").resize(size, Image.Resampling.LANCZOS).save(buffer, "JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
