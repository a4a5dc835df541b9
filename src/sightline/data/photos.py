"""Photos: any picture file that a user may have, read as upright 8-bit RGB, with a note on whatever was changed.

It knows nothing of models: cropping, resizing and normalising belong to `backbones.preprocess`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from sightline.common.reading import check_file
from sightline.data.openers import opener
from sightline.data.paths import find_files
from sightline.errors import InputError

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP")
"""Formats that are read; everything else that Pillow could open is refused."""

SUFFIXES = frozenset({".png", ".apng", ".jpg", ".jpeg", ".jpe", ".webp", ".gif", ".tif", ".tiff", ".bmp"})
"""File names that a folder is searched for, in any case."""

MAX_PIXELS = 150_000_000
"""Largest picture that is decoded, in pixels; the header is asked before anything is decoded."""


@dataclass(frozen=True, eq=False)
class Photo:
    """A picture as it is to be looked at.

    Args:
        image: upright RGB picture, 8 bits per channel.
        path: the file it was read from; None for one that was made in memory.
        original_size: `(width, height)` in pixels as the file stores it, before it was turned upright.
        notes: sentences on what was done to the photo or left out of it.
    """

    image: Image.Image
    path: Path | None
    original_size: tuple[int, int]
    notes: tuple[str, ...] = ()

    domain: ClassVar[str] = "image"

    @property
    def name(self) -> str:
        """File name without its suffix."""
        return self.path.stem if self.path else "photo"

    @property
    def size(self) -> tuple[int, int]:
        """`(width, height)` of the upright picture, in pixels."""
        return self.image.size


@opener("photo", *SUFFIXES)
def read_photo(path: str | Path) -> Photo:
    """Read one picture file.

    Args:
        path: a PNG, JPEG, WEBP, GIF, TIFF or BMP file of any bit depth and colour model.

    Returns:
        The upright RGB picture. 16-bit values are scaled, transparent parts are laid over white, an animation or a
        file of several pages gives its first; `notes` says so.

    Raises:
        InputError: the file is missing, empty, no picture, damaged or too large.
    """
    path = Path(path)
    _check_file(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        picture = _guarded(path, lambda: _open(path))
        with picture:
            size = _checked_size(path, picture)
            notes: list[str] = []
            image = _guarded(path, lambda: _decode(picture, notes))
    return Photo(image, path, size, tuple(notes))


def find_photos(paths: Iterable[str | Path]) -> list[Path]:
    """List the picture files among files and folders; see `paths.find_files`.

    Raises:
        InputError: a path does not exist, or a folder holds no picture.
    """
    return find_files(paths, SUFFIXES)


def _check_file(path: Path) -> None:
    """Refuse what cannot be a picture, before a decoder sees it."""
    check_file(path)
    if path.stat().st_size == 0:
        raise InputError(f"{str(path)!r} is empty (0 bytes); copy or download it again")


def _open(path: Path) -> Image.Image:
    return Image.open(path, formats=FORMATS)


def _guarded(path: Path, step: Callable[[], Image.Image]) -> Image.Image:
    """Run one step of reading, and say in one sentence what is wrong with the file if it fails."""
    try:
        return step()
    except Image.DecompressionBombError as problem:
        raise InputError(_too_large(path, "")) from problem
    except UnidentifiedImageError as problem:
        raise InputError(f"{str(path)!r} is no picture in a known format; known: {', '.join(FORMATS)}") from problem
    except (PermissionError, IsADirectoryError) as problem:
        raise InputError(f"cannot read {str(path)!r}: {problem.strerror}") from problem
    except MemoryError as problem:
        raise InputError(f"there is not enough memory to decode {str(path)!r}; scale the picture down") from problem
    except Exception as problem:  # a decoder may raise anything on a damaged file
        reason = str(problem) or type(problem).__name__
        raise InputError(
            f"the picture {str(path)!r} is damaged or cut short ({reason}); copy or export it again"
        ) from problem


def _checked_size(path: Path, picture: Image.Image) -> tuple[int, int]:
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise InputError(_too_large(path, f" ({width} x {height})"))
    if width * height == 0:
        raise InputError(f"the picture {str(path)!r} has no pixels ({width} x {height}); export it again")
    return width, height


def _too_large(path: Path, size: str) -> str:
    most = MAX_PIXELS // 1_000_000
    return f"the picture {str(path)!r} is too large{size}: at most {most} million pixels are decoded; scale it down"


def _decode(picture: Image.Image, notes: list[str]) -> Image.Image:
    """First frame, upright, RGB; what was done is added to `notes`."""
    _first_frame(picture, notes)
    picture.load()
    return _to_rgb(_upright(picture, notes), notes)


def _first_frame(picture: Image.Image, notes: list[str]) -> None:
    if getattr(picture, "is_animated", False) and picture.format in FORMATS:  # an MPO's further frames are previews
        pages = "several pages" if picture.format == "TIFF" else "an animation"
        notes.append(f"the file holds {pages}: only the first is read")
        picture.seek(0)


def _upright(picture: Image.Image, notes: list[str]) -> Image.Image:
    """The picture turned as its EXIF orientation says; unreadable EXIF data is noted and otherwise ignored."""
    try:
        orientation = picture.getexif().get(0x0112, 1)
        turned = ImageOps.exif_transpose(picture)
    except Exception as problem:  # noqa: BLE001 - metadata of any kind of damage must not cost the picture
        notes.append(f"its EXIF data cannot be read ({problem}): taken as upright")
        return picture
    if orientation in range(2, 9):
        notes.append(f"turned upright as its EXIF orientation {orientation} says")
    return turned


def _to_rgb(picture: Image.Image, notes: list[str]) -> Image.Image:
    if picture.mode == "RGB" and "transparency" not in picture.info:
        return picture.copy()  # a plain picture, free of the open file
    if picture.mode == "F" or picture.mode.startswith("I"):
        return _scaled(picture, notes).convert("RGB")
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


def _scaled(picture: Image.Image, notes: list[str]) -> Image.Image:
    """A grey picture of 16 or 32 bits or of floats, scaled (never clipped) to 8 bits."""
    values = np.asarray(picture).astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError("some of its values are NaN or infinite")
    low, high = min(float(values.min()), 0.0), _white(picture.mode, float(values.max()))
    notes.append(f"grey values from {low:g} to {high:g} scaled to 8 bits")
    return Image.fromarray(np.rint((values - low) / (high - low) * 255).astype(np.uint8))


def _white(mode: str, highest: float) -> float:
    """The value that means white: the type's full scale, or the first usual full scale that holds every value."""
    if mode.startswith("I;16"):
        return 65535.0
    scales = (1.0, 255.0, 65535.0) if mode == "F" else (65535.0, 2.0**31 - 1)
    return next((scale for scale in scales if highest <= scale), highest)


def _from_lab(picture: Image.Image) -> Image.Image:
    from PIL import ImageCms

    transform = ImageCms.buildTransform(
        ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), inMode="LAB", outMode="RGB"
    )
    turned = ImageCms.applyTransform(picture, transform)
    return turned if turned is not None else picture
