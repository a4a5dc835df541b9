"""What a decoder hands over, as an upright RGB picture of 8 bits, with a note on whatever was changed.

It knows nothing of files but what Pillow's pictures and a TIFF's pages say of themselves.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightline.data.levels import Levels
from sightline.data.tiff import Page

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP")
"""Formats that are read; everything else that Pillow could open is refused."""

ORIENTATION = 0x0112
"""EXIF's tag for how a picture has to be turned."""

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decoded(picture: Image.Image, levels: Levels, notes: list[str]) -> Image.Image:
    """First frame, upright, RGB; what was done is added to `notes`."""
    _first_frame(picture, notes)
    return upright_rgb(picture, levels, notes)


def upright_rgb(picture: Image.Image, levels: Levels, notes: list[str]) -> Image.Image:
    """The frame at which a picture stands, upright, RGB."""
    if (deep := _deep_png(picture)) is not None:
        return _upright(picture_of_values(deep, levels, notes, alpha=deep.shape[2] in (2, 4)), notes, picture)
    packed = _packed(picture)
    picture.load()
    return _upright(_to_rgb(picture, levels.over(packed), notes, wished=bool(levels)), notes, picture)


def _first_frame(picture: Image.Image, notes: list[str]) -> None:
    if getattr(picture, "is_animated", False) and picture.format in FORMATS:  # an MPO's further frames are previews
        pages = "several pages" if picture.format == "TIFF" else "an animation"
        notes.append(f"the file holds {pages}: only the first is read")
        picture.seek(0)


def _deep_png(picture: Image.Image) -> NDArray[np.uint16] | None:
    """The values `[h, w, c]` of a PNG of 16-bit colours, of which Pillow would keep the upper half."""
    modes = [str(tile.args if isinstance(tile.args, str) else tile.args[0]) for tile in getattr(picture, "tile", ())]
    if picture.format != "PNG" or not modes or not modes[0].endswith(";16B") or modes[0].startswith("I"):
        return None
    import torch
    from torchvision.io import ImageReadMode, decode_image

    file = picture.fp  # type: ignore[attr-defined]
    place = file.tell()
    file.seek(0)
    data = torch.frombuffer(bytearray(file.read()), dtype=torch.uint8)
    file.seek(place)  # Pillow may still want to read on
    values: NDArray[np.uint16] = decode_image(data, ImageReadMode.UNCHANGED).permute(1, 2, 0).numpy()
    return values


def _packed(picture: Image.Image) -> Levels:
    """White where the samples are of fewer bits than those in which Pillow hands them over."""
    tags = getattr(picture, "tag_v2", {})
    bits = tags.get(258, (16,))[0] if picture.mode.startswith("I;16") else 16
    return Levels(white=float(2**bits - 1)) if bits < 16 else Levels()


def picture_of_page(page: Page, levels: Levels, notes: list[str]) -> Image.Image:
    """The picture that a TIFF's numbers make."""
    if page.pages:
        notes.append("the file holds several pages: only the first is read")
    levels = levels.over(page.levels())
    values = page.samples()
    colours = _colours(values, notes, alpha=page.alpha)
    pixels = levels.scaled(colours, notes, empty=page.empty(colours))
    if page.inverted:
        notes.append("its greatest value is black, as the file says")
        pixels = 255 - pixels
    image = _picture(pixels, values[..., -1] if page.alpha else None, notes)
    exif = Image.Exif()
    exif[ORIENTATION] = page.orientation
    return _turned(image, exif, notes)


def picture_of_values(values: NDArray[Any], levels: Levels, notes: list[str], *, alpha: bool) -> Image.Image:
    """An RGB picture of numbers `[h, w, c]`, the last of which may be opacity."""
    pixels = levels.scaled(_colours(values, notes, alpha=alpha), notes)
    return _picture(pixels, values[..., -1] if alpha else None, notes)


def _colours(values: NDArray[Any], notes: list[str], *, alpha: bool) -> NDArray[Any]:
    """One or three channels of those that a file holds."""
    colours = values[..., :-1] if alpha else values
    count = colours.shape[2]
    if count in (1, 3):
        return colours
    kept = 1 if count == 2 else 3
    notes.append(f"the file holds {count} channels, of which {kept} can be shown: the first")
    return colours[..., :kept]


def _picture(pixels: NDArray[np.uint8], alpha: NDArray[Any] | None, notes: list[str]) -> Image.Image:
    """The RGB picture of one or three channels, over white where it is not opaque."""
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).convert("RGB")
    if alpha is None:
        return image
    full = 1.0 if alpha.dtype.kind == "f" else float(np.iinfo(alpha.dtype).max)
    image.putalpha(Image.fromarray(np.rint(np.clip(alpha / full, 0, 1) * 255).astype(np.uint8)))
    return _over_white(image, notes)


def _upright(picture: Image.Image, notes: list[str], source: Image.Image) -> Image.Image:
    """The picture turned as its file's EXIF data says; unreadable EXIF data is noted and otherwise ignored."""
    try:
        return _turned(picture, source.getexif(), notes)
    except Exception as problem:  # noqa: BLE001 - metadata of any kind of damage must not cost the picture
        notes.append(f"its EXIF data cannot be read ({problem}): taken as upright")
        return picture


def _turned(picture: Image.Image, exif: Image.Exif, notes: list[str]) -> Image.Image:
    """The picture turned as the orientation in EXIF data says."""
    orientation = exif.get(ORIENTATION, 1)
    if orientation not in TURNS:
        return picture
    notes.append(f"turned upright as its EXIF orientation {orientation} says")
    return picture.transpose(TURNS[orientation])


def _to_rgb(picture: Image.Image, levels: Levels, notes: list[str], *, wished: bool) -> Image.Image:
    """An RGB copy, free of the open file.

    Args:
        picture: the first frame.
        levels: black and white.
        notes: what was done is added.
        wished: whether the user named black or white, so that plain bytes are scaled too.
    """
    if picture.mode == "F" or picture.mode.startswith("I"):
        return picture_of_values(np.asarray(picture)[..., None], levels, notes, alpha=False)
    image = _plain_rgb(picture, notes)
    return picture_of_values(np.asarray(image), levels, notes, alpha=False) if wished else image


def _plain_rgb(picture: Image.Image, notes: list[str]) -> Image.Image:
    if picture.mode == "RGB" and "transparency" not in picture.info:
        return picture.copy()
    if picture.has_transparency_data:
        return _over_white(picture.convert("RGBA"), notes)
    if picture.mode == "LAB":
        notes.append("LAB colours turned into sRGB")
        return _from_lab(picture)
    if picture.mode == "CMYK":
        notes.append("CMYK inks turned into RGB without a colour profile")
    return picture.convert("RGB")


def _over_white(picture: Image.Image, notes: list[str]) -> Image.Image:
    """An RGBA picture laid over white."""
    lowest, _ = picture.getchannel("A").getextrema()
    if lowest == 255:
        return picture.convert("RGB")
    notes.append("transparent parts laid over white")
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")


def _from_lab(picture: Image.Image) -> Image.Image:
    from PIL import ImageCms

    transform = ImageCms.buildTransform(
        ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), inMode="LAB", outMode="RGB"
    )
    turned = ImageCms.applyTransform(picture, transform)
    return turned if turned is not None else picture
