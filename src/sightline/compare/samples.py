"""What explanations are judged on: photos, with the object's mask where the data set tells where it is.

It knows data sets and preprocessing, not methods or metrics.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from PIL import Image, ImageDraw
from torch import Tensor

from sightline.common.reading import is_file, is_there, read_json
from sightline.common.records import as_kind
from sightline.data.cub import read_cub
from sightline.data.photos import find_photos, read_photo
from sightline.errors import DataError
from sightline.models.preprocess import Preprocess

Box = tuple[float, float, float, float]
STICKS_OUT = 0.02
"""Share of a picture's longer side by which a box may stick out: annotators round."""


@dataclass(frozen=True)
class Sample:
    """One photo to be judged on.

    Args:
        path: the picture.
        boxes: `(x, y, width, height)` of the objects, in pixels of the picture.
        mask: a grey picture whose bright part is the object; it goes before the boxes.
        label: the class that the data set names, for the record.
    """

    path: Path
    boxes: tuple[Box, ...] = ()
    mask: Path | None = None
    label: str = ""

    @property
    def located(self) -> bool:
        """Whether it is known where the object is."""
        return bool(self.boxes) or self.mask is not None


@dataclass(frozen=True, eq=False)
class Batch:
    """Samples prepared for a network.

    Args:
        inputs: `[b, c, h, w]` normalised.
        masks: `[b, h, w]` where the object is, in the network's view; None if any sample is not located.
    """

    inputs: Float[Tensor, "b c h w"]
    masks: Bool[Tensor, "b h w"] | None

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        return Batch(self.inputs.to(device), None if self.masks is None else self.masks.to(device))


def read_samples(path: Path) -> list[Sample]:
    """Samples of a data set, recognised by what lies in the folder.

    Args:
        path: a folder in the layout of CUB-200-2011 (the aviary's worlds are), a folder with `instances.json` in
            COCO's form, a folder of photos, or a photo.

    Raises:
        DataError, InputError: the data set breaks its format, or there is no photo.
    """
    if is_there(path / "images.txt", error=DataError):
        return _from_cub(path)
    if is_there(path / "instances.json", error=DataError):
        return _from_coco(path / "instances.json")
    return [Sample(photo) for photo in find_photos([path])]


def draw(samples: Sequence[Sample], count: int | None, seed: int) -> list[Sample]:
    """`count` samples chosen at random, in their own order; all of them if there are no more."""
    if count is None or count >= len(samples):
        return list(samples)
    places = torch.randperm(len(samples), generator=torch.Generator().manual_seed(seed))[:count]
    return [samples[i] for i in sorted(places.tolist())]


def prepare(samples: Sequence[Sample], preprocess: Preprocess) -> Batch:
    """Photos and masks through the same scaling and cutting."""
    photos = [read_photo(sample.path) for sample in samples]
    inputs = torch.stack([preprocess(photo).inputs for photo in photos])
    if not all(sample.located for sample in samples):
        return Batch(inputs, None)
    flat = replace(preprocess, mean=(0.0,), std=(1.0,), interpolation="nearest")
    masks = [
        flat(_mask(sample, photo.image.size)).view[0] > 0.5 for sample, photo in zip(samples, photos, strict=True)
    ]
    return Batch(inputs, torch.stack(masks))


def _mask(sample: Sample, size: tuple[int, int]) -> Image.Image:
    """The object in white, in the photo's own pixels."""
    if sample.mask is not None:
        mask = read_photo(sample.mask).image.convert("L")
        if mask.size != size:
            raise DataError(f"the mask {sample.mask} is {mask.size}, its photo {size}; they must be of one size")
        return mask.point(lambda value: 255 * (value > 127))
    canvas = Image.new("L", size)
    for box in sample.boxes:
        left, top, right, bottom = _edges(box, size, sample.path)
        ImageDraw.Draw(canvas).rectangle((left, top, right - 1, bottom - 1), fill=255)
    return canvas


def _edges(box: Box, size: tuple[int, int], path: Path) -> tuple[int, int, int, int]:
    """A box in whole pixels of its picture; what sticks out by a rounding is cut off.

    Raises:
        DataError: it is empty, or sticks out by more than that: the annotation belongs to another picture or size.
    """
    x, y, width, height = box
    left, top, right, bottom = round(x), round(y), round(x + width), round(y + height)
    slack = 1 + STICKS_OUT * max(size)
    out = max(-left, -top, right - size[0], bottom - size[1])
    inside = max(left, 0), max(top, 0), min(right, size[0]), min(bottom, size[1])
    if out > slack or inside[0] >= inside[2] or inside[1] >= inside[3]:
        raise DataError(
            f"the box (x {x:g}, y {y:g}, width {width:g}, height {height:g}) of {path} is empty or lies outside its "
            f"picture of {size[0]} x {size[1]} pixels; correct the annotation, or leave the photo out"
        )
    return inside


def _from_cub(root: Path) -> list[Sample]:
    """The test split of a CUB layout, with foreground masks where there are any, else boxes."""
    data = read_cub(root)
    rows = [int(row) for row in np.flatnonzero(np.logical_not(data.train))]
    if not rows:
        raise DataError(f"{root} has no picture in its test split; train_test_split.txt gives them a 0")
    masks = [data.mask_path(row) for row in rows]
    if any(masks) and not all(masks):
        lost = data.paths[rows[masks.index(None)]]
        raise DataError(
            f"{root} has masks, but none for {lost} ({masks.count(None)} of {len(rows)} are missing); masks and "
            "boxes cannot be mixed in one comparison: add the missing ones, or remove the folder of masks"
        )
    return [
        Sample(
            path=data.image_path(row),
            boxes=(tuple(float(v) for v in data.boxes[row]),),  # type: ignore[arg-type]
            mask=mask,
            label=data.classes[int(data.labels[row])],
        )
        for row, mask in zip(rows, masks, strict=True)
    ]


def _from_coco(path: Path) -> list[Sample]:
    """Photos of COCO with the boxes of all their objects."""
    content = read_json(path, error=DataError)
    try:
        names = {entry["id"]: as_kind(str, entry["name"], "name") for entry in content["categories"]}
        by_image: dict[int, list[dict[str, Any]]] = {}
        for note in content["annotations"]:
            by_image.setdefault(note["image_id"], []).append(note)
        images = [image for image in content["images"] if image["id"] in by_image]
        return [_coco_sample(path.parent, image, by_image[image["id"]], names) for image in images]
    except (ValueError, KeyError, TypeError) as problem:
        raise DataError(f"{path} is not in COCO's form: {problem!r}; export it again") from problem


def _box(note: dict[str, Any]) -> Box:
    """The box of an annotation.

    Raises:
        ValueError: it is no four finite numbers.
    """
    box: Box = as_kind(Box, note["bbox"], "bbox")
    if not all(math.isfinite(side) for side in box):
        raise ValueError(f"'bbox' is {box}")
    return box


def _coco_sample(root: Path, image: dict[str, Any], notes: list[dict[str, Any]], names: dict[int, str]) -> Sample:
    file = next((f for f in (root / "images" / image["file_name"], root / image["file_name"]) if is_file(f)), None)
    if file is None:
        raise DataError(f"the photo {image['file_name']!r} of {root / 'instances.json'} is missing")
    boxes = tuple(_box(note) for note in notes)
    return Sample(file, boxes, label=", ".join(sorted({names[note["category_id"]] for note in notes})))
