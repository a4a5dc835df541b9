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
from sightline.data.levels import Levels
from sightline.data.openers import opener
from sightline.data.paths import find_files
from sightline.data.tiff import Page, open_page
from sightline.errors import InputError

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP")
"""Formats that are read; everything else that Pillow could open is refused."""

SUFFIXES = frozenset({".png", ".apng", ".jpg", ".jpeg", ".jpe", ".webp", ".gif", ".tif", ".tiff", ".bmp"})
"""File names that a folder is searched for, in any case."""

MAX_PIXELS = 150_000_000
"""Largest picture that is decoded, in pixels; the header is asked before anything is decoded."""


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
            return Photo(_guarded(path, lambda: _from_page(page, levels, notes)), path, page.size, tuple(notes))
        picture = _guarded(path, lambda: _open(path))
        with picture:
            _check_size(path, picture.size)
            image = _guarded(path, lambda: _decode(picture, levels, notes))
            return Photo(image, path, picture.size, tuple(notes))


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


def _decode(picture: Image.Image, levels: Levels, notes: list[str]) -> Image.Image:
    """First frame, upright, RGB; what was done is added to `notes`."""
    _first_frame(picture, notes)
    if (deep := _deep_png(picture)) is not None:
        return _upright(_from_values(deep, levels, notes, alpha=deep.shape[2] in (2, 4)), notes, picture)
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
    modes = [str(tile.args if isinstance(tile.args, str) else tile.args[0]) for tile in picture.tile]  # type: ignore[attr-defined]
    if picture.format != "PNG" or not modes or not modes[0].endswith(";16B") or modes[0].startswith("I"):
        return None
    import torch
    from torchvision.io import ImageReadMode, decode_image

    picture.fp.seek(0)  # type: ignore[attr-defined]
    data = torch.frombuffer(bytearray(picture.fp.read()), dtype=torch.uint8)  # type: ignore[attr-defined]
    values: NDArray[np.uint16] = decode_image(data, ImageReadMode.UNCHANGED).permute(1, 2, 0).numpy()
    return values


def _packed(picture: Image.Image) -> Levels:
    """White where the samples are of fewer bits than those in which Pillow hands them over."""
    tags = getattr(picture, "tag_v2", {})
    bits = tags.get(258, (16,))[0] if picture.mode.startswith("I;16") else 16
    return Levels(white=float(2**bits - 1)) if bits < 16 else Levels()


def _from_page(page: Page, levels: Levels, notes: list[str]) -> Image.Image:
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


def _from_values(values: NDArray[Any], levels: Levels, notes: list[str], *, alpha: bool) -> Image.Image:
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
        return _from_values(np.asarray(picture)[..., None], levels, notes, alpha=False)
    image = _plain_rgb(picture, notes)
    return _from_values(np.asarray(image), levels, notes, alpha=False) if wished else image


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
