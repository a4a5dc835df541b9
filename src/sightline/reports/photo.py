"""The photo under a map: its pixels, what stands in for it where there is none, and how a page carries it.

It knows pictures, not maps.
"""

from __future__ import annotations

import base64
import io

import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from sightline.errors import ResultError

LARGEST_PNG = 400_000
"""A PNG of more bytes than this is carried as a JPEG instead."""
LONGEST_SIDE, WIDEST = 1024, 1440
"""Pixels of a photo, and of a strip, that a page carries."""
BLANK = 40
"""Grey level that stands in for an unknown photo."""


def pixels_of(image: Float[Tensor, "c h w"]) -> UInt8[Tensor, "h w 3"]:
    """RGB pixels of a picture in 0..1: one channel is grey, three are RGB, any other number is averaged to grey.

    Values outside 0..1 are clipped and NaN is black.

    Raises:
        ResultError: the tensor is no picture.
    """
    if image.ndim != 3 or 0 in image.shape:
        raise ResultError(f"a picture has shape [c, h, w], but this one has {tuple(image.shape)}")
    colours = image.detach().cpu().float()
    if colours.shape[0] != 3:
        colours = colours.mean(0, keepdim=True).expand(3, -1, -1)
    bytes_ = (torch.nan_to_num(colours, nan=0.0).clamp(0.0, 1.0) * 255.0).round().to(torch.uint8)
    pixels: Tensor = rearrange(bytes_, "c h w -> h w c")
    return pixels.contiguous()


def blank(shape: tuple[int, int], *, longest: int = 224) -> UInt8[Tensor, "h w 3"]:
    """A dark grey stand-in for a photo that is not known, with the aspect ratio of a map's grid."""
    factor = longest / max(shape)
    height, width = (max(1, round(side * factor)) for side in shape)
    return torch.full((height, width, 3), BLANK, dtype=torch.uint8)


def fit(pixels: UInt8[Tensor, "h w 3"], longest: int, *, enlarge: bool = False) -> UInt8[Tensor, "H W 3"]:
    """The picture with its longer side brought to `longest` pixels; smaller ones stay unless `enlarge`.

    Enlarging repeats pixels in whole steps first, so that a tiny picture keeps its edges.
    """
    height, width = pixels.shape[:2]
    if max(height, width) == longest or (max(height, width) < longest and not enlarge):
        return pixels
    share = longest / max(height, width)
    size = (max(1, round(width * share)), max(1, round(height * share)))
    how = Image.Resampling.NEAREST if share >= 3 else Image.Resampling.LANCZOS
    return tensor_of(picture_of(pixels).resize(size, how))


def picture_of(pixels: UInt8[Tensor, "h w 3"]) -> Image.Image:
    """The same pixels as a Pillow image."""
    return Image.fromarray(pixels.cpu().numpy(), "RGB")


def tensor_of(picture: Image.Image) -> UInt8[Tensor, "h w 3"]:
    """The pixels of a Pillow image in RGB."""
    height, width = picture.height, picture.width
    return torch.frombuffer(bytearray(picture.convert("RGB").tobytes()), dtype=torch.uint8).reshape(height, width, 3)


def data_uri(pixels: UInt8[Tensor, "h w 3"]) -> str:
    """The picture as a `data:` address: PNG, so that pixels stay exact, or JPEG where that would be too heavy."""
    content = _encoded(pixels, "PNG", optimize=True)
    kind = "png"
    if len(content) > LARGEST_PNG:
        content, kind = _encoded(pixels, "JPEG", quality=90, subsampling=0), "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def thumbnail_uri(pixels: UInt8[Tensor, "h w 3"], *, longest: int = 112) -> str:
    """A small JPEG of the picture as a `data:` address."""
    content = jpeg(fit(pixels, longest))
    return f"data:image/jpeg;base64,{base64.b64encode(content).decode()}"


def jpeg(pixels: UInt8[Tensor, "h w 3"]) -> bytes:
    """The picture as a small JPEG file."""
    return _encoded(pixels, "JPEG", quality=80)


def _encoded(pixels: UInt8[Tensor, "h w 3"], kind: str, **options: int | bool) -> bytes:
    buffer = io.BytesIO()
    picture_of(pixels).save(buffer, kind, **options)
    return buffer.getvalue()
