"""The ways to teach and to judge heads in the study of texts, and the features of photos that they see."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from _eat_cells import _pack
from _eat_features import BASES, BIRDS_BASE
from _eat_text_heads import Kind
from sightline.data.photos import read_photo
from sightline.models.load import load_model
from sightline.models.trunk import Trunk
from sightline.tasks.attributes.data import AttributeData
from sightline.tasks.attributes.data.captions import read_captions
from sightline.tasks.attributes.data.mined import count_mentions


@dataclass(frozen=True)
class Way:
    """One way to teach and to judge.

    Args:
        name: what it is called in the table.
        crop: whether photos are cut to the bird's box.
        kind: kind of heads.
        alone: whether one sentence alone counts as "not there" in training; False leaves it unknown.
        each: training photos of each class; 0 for all.
        shuffled: whether attributes are those of other photos: the control that has to be silent.
        base: the network whose features are read.
    """

    name: str
    crop: bool = False
    kind: Kind = Kind(anchored=True, ridge=1000.0)
    alone: bool = False
    each: int = 0
    shuffled: bool = False
    base: str = "lite0"


WAYS = (
    Way("attributes read off the photo", kind=Kind(anchored=False, ridge=1000.0)),
    Way("+ what the class does not say"),
    Way("+ cut to the bird's box", crop=True),
    Way("+ one sentence alone is a no", crop=True, alone=True),
    Way("the last with 20 photos a class", crop=True, alone=True, each=20),
    Way("the last with 10 photos a class", crop=True, alone=True, each=10),
    Way("attributes of other photos", crop=True, alone=True, shuffled=True),
    Way("one sentence alone is a no: Lite1", crop=True, alone=True, base="lite1"),
    Way("one sentence alone is a no: Lite2", crop=True, alone=True, base="lite2"),
    Way("one sentence alone is a no: MobileNetV2", crop=True, alone=True, base="mobilenet_v2"),
    Way("one sentence alone is a no: SqueezeNet", crop=True, alone=True, base="squeezenet1_0"),
    Way("one sentence alone is a no: knows birds", crop=True, alone=True, base="inat birds"),
)


def sentences_of(data: AttributeData) -> Tensor:
    """How many sentences of each photo say each attribute."""
    counts = count_mentions(read_captions(data.root, data.files))
    names = [f"has_{part.replace(' ', '_')}_{kind}::{value}" for part, kind, value in counts.names]
    return torch.from_numpy(counts.yes[:, [names.index(name) for name in data.vocabulary.names]])


@torch.inference_mode()
def features(data: AttributeData, work: Path, way: Way) -> Tensor:
    """Pooled features of a network at its own size, from the work folder or anew."""
    part = "box" if way.crop else "photo"
    path = work / (f"{part}.npy" if way.base == "lite0" else f"{part}-{way.base.replace(' ', '_')}.npy")
    if not path.is_file():
        base = next(one for one in (*BASES, BIRDS_BASE) if one.name == way.base)
        file = base.weights and str(_pack() / "models" / base.weights)
        loaded = load_model(base.model, weights=file, model_args=dict(base.model_args))
        trunk, side = Trunk(loaded.model).eval(), loaded.preprocess.size[0]
        mean, std = (
            torch.tensor(value).view(1, 3, 1, 1) for value in (loaded.preprocess.mean, loaded.preprocess.std)
        )
        parts = []
        for at in range(0, len(data), 32):
            rows = range(at, min(at + 32, len(data)))
            photos = np.stack([_photo(data, row, way.crop, side) for row in rows])
            x = torch.from_numpy(photos).permute(0, 3, 1, 2).float() / 255
            parts.append(trunk((x - mean) / std).mean((2, 3)))
        work.mkdir(parents=True, exist_ok=True)
        np.save(path, torch.cat(parts).numpy())
    return torch.from_numpy(np.load(path))


def _photo(data: AttributeData, row: int, crop: bool, size: int) -> NDArray[np.uint8]:
    """The middle square of a photo, or the square around the bird's box and a tenth more."""
    image = read_photo(data.files[row]).image.convert("RGB")
    side = min(image.size)
    box = ((image.width - side) / 2, (image.height - side) / 2, (image.width + side) / 2, (image.height + side) / 2)
    if crop and data.boxes is not None:
        x, y, wide, high = data.boxes[row]
        half = 0.55 * max(wide, high)
        middle = (x + wide / 2, y + high / 2)
        image = image.crop(
            tuple(int(at) for at in (middle[0] - half, middle[1] - half, middle[0] + half, middle[1] + half))
        )
        box = (0, 0, *image.size)
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR, box=box), np.uint8)
