"""Pictures of a finding: the photo as the network saw it, the map of its decision, and a frame around the object.

It knows photos and maps, not detectors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageDraw
from torch import Tensor

from sightline.data.photos import read_photo
from sightline.reports.drawing import overlay
from sightline.reports.photo import thumbnail_uri
from sightline.results import AttentionMap
from sightline.tasks.attributes.audit.observed import Observations, named
from sightline.tasks.attributes.data import AttributeData
from sightline.tasks.attributes.data.places import middle_square, object_outline

SIDE = 168
FRAME = (255, 255, 255)


@dataclass(frozen=True)
class Shown:
    """One picture of a finding.

    Args:
        source: the picture as a `data:` address.
        name: name of the photo.
        words: what the network decided, and what of its map lies on the object.
    """

    source: str
    name: str
    words: str


def pictures_of(data: AttributeData, observations: Observations, names: tuple[str, ...]) -> tuple[Shown, ...]:
    """Photos by name, in their order.

    Args:
        data: the photos that were observed, row by row.
        observations: what the network said of them.
        names: which are shown.
    """
    rows = {name: row for row, name in enumerate(observations.names)}
    return tuple(
        Shown(
            thumbnail_uri(drawn(data, observations, rows[name]), longest=SIDE), name, words(observations, rows[name])
        )
        for name in names
        if name in rows
    )


def drawn(data: AttributeData, observations: Observations, row: int) -> UInt8[Tensor, "h w 3"]:
    """A photo's middle square with the class map over it, and the object's frame where it is known."""
    square = middle_square(read_photo(data.files[row]).image.convert("RGB"), SIDE, Image.Resampling.BILINEAR)
    picture = torch.from_numpy(np.array(square))
    if observations.maps is not None:
        picture = overlay(AttentionMap(observations.maps[row], "class map"), picture)
    inside = object_outline(data, row, SIDE)
    if inside is None or not inside.any():
        return picture
    down, across = np.nonzero(inside)
    image = Image.fromarray(picture.numpy())
    corners = [(int(across.min()), int(down.min())), (int(across.max()), int(down.max()))]
    ImageDraw.Draw(image).rectangle(corners, outline=FRAME)
    return torch.from_numpy(np.array(image))


def words(observations: Observations, row: int) -> str:
    """The decision, and the map's share on the object beside its control."""
    label = int(observations.labels[row])
    decision = observations.classes[int(observations.decided[row])]
    right = "" if label < 0 else " (right)" if label == int(observations.decided[row]) else " (labelled otherwise)"
    text = f"{decision}{right}"
    if observations.flags is not None:
        text = f"{named(observations.classes, observations.flags[row])} (labelled: {observations.labelled_as(row)})"
    if observations.energy is None or observations.mean_map is None:
        return text
    own, control = float(observations.energy[row]), float(observations.mean_map[row])
    return text if own != own else f"{text}; {own:.0%} of the map on the object, the mean map has {control:.0%}"
