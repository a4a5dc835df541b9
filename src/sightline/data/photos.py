"""Photos: any picture file that a user may have, read as upright 8-bit RGB, with a note on whatever was changed.

It knows nothing of models: cropping, resizing and normalising belong to `models.preprocess`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from sightline.common.reading import check_file
from sightline.data.decode import FORMATS, decoded, picture_of_page, picture_of_values, upright_rgb
from sightline.data.dicom import WAY, is_dicom
from sightline.data.levels import Levels
from sightline.data.openers import opener
from sightline.data.paths import find_files
from sightline.data.tiff import Page, open_page
from sightline.errors import InputError

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
def read_photo(path: str | Path, *, black: float | None = None, white: float | None = None) -> Photo:
    """Read one picture file.

    Args:
        path: a PNG, JPEG, WEBP, GIF, TIFF or BMP file of any bit depth and colour model.
        black: value that is drawn black; see `Levels` for what is taken where nobody says.
        white: value that is drawn white, 4095 of a 12-bit camera for example; what is brighter is cut off.

    Returns:
        The upright RGB picture. Values of more than 8 bits are scaled, transparent parts are laid over white, an
        animation or a file of several pages gives its first; `notes` says so.

    Raises:
        InputError: the file is missing, empty, no picture, damaged or too large; or black and white are no levels.
    """
    path, levels = Path(path), Levels(black, white)
    _check_file(path)
    notes: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if (page := _page(path)) is not None:
            _check_size(path, page.size)
            return Photo(_guarded(path, lambda: picture_of_page(page, levels, notes)), path, page.size, tuple(notes))
        picture = _guarded(path, lambda: _open(path))
        with picture:
            _check_size(path, picture.size)
            image = _guarded(path, lambda: decoded(picture, levels, notes))
            return Photo(image, path, picture.size, tuple(notes))


def photo_of(picture: Image.Image) -> Photo:
    """A picture in memory as a photo: upright, in RGB, at the frame at which it stands; it stays as it was.

    Raises:
        InputError: it is damaged, or too large.
    """
    notes: list[str] = []
    name = getattr(picture, "filename", "")
    file = Path(str(name)) if name else None
    path = file or Path("picture in memory")
    _check_size(path, picture.size)
    size = picture.size  # Pillow may turn it while it is loaded
    image = _guarded(path, lambda: upright_rgb(picture, Levels(), notes))
    return Photo(image, file, size, tuple(notes))


def photo_of_values(values: NDArray[Any], levels: Levels | None) -> Photo:
    """Numbers `[h, w, c]` as a photo; the last of two or four channels is opacity.

    Args:
        values: numbers of any type.
        levels: which are black and white; None takes bytes as they are.

    Raises:
        InputError: some values are NaN or infinite.
    """
    notes: list[str] = []
    levels = Levels(0, 255) if levels is None else levels
    image = picture_of_values(values, levels, notes, alpha=values.shape[2] in (2, 4))
    return Photo(image, None, image.size, tuple(notes) if values.dtype != np.uint8 else ())


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


def _page(path: Path) -> Page | None:
    """The file's first page if it is a TIFF of numbers; what cannot be looked into is left to Pillow's judgement."""
    try:
        return open_page(path)
    except Exception:  # noqa: BLE001 - a damaged directory may raise anything
        return None


def _guarded(path: Path, step: Callable[[], Image.Image]) -> Image.Image:
    """Run one step of reading, and say in one sentence what is wrong with the file if it fails."""
    try:
        return step()
    except InputError as problem:
        raise InputError(str(problem).replace("the picture holds", f"the picture {str(path)!r} holds")) from problem
    except Image.DecompressionBombError as problem:
        raise InputError(_too_large(path, "")) from problem
    except UnidentifiedImageError as problem:
        if is_dicom(path):
            raise InputError(f"{str(path)!r} is a DICOM file, which is not read; {WAY}") from problem
        raise InputError(
            f"{str(path)!r} is not an image file of a known format; known: {', '.join(FORMATS)}"
        ) from problem
    except (PermissionError, IsADirectoryError) as problem:
        raise InputError(f"cannot read {str(path)!r}: {problem.strerror}") from problem
    except MemoryError as problem:
        raise InputError(f"there is not enough memory to decode {str(path)!r}; scale the picture down") from problem
    except Exception as problem:  # a decoder may raise anything on a damaged file
        reason = str(problem) or type(problem).__name__
        raise InputError(
            f"the picture {str(path)!r} is damaged or cut short ({reason}); copy or export it again"
        ) from problem


def _check_size(path: Path, size: tuple[int, int]) -> None:
    """Refuse, by what the header says, what is too large to decode, or holds nothing.

    Raises:
        InputError: it is one of these.
    """
    width, height = size
    if width * height > MAX_PIXELS:
        raise InputError(_too_large(path, f" ({width} x {height})"))
    if width * height == 0:
        raise InputError(f"the picture {str(path)!r} has no pixels ({width} x {height}); export it again")


def _too_large(path: Path, size: str) -> str:
    most = MAX_PIXELS // 1_000_000
    return f"the picture {str(path)!r} is too large{size}: at most {most} million pixels are decoded; scale it down"
