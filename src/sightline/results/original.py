"""`Original`: the picture that the user gave, and the part of it that the network saw.

A network sees a small square of a photo. Figures and pages draw maps over the photo itself, in its own resolution.
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import UInt8
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Original:
    """A photo in its own resolution, up to what a page shows.

    It is for drawing only and is not saved with a result.

    Args:
        pixels: RGB in 0..255.
        crop: the part that the network saw, `(x, y, width, height)` as shares of the photo's width and height; beyond
            0..1 where bars were added.
    """

    pixels: UInt8[Tensor, "h w 3"]
    crop: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)

    @property
    def whole(self) -> bool:
        """Whether the network saw all of the photo, to a few thousandths of its sides."""
        return max(abs(one - other) for one, other in zip(self.crop, (0.0, 0.0, 1.0, 1.0), strict=True)) < 0.004
