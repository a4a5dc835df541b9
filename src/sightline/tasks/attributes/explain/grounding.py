"""Where in the picture an attribute was read: its map, the box around it, and how much of it lies on the object.

Pure functions on the maps of an attribute head, each of which sums to its logit (less the bias). A map that points
nowhere gets no box. Knows no network and no sentence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as fn

from sightline.tasks.attributes.data import Vocabulary

Box = tuple[float, float, float, float]
ABOVE, ABOVE_SHARP = 0.5, 0.1
"""A box is drawn around what lies above this share of a map's peak; the second holds for sharp maps."""
SHARP = 10.0
"""A map is sharp whose peak is at least so many times its mean, as that of a head that weighs places is."""
PEAKED = 2.0
"""A map whose peak is less than this many times its mean points nowhere."""
SEEN = ("part", "object")
"""Scopes whose attributes are seen at a place; habits and surroundings get no box."""


@dataclass(frozen=True, eq=False)
class Grounded:
    """One phrase in the picture.

    Args:
        map: what each place adds to the logits of its attributes, raw; above zero it speaks for them.
        box: `(x, y, width, height)` as shares of the picture's sides; None where the map points nowhere, or where
            the attribute is none that is seen at a place.
    """

    map: Float[Tensor, "h w"]
    box: Box | None


def ground(maps: Float[Tensor, "k h w"], members: Sequence[int], vocabulary: Vocabulary) -> Grounded:
    """Map and box of attributes that are said together: the sum of their maps.

    Args:
        maps: maps of all attributes, as the head has them.
        members: the attributes.
        vocabulary: vocabulary of the attributes.
    """
    total = maps[list(members)].sum(0)
    visible = all(vocabulary.attributes[at].scope in SEEN for at in members)
    return Grounded(total, box_of(total) if visible else None)


def centring(vocabulary: Vocabulary, *, exclusive: bool = False) -> Float[Tensor, "k k"]:
    """The matrix that takes from every attribute the mean of its group; attributes on their own stay.

    Args:
        vocabulary: vocabulary of the attributes.
        exclusive: only in groups that are a choice. There a soft-max follows, for which the mean is nothing.

    Example:
        >>> from sightline.tasks.attributes.data import Attribute
        >>> bill = Vocabulary(tuple(Attribute(f"bill::{value}", "bill", value) for value in ("red", "blue")))
        >>> centring(bill).tolist()
        [[0.5, -0.5], [-0.5, 0.5]]
    """
    matrix = torch.eye(len(vocabulary))
    for group in vocabulary.groups:
        if group.exclusive or (not exclusive and len(group.members) > 1):
            at = torch.tensor(group.members)
            matrix[at[:, None], at] -= 1 / len(at)
    return matrix


def points(map_: Float[Tensor, "h w"]) -> bool:
    """Whether a map prefers a place: its positive part has a peak of at least `PEAKED` times its mean."""
    return bool(torch.isfinite(map_).all()) and _sharpness(map_) >= PEAKED


def _sharpness(map_: Float[Tensor, "h w"]) -> float:
    """Peak over mean of the positive part; 0 where there is none."""
    positive = map_.clamp(min=0)
    mean = float(positive.mean())
    return float(positive.max()) / mean if mean > 0 else 0.0


def components(mask: Bool[Tensor, "h w"]) -> Int[Tensor, "h w"]:
    """Number the connected parts of a mask, 0 outside; places that touch at a corner are connected.

    Every place takes the highest number around it until nothing changes.

    Example:
        >>> components(torch.tensor([[True, False, True], [True, False, False]])).unique().numel() - 1
        2
    """
    inside = mask.float()
    numbers = inside * torch.arange(1, mask.numel() + 1, device=mask.device).view(mask.shape)
    while True:
        spread = fn.max_pool2d(numbers[None], 3, 1, 1)[0] * inside
        if torch.equal(spread, numbers):
            return numbers.long()
        numbers = spread


def box_of(map_: Float[Tensor, "h w"], *, above: float | None = None) -> Box | None:
    """The box of the connected part that holds most of what lies above `above` times the peak.

    Args:
        map_: raw.
        above: share of the peak; None takes `ABOVE`, or `ABOVE_SHARP` where the map is sharp.

    Returns:
        None where the map points nowhere.
    """
    if not points(map_):
        return None
    if above is None:
        above = ABOVE_SHARP if _sharpness(map_) >= SHARP else ABOVE
    parts = components(map_ >= above * float(map_.max()))
    masses = torch.zeros(parts.numel() + 1, dtype=map_.dtype, device=map_.device)
    masses.index_add_(0, parts.flatten(), map_.clamp(min=0).flatten())
    # number 0 is all that lies outside
    masses[0] = -1
    rows, columns = torch.nonzero(parts == int(masses.argmax()), as_tuple=True)
    top, left = int(rows.min()), int(columns.min())
    high, wide = int(rows.max()) + 1 - top, int(columns.max()) + 1 - left
    height, width = map_.shape
    return left / width, top / height, wide / width, high / height
