"""The photo as a page carries it: one picture in the photo's own resolution, and how the network saw it.

It knows nothing of maps.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, replace
from typing import Any

from jaxtyping import UInt8
from torch import Tensor

from sightline.reports.photo import LONGEST_SIDE, WIDEST, fit, picture_of
from sightline.reports.subject import Subject

LIGHTEST_EXACT = 60_000
"""A lossless picture of at most this many bytes stays lossless."""
QUALITY = 84
LONGEST_SEEN = 448
"""Pixels of the picture as the network saw it."""


@dataclass(frozen=True)
class PagePicture:
    """A picture of a page.

    Args:
        image: the photo as a `data:` address; empty where the page has it elsewhere.
        size: its width and height in pixels.
        crop: the part of it that the network saw, as shares `(x, y, width, height)`; None if that is all of it.
        seen: how the network saw it, as a `data:` address; empty where that is the picture itself.
        seen_size: width and height of that in pixels.
    """

    image: str
    size: tuple[int, int]
    crop: tuple[float, float, float, float] | None = None
    seen: str = ""
    seen_size: tuple[int, int] = (0, 0)

    def without_image(self) -> PagePicture:
        """The same without the photo's bytes."""
        return replace(self, image="")

    def record(self) -> dict[str, Any]:
        """The fields of the page's data."""
        width, height = self.seen_size
        return {
            "image": self.image,
            "width": self.size[0],
            "height": self.size[1],
            "crop": None if self.crop is None else [round(share, 5) for share in self.crop],
            "seen": {"image": self.seen, "width": width, "height": height} if self.seen else None,
        }


def picture_of_page(subject: Subject) -> PagePicture:
    """The photo of a subject, as a page carries it."""
    if (whole := subject.original) is not None:
        pixels, view = fit(whole.pixels, LONGEST_SIDE), fit(subject.pixels, LONGEST_SEEN)
        if any("tiles" in item.provenance for item in subject.items):  # the network saw many parts, none of them this
            return PagePicture(web_address(pixels), (pixels.shape[1], pixels.shape[0]))
        return PagePicture(
            web_address(pixels),
            (pixels.shape[1], pixels.shape[0]),
            None if whole.whole else whole.crop,
            web_address(view, light=True),
            (view.shape[1], view.shape[0]),
        )
    pixels = fit(subject.pixels, WIDEST if subject.wide else LONGEST_SIDE)
    return PagePicture(web_address(pixels), (pixels.shape[1], pixels.shape[0]))


def web_address(pixels: UInt8[Tensor, "h w 3"], *, light: bool = False) -> str:
    """A picture as a `data:` address: lossless WebP where that is small, as drawings and small pictures are.

    Args:
        pixels: RGB.
        light: whether few bytes are worth more than exact pixels.
    """
    content = _webp(pixels, lossless=True) if pixels.numel() <= 40 * LIGHTEST_EXACT and not light else b""
    if not content or len(content) > LIGHTEST_EXACT:
        content = _webp(pixels, quality=QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(content).decode()}"


def _webp(pixels: UInt8[Tensor, "h w 3"], **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture_of(pixels).save(buffer, "WEBP", method=4, **options)
    return buffer.getvalue()
