"""What `sightline caption` is given: a captioner, and a photo, a features file or a generated scene."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from PIL import Image

from sightline.errors import InputError
from sightline.tasks.captioning.data.features import open_features
from sightline.tasks.captioning.data.photos import PhotoSizes
from sightline.tasks.captioning.data.regions import RegionSet
from sightline.tasks.captioning.network.captioner import Captioner, load_captioner
from sightline.tasks.captioning.world.picture import scene_picture
from sightline.tasks.captioning.world.scenes import HELD_OUT, draw_scenes

SUFFIXES = (".tsv", ".h5", ".hdf5")
"""Endings of files of region features; folders hold them too."""
BUNDLED = "captioner.safetensors"
"""What `sightline train captions --signed --out captioner.safetensors` wrote, among the package's assets."""


@dataclass(frozen=True, eq=False)
class Opened:
    """Regions, and the picture that they are of.

    Args:
        regions: of one picture.
        image: the picture; None where only its features are there.
    """

    regions: RegionSet
    image: Image.Image | None


def open_captioner(weights: Path | None) -> Captioner:
    """The captioner of a file; the bundled one of generated scenes where none is named.

    Raises:
        ModelError: the file is not a captioner's.
    """
    if weights is not None:
        return load_captioner(weights)
    with as_file(files("sightline") / "assets" / BUNDLED) as path:
        return load_captioner(path)


def open_regions(
    net: Captioner, source: Path | None, *, number: int | None = None, scene: int = 0, images: Path | None = None
) -> Opened:
    """Regions as the captioner takes them.

    Args:
        net: the captioner.
        source: a photo, or a file or folder of region features; None draws a scene.
        number: which picture of a features file; None is the first.
        scene: seed of the scene.
        images: folder of the photos that a features file was made of, for their sizes and the page.

    Raises:
        InputError: the captioner was trained on regions of another kind.
    """
    if source is None:
        return _scene(net, scene)
    if source.is_dir() or source.suffix.lower() in SUFFIXES:
        photos = None if images is None else PhotoSizes(images)
        store = open_features(source, photos)
        chosen = store.ids()[0] if number is None else number
        regions = store.regions(chosen)
        _check_width(net, regions, source)
        return Opened(regions, None if photos is None else photos.image(chosen))
    return _photo(net, source)


def _scene(net: Captioner, scene: int) -> Opened:
    if net.spec.regions != "scenes":
        raise InputError(
            f"this captioner was trained on {net.spec.regions}, not on generated scenes; name a photo or features"
        )
    drawn = draw_scenes(1, seed=HELD_OUT + scene)
    return Opened(RegionSet(drawn.features[0], drawn.boxes[0], f"scene {scene}"), scene_picture(drawn, 0))


def _photo(net: Captioner, source: Path) -> Opened:
    if not net.spec.regions.startswith("grid:"):
        known = "generated scenes" if net.spec.regions == "scenes" else "region features from files"
        raise InputError(
            f"{str(source)!r} is a photo, but this captioner knows {known} only; give --weights FILE of a captioner "
            "of photos (train one: sightline train captions --captions FILE --images FOLDER)"
        )
    from sightline.data.photos import read_photo
    from sightline.models.load import load_model
    from sightline.tasks.captioning.data.extract import grid_regions

    image = read_photo(source).image
    regions = grid_regions(load_model(net.spec.regions.removeprefix("grid:")), image, source.name)
    _check_width(net, regions, source)
    return Opened(regions, image)


def _check_width(net: Captioner, regions: RegionSet, source: Path) -> None:
    width = regions.features.shape[1]
    if width != net.spec.features:
        raise InputError(
            f"{str(source)!r} has {width} features for each region, but this captioner takes {net.spec.features}; "
            "use features of the kind that it was trained with"
        )
