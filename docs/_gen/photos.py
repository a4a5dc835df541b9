"""Photos that pictures of these pages may show, and how a picture is kept small.

The photos are not in the repository: `SIGHTLINE_PHOTOS` names a folder with the files of `PHOTOS`, by default
`photos_with_masks` in the folder that `SIGHTLINE_PACK` names.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from PIL import Image, ImageOps

ASSETS = Path(__file__).resolve().parents[1] / "assets"
WIDTH = 1100
MARGIN = 20
MOST = 200_000
PHOTOS = {
    "owl.jpg": "Open Images V5, CC BY 2.0",
    "parrot.jpg": "Open Images V5, CC BY 2.0",
    "cat_720p.jpg": "Open Images V5, CC BY 2.0",
    "pets.jpg": "Open Images V5, CC BY 2.0",
    "bird_segmentation.png": "Open Images V5, CC BY 2.0",
    "both_dog_cat.png": "pytorch-grad-cam, MIT",
}
"""Names and where they come from, with their licence."""


def photo(name: str) -> Path:
    """The file of a photo of `PHOTOS`; without it the program ends with a sentence."""
    pack = os.environ.get("SIGHTLINE_PACK", "../shared/pack")
    path = Path(os.environ.get("SIGHTLINE_PHOTOS") or Path(pack) / "photos_with_masks") / name
    if name not in PHOTOS or not path.is_file():
        sys.exit(f"there is no photo {str(path)!r}; SIGHTLINE_PHOTOS names the folder that holds {', '.join(PHOTOS)}")
    return path


def save_small(picture: Image.Image, target: Path, *, width: int = WIDTH) -> None:
    """Write a picture at most `width` wide and `MOST` bytes large, as good as fits."""
    picture = picture.convert("RGB")
    if picture.width > width:
        picture = picture.resize((width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS)
    picture = picture.crop((0, 0, picture.width, min(picture.height, ImageOps.invert(picture).getbbox()[3] + MARGIN)))
    target.parent.mkdir(parents=True, exist_ok=True)
    for quality in (90, 82, 72, 60, 45, 35):
        picture.save(target, quality=quality, optimize=True, subsampling=0)
        if target.stat().st_size < MOST:
            print(f"written: {target.relative_to(ASSETS.parent)}, {target.stat().st_size // 1000} kB")
            return
    if width <= WIDTH // 2:
        sys.exit(f"{target.name} does not fit into {MOST} bytes")
    save_small(picture, target, width=width * 3 // 4)
