"""`Original`: the picture that the user gave, and the part of it that the network saw.

A network sees a small square of a photo. Figures and pages draw maps over the photo itself, in its own resolution. A
saved result holds the photo as a JPEG, once for all explanations that share it.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor

from sightline.common.records import as_kind
from sightline.errors import ResultError

QUALITY = 90
"""Quality of the JPEG in a saved result."""
Box = tuple[float, float, float, float]
WHOLE: Box = (0.0, 0.0, 1.0, 1.0)


def inside_of(crop: Box) -> Box:
    """The part of a crop that is photo and no bar, `(x, y, width, height)` as shares of the crop.

    Args:
        crop: what the network saw, as shares of the photo; beyond 0..1 where bars were added.

    Example:
        >>> inside_of((0.25, 0.0, 0.5, 1.0))
        (0.0, 0.0, 1.0, 1.0)
    """
    x, y, width, height = crop
    left, top = max(0.0, -x / width), max(0.0, -y / height)
    return left, top, min(1.0, (1 - x) / width) - left, min(1.0, (1 - y) / height) - top


@dataclass(frozen=True, eq=False)
class Original:
    """A photo in its own resolution, up to what a page shows.

    Args:
        pixels: RGB in 0..255.
        crop: the part that the network saw, `(x, y, width, height)` as shares of the photo's width and height; beyond
            0..1 where bars were added.

    Raises:
        ResultError: the crop has no area.
    """

    pixels: UInt8[Tensor, "h w 3"]
    crop: Box = WHOLE

    def __post_init__(self) -> None:
        if not all(abs(side) < float("inf") for side in self.crop) or min(self.crop[2:]) <= 0:
            raise ResultError(f"what the network saw of a picture has an area, but the crop is {self.crop}")

    @property
    def whole(self) -> bool:
        """Whether the network saw all of the photo, to a few thousandths of its sides."""
        return max(abs(one - other) for one, other in zip(self.crop, WHOLE, strict=True)) < 0.004

    @property
    def inside(self) -> Box:
        """The part of what the network saw that is photo and no bar, `(x, y, width, height)` as shares of it.

        Example:
            >>> Original(torch.zeros(100, 200, 3, dtype=torch.uint8), (0.0, -0.5, 1.0, 2.0)).inside
            (0.0, 0.25, 1.0, 0.5)
        """
        return inside_of(self.crop)

    @cached_property
    def encoded(self) -> bytes:
        """The picture as JPEG."""
        from PIL import Image

        buffer = io.BytesIO()
        Image.fromarray(self.pixels.numpy(), "RGB").save(buffer, "JPEG", quality=QUALITY, subsampling=0)
        return buffer.getvalue()

    def record(self, arrays: dict[str, Tensor]) -> dict[str, Any]:
        """As the manifest of a saved result has it; the JPEG goes into `arrays` under a name made of its content."""
        name = f"original.{hashlib.sha256(self.encoded).hexdigest()[:16]}"
        arrays[name] = torch.frombuffer(bytearray(self.encoded), dtype=torch.uint8)
        return {"picture": name, "crop": list(self.crop)}

    @classmethod
    def restore(cls, record: Any, arrays: Mapping[str, Tensor]) -> Original | None:
        """The picture of a record; None where the record has none.

        Raises:
            ValueError, KeyError, OSError, ResultError: the record or the picture is damaged.
        """
        if record is None:
            return None
        from PIL import Image

        with Image.open(io.BytesIO(arrays[record["picture"]].numpy().tobytes()), formats=("JPEG",)) as picture:
            flat = bytearray(picture.convert("RGB").tobytes())
            pixels = torch.frombuffer(flat, dtype=torch.uint8).reshape(picture.height, picture.width, 3)
        return cls(pixels, as_kind(Box, record["crop"], "crop"))
