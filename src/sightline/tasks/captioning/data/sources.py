"""From what a user names - nothing, or captions with features or photos - to the data of a training."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightline.common.reading import check_listed, is_there, read_json
from sightline.errors import DataError, InputError, near
from sightline.tasks.captioning.data.captions import TRAIN, VALIDATION, CaptionedPicture, read_captions
from sightline.tasks.captioning.data.features import Store, open_features
from sightline.tasks.captioning.data.photos import PhotoSizes
from sightline.tasks.captioning.data.regions import RegionSet
from sightline.tasks.captioning.data.table import CaptionData, Part, part_of_scenes
from sightline.tasks.captioning.data.vocabulary import vocabulary
from sightline.tasks.captioning.network.spec import SPECIAL
from sightline.tasks.captioning.recipe import CaptionRecipe
from sightline.tasks.captioning.world.scenes import FEATURES, HELD_OUT, KINDS, draw_scenes, words
from sightline.training.reporter import Report


@dataclass(frozen=True)
class CaptionFiles:
    """Where captions and regions are.

    Args:
        captions: captions to learn from, in Karpathy's or COCO's layout; None draws scenes.
        held_out: captions to measure on; None takes the test or validation split of `captions`.
        features: region features; see `open_features`.
        images: folder of photos, whose regions are grid cells of `grid`; with `features` it only tells their sizes.
        grid: network whose last grid of features is taken, as `load_model` names it.
    """

    captions: Path | None = None
    held_out: Path | None = None
    features: Path | None = None
    images: Path | None = None
    grid: str = "imagenet"

    @property
    def origin(self) -> str:
        """What the network's `regions` says of it."""
        if self.captions is None:
            return "scenes"
        return "features" if self.features is not None else f"grid:{self.grid}"

    def check(self) -> None:
        """Refuse what does not go together.

        Raises:
            InputError: captions come without regions, with two kinds of them, or the other way round.
        """
        if self.captions is None:
            if self.features or self.images or self.held_out:
                raise InputError("features, photos or held-out captions came without --captions; name them too")
        elif self.features is None and self.images is None:
            raise InputError("captions need regions: give --features FILE, or --images FOLDER to make grid features")


def read_data(files: CaptionFiles, recipe: CaptionRecipe, report: Report) -> CaptionData:
    """Scenes, or captions with their regions.

    Raises:
        SightlineError: files do not go together, or break their layout; the text says where.
    """
    files.check()
    if files.captions is None:
        if unknown := [kind for kind in recipe.data.relations if kind not in KINDS]:
            raise InputError(f"there is no relation {unknown[0]!r}; {near(unknown[0], KINDS)}")
        own, seed = recipe.data, recipe.machine.seed
        train, held_out = (
            part_of_scenes(draw_scenes(count, seed=number, grey=own.grey), own.relations)
            for count, number in ((own.scenes, seed), (own.held_out, seed + HELD_OUT))
        )
        report(own.scenes + own.held_out)
        return CaptionData(train, held_out, (*SPECIAL, *words()), FEATURES, files.origin)
    return _of_files(files, recipe, report)


def _of_files(files: CaptionFiles, recipe: CaptionRecipe, report: Report) -> CaptionData:
    pictures = read_captions(Path(str(files.captions)))
    train = [picture for picture in pictures if picture.split == TRAIN]
    if files.held_out is not None:
        held_out = list(read_captions(files.held_out, split=VALIDATION))
    else:
        held_out = [picture for picture in pictures if picture.split != TRAIN]
    if not train or not held_out:
        raise DataError(
            f"{str(files.captions)!r} has {len(train)} pictures to learn from and {len(held_out)} to measure on; "
            "both are needed: give --held-out-captions FILE, or a file with splits"
        )
    notes: list[str] = []
    listed = {number: size for path in (files.captions, files.held_out) if path for number, size in _sizes(path)}
    sizes: Mapping[int, tuple[int, int]] = listed
    if files.features is not None and files.images is not None:
        sizes = ChainMap(listed, PhotoSizes(files.images))  # type: ignore[arg-type]  # it is only read
    store = None if files.features is None else open_features(files.features, sizes)
    first, second = (_part(own, files, store, report, notes) for own in (train, held_out))
    least = recipe.data.least_count
    vocab = vocabulary((sentence for own in train for sentence in own.sentences), least=least)
    width = first.read(0).features.shape[1]
    return CaptionData(first, second, vocab, width, files.origin, tuple(notes))


def _part(
    pictures: Sequence[CaptionedPicture], files: CaptionFiles, store: Store | None, report: Report, notes: list[str]
) -> Part:
    """Pictures whose regions are there; those without are counted."""
    sets: list[RegionSet] = []
    kept: list[CaptionedPicture] = []
    known = {picture.id for picture in pictures} if store is None else set(store.ids())
    read = _extractor(files) if store is None else lambda picture: store.regions(picture.id)
    for picture in pictures:
        if picture.id not in known:
            continue
        sets.append(read(picture))
        kept.append(picture)
        notes += sets[-1].notes
        report(1)
    if not kept:
        raise DataError(f"none of {len(pictures)} captioned pictures has regions in {str(files.features)!r}")
    if lost := len(pictures) - len(kept):
        notes.append(f"{lost} of {len(pictures)} captioned pictures have no regions and were left out")
    return Part(len(kept), sets.__getitem__, tuple(picture.sentences for picture in kept))


def _extractor(files: CaptionFiles) -> Any:
    """Grid features of a photo of the folder; the photos may lie in folders such as train2017 inside it."""
    from sightline.data.photos import read_photo
    from sightline.models.load import load_model
    from sightline.tasks.captioning.data.extract import grid_regions

    loaded, folder = load_model(files.grid), Path(str(files.images))

    def extract(picture: CaptionedPicture) -> RegionSet:
        places = [folder / picture.file, *folder.glob(f"*/{picture.file}")]
        place = next((place for place in places if is_there(place)), places[0])
        check_listed(place, str(files.captions), error=DataError)
        return grid_regions(loaded, read_photo(place).image, str(picture.id))

    return extract


def _sizes(path: Path) -> list[tuple[int, tuple[int, int]]]:
    """Sizes of pictures, where a captions file lists them."""
    images = read_json(path, "captions file", error=DataError)["images"]
    entries = [entry for entry in images if {"width", "height"} <= entry.keys()]
    return [(int(e.get("cocoid", e.get("id", 0))), (int(e["width"]), int(e["height"]))) for e in entries]
