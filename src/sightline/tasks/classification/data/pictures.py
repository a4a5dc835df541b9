"""`Pictures`: what a classifier learns from and is tested on, as bytes in memory or in one mapped file."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as fn

from sightline.common.files import write_text
from sightline.common.reading import is_folder
from sightline.data.cifar import find_cifar, read_cifar
from sightline.data.photos import read_photo
from sightline.errors import DataError, near
from sightline.tasks.classification.data.formats import Listed, list_folder
from sightline.tasks.classification.recipe import ClassifyRecipe, DataConfig
from sightline.training.cache import cached_rows
from sightline.training.reporter import Report
from sightline.worlds.aviary.config import WorldConfig
from sightline.worlds.aviary.dataset import HELD_OUT, rendered
from sightline.worlds.aviary.world import World

AVIARY = "aviary"
CIFAR_MEAN, CIFAR_STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
"""Statistics of CIFAR-10, with which CIFAR-100 is normalised too."""
Floats = tuple[float, ...]
DEEP = "scaled to 8 bits"
"""Ending of the note of a picture with more than 8 bits."""


@dataclass(frozen=True, eq=False)
class Pictures:
    """Labelled pictures, of one size.

    Args:
        images: bytes of all of them.
        labels: class of each picture.
        train: rows to learn from.
        test: rows to test on.
        classes: names of the classes.
        mean: mean of each channel, in units of 0..1.
        std: standard deviation of each channel, in the same units.
        source: description of the data, in words.
        notes: remarks on the data for the card.
        fingerprint: text that changes when the files do.
        val: rows that choose the epoch that is kept; empty for none.
        keys: group or name of each picture, which stays whole when some are put aside; empty for none.
    """

    images: UInt8[Tensor, "n 3 h w"]
    labels: Int[Tensor, " n"] | Float[Tensor, "n k"]
    train: Int[Tensor, " t"]
    test: Int[Tensor, " u"]
    classes: tuple[str, ...]
    mean: Floats
    std: Floats
    source: str
    notes: tuple[str, ...] = ()
    fingerprint: str = ""
    val: Int[Tensor, " v"] = torch.empty(0, dtype=torch.long)
    keys: tuple[str, ...] = ()

    @property
    def judging(self) -> Int[Tensor, " v"]:
        """Rows that every epoch is judged on: those that are put aside, else the test pictures."""
        return self.val if len(self.val) else self.test


def gather(data: str | Path, recipe: ClassifyRecipe, work: Path, report: Report = lambda done: None) -> Pictures:
    """Read or draw all pictures.

    Args:
        data: a folder, or `aviary` for drawn scenes.
        recipe: their size, how many scenes, which share is tested on.
        work: folder where decoded pictures and scenes are kept.
        report: called for every picture that is there.

    Raises:
        DataError: there is no such folder, or it has no layout that is read here.
        InputError: a picture cannot be read; the text names it.
    """
    if str(data) == AVIARY:
        return _scenes(recipe, work, report)
    folder = Path(data)
    if not is_folder(folder):
        around = [other.name for other in folder.parent.iterdir()] if is_folder(folder.parent) else []
        raise DataError(
            f"there is no folder {str(folder)!r} to learn from; {near(folder.name, [*around, AVIARY])}; "
            f"'{AVIARY}' draws scenes"
        )
    binary = find_cifar(folder)
    if binary is not None:
        return _cifar(binary, recipe)
    return _files(list_folder(folder, recipe.data.held_out, recipe.data.group_by), recipe, work, report)


def _scenes(recipe: ClassifyRecipe, work: Path, report: Report) -> Pictures:
    """Scenes of the aviary, a third as many to test on."""
    world = World(WorldConfig())
    tested = max(1, recipe.data.scenes // 3)
    jobs = ((recipe.machine.seed * recipe.data.scenes, recipe.data.scenes), (HELD_OUT, tested))
    parts = [
        rendered(
            world, at, n, size=recipe.data.side, folder=work / "scenes", workers=recipe.machine.workers, report=report
        )
        for at, n in jobs
    ]
    images = torch.cat([part.images for part in parts])
    labels = torch.cat([part.labels for part in parts])
    rows = torch.arange(recipe.data.scenes)
    source = f"{recipe.data.scenes} and {tested} scenes of the aviary"
    return Pictures(
        images,
        labels,
        rows,
        torch.arange(recipe.data.scenes, len(labels)),
        world.labels,
        *colours(images, rows),
        source,
        fingerprint=source,
    )


def _cifar(folder: Path, recipe: ClassifyRecipe) -> Pictures:
    cifar = read_cifar(folder)
    images, notes = torch.from_numpy(cifar.images), ()
    if recipe.data.side != 32:
        images = torch.cat([_scaled(part, recipe.data.side) for part in torch.split(images, 1000)])
        notes = (f"pictures of 32 pixels were scaled to {recipe.data.side}",)  # type: ignore[assignment]
    fingerprint = sha256(cifar.labels.tobytes() + cifar.images[::97].tobytes()).hexdigest()
    rows = torch.arange(len(images))
    return Pictures(
        images,
        torch.from_numpy(cifar.labels),
        rows[: cifar.train],
        rows[cifar.train :],
        cifar.classes,
        CIFAR_MEAN,
        CIFAR_STD,
        f"{cifar.name}, binary version",
        notes,
        fingerprint,
    )


def _scaled(images: UInt8[Tensor, "n 3 h w"], size: int) -> UInt8[Tensor, "n 3 p p"]:
    scaled = fn.interpolate(images.float(), size=(size, size), mode="bilinear", antialias=True)
    return scaled.round().clamp(0, 255).byte()


def _files(listing: Listed, recipe: ClassifyRecipe, work: Path, report: Report) -> Pictures:
    """Photos of a folder."""
    images, notes, fingerprint = decoded_photos(listing.files, recipe.data, work, report)
    tests = torch.tensor(listing.tests)
    rows = torch.arange(len(tests))
    train = rows[~tests]
    return Pictures(
        images,
        torch.tensor(listing.labels),
        train,
        rows[tests],
        listing.classes,
        *colours(images, train),
        listing.source,
        (*listing.notes, *notes),
        fingerprint + "".join(str(int(test)) for test in listing.tests),
        keys=listing.keys,
    )


def decoded_photos(
    files: Sequence[Path], data: DataConfig, work: Path, report: Report
) -> tuple[UInt8[Tensor, "n 3 h w"], tuple[str, ...], str]:
    """Photos, each scaled and cut to its middle square; decoded once, then kept.

    Args:
        files: pictures.
        data: their side, and which values of deep files are black and white.
        work: folder where they are kept.
        report: called for every picture that is there.

    Returns:
        The pictures, what to say of their sizes and depths, and a text that changes when the files do.

    Raises:
        InputError: a picture cannot be read; the text names it.
    """
    stamps = "\n".join(f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in files)
    levels = {"black": data.black, "white": data.white}
    if data.black is not None or data.white is not None:
        stamps += f"\n{data.black} {data.white}"
    fingerprint, side = sha256(os.fsencode(stamps)).hexdigest(), data.side
    (work / "photos").mkdir(parents=True, exist_ok=True)
    path = work / "photos" / f"{fingerprint[:12]}-{side}.npy"
    seen = path.with_suffix(".json")
    looks: dict[str, list[Any]] = {}

    def draw(row: int) -> NDArray[np.uint8]:
        photo = read_photo(files[row], **levels)
        looks[str(row)] = [list(photo.original_size), next((n for n in photo.notes if n.endswith(DEEP)), "")]
        return _square(photo.image, side)

    table = cached_rows(path, (len(files), side, side, 3), draw, report)
    if looks:
        write_text(seen, json.dumps(looks))
    looks = json.loads(seen.read_text(encoding="utf-8")) if seen.is_file() else {}
    images = torch.from_numpy(table).permute(0, 3, 1, 2)
    sizes = Counter((own[0][0], own[0][1]) for own in looks.values())
    depths = Counter(own[1] for own in looks.values() if own[1])
    return images, (*_sizes(sizes, side), *_depths(depths, len(files), data)), fingerprint


def _depths(depths: Counter[str], count: int, data: DataConfig) -> tuple[str, ...]:
    """What to say of pictures of more than 8 bits: how they were scaled, and whether all alike."""
    if not depths:
        return ()
    ways = f"{sum(depths.values())} of {count} pictures hold more than 8 bits"
    if len(depths) == 1:
        return (f"{ways}: {next(iter(depths))}; explain photos with the same --black and --white",)
    asked = "their own --black or --white is missing" if data.white is None or data.black is None else "they differ"
    most = "; ".join(f"{number}: {text}" for text, number in depths.most_common(2))
    return (
        f"{ways} and were scaled in {len(depths)} ways ({most}), so equal values differ between pictures: {asked}; "
        "give both so that all are scaled alike",
    )


def _square(image: Image.Image, side: int) -> NDArray[np.uint8]:
    """The middle square of a photo."""
    if image.size == (side, side):
        return np.asarray(image, dtype=np.uint8)
    short = min(image.size)
    left, top = (image.width - short) / 2, (image.height - short) / 2
    box = (left, top, left + short, top + short)
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR, box=box), dtype=np.uint8)


def _sizes(sizes: Counter[tuple[int, int]], side: int) -> tuple[str, ...]:
    """What to say where pictures are not of the size that is learnt from."""
    other = sum(n for size, n in sizes.items() if size != (side, side))
    if not other:
        return ()
    (width, height), _ = sizes.most_common(1)[0]
    return (
        f"{other} of {sum(sizes.values())} pictures are not {side}x{side} ({len(sizes)} sizes, {width}x{height} most "
        f"often): their middle square was scaled to {side} pixels",
    )


def colours(images: UInt8[Tensor, "n 3 h w"], rows: Int[Tensor, " t"]) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each channel over some pictures, at most 5000 of them."""
    some = images[rows[:: max(1, len(rows) // 5000)]].float().div(255).transpose(0, 1).flatten(1)
    mean, std = some.mean(1), some.std(1).clamp(min=1e-3)
    return tuple(round(float(v), 4) for v in mean), tuple(round(float(v), 4) for v in std)
