"""The photos that region features were made of, by the number of their picture."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

from PIL import Image

from sightline.common.reading import is_folder
from sightline.errors import DataError

ENDINGS = (".jpg", ".jpeg", ".png", ".webp")


class PhotoSizes(Mapping[int, tuple[int, int]]):
    """Width and height in pixels of the photos of a folder; a photo's number ends its name.

    COCO's `COCO_val2014_000000150367.jpg`, `000000150367.jpg` and `150367.png` are all photos of picture 150367.
    Folders such as train2017 inside the folder count too. Sizes are read when they are asked for.

    Args:
        folder: where the photos are.

    Raises:
        DataError: there is no such folder, or no photo in it has a number.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not is_folder(folder) or not self.places:
            raise DataError(
                f"{str(folder)!r} holds no photo whose name ends in the number of its picture, such as "
                "000000150367.jpg"
            )

    @cached_property
    def places(self) -> dict[int, Path]:
        """The file of each photo."""
        files = [own for pattern in ("*", "*/*") for own in sorted(self.folder.glob(pattern))]
        numbers = [(re.search(r"\d+$", own.stem), own) for own in files if own.suffix.lower() in ENDINGS]
        return {int(number.group()): own for number, own in reversed(numbers) if number}

    def image(self, number: int) -> Image.Image | None:
        """The photo; None where there is none of this number."""
        from sightline.data.photos import read_photo

        return read_photo(self.places[number]).image if number in self.places else None

    def __getitem__(self, number: int) -> tuple[int, int]:
        image = self.image(number)
        if image is None:
            raise KeyError(number)
        return image.size

    def __contains__(self, number: object) -> bool:
        return number in self.places

    def __iter__(self) -> Iterator[int]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)
