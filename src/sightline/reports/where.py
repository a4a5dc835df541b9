"""Where a map's evidence lies, in words a person can use: "mostly the upper left and the centre".

The picture is cut into nine equal parts (a line into three, a strip of frames into its frames), and the fewest parts
that hold half of the evidence are named. It knows maps and no page.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from sightline.reports.motion import Box, inside, mass
from sightline.results import AttentionMap
from sightline.results.concentration import half_share
from sightline.results.original import WHOLE

NINTHS = (
    "the upper left", "the top", "the upper right",
    "the left", "the centre", "the right",
    "the lower left", "the bottom", "the lower right",
)  # fmt: skip
"""Names of the nine parts, row by row."""
SPANS = ("the beginning", "the middle", "the end")
BLOCKS = {
    frozenset((0, 1, 2)): "the upper third",
    frozenset((3, 4, 5)): "a band across the middle",
    frozenset((6, 7, 8)): "the lower third",
    frozenset((0, 3, 6)): "the left third",
    frozenset((1, 4, 7)): "a band down the middle",
    frozenset((2, 5, 8)): "the right third",
}
"""Three parts of the nine that have a name of their own."""
NAMED = 3
"""Parts that a sentence names at most."""
LARGEST = 1 / 3
"""Share of the parts that may be named; evidence of which half needs more parts is spread."""
SPOTS = 0.1
"""Evidence of which half lies in less of the map than this is in small spots, however far apart these are."""
LEAST = 1e-9
"""Share of the evidence on a photo below which all of it lies on bars."""
BARS = "mostly the bars around the photo"
SPREAD, SCATTERED, NOWHERE = "everywhere", "mostly small spots far apart", ""


@dataclass(frozen=True)
class Part:
    """A part of the picture that has a name.

    Args:
        name: in words, with its article.
        box: where it lies.
    """

    name: str
    box: Box


def place_words(map_: AttentionMap, *, against: bool = False, crop: Box = WHOLE) -> str:
    """Where most of the evidence lies, in words.

    Args:
        map_: any map over a picture, or over a strip of frames that its domain's labels name.
        against: whether the evidence against the decision is meant.
        crop: the part of the photo that the map lies over, as shares of the photo: words are about the photo.

    Returns:
        The fewest parts that hold half of the evidence, most first. Where more than a third of the parts are needed,
        `everywhere`; or, if half of the evidence lies in few cells, three parts at most, or `mostly small spots far
        apart`. Nothing where there is no evidence.

    Example:
        >>> import torch
        >>> place_words(AttentionMap(torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.4, 0.0], [0.0, 0.0, 0.0]]), "last"))
        'mostly the upper left'
        >>> place_words(AttentionMap(torch.tensor([[1.0, 2.0], [2.0, 1.0]]), "last"))
        'everywhere'
    """
    shares = part_shares(map_, against=against, crop=crop)
    if not shares:
        return NOWHERE
    if not any(shares):
        return BARS
    places = fewest(shares)
    if LARGEST * len(shares) < len(places):
        if half_share(-map_.values if against else map_.values) >= SPOTS:
            return SPREAD
        if len(places) > NAMED:
            return SCATTERED
    names = [part.name for part in parts_of(map_)]
    if len(shares) == len(NINTHS) and (block := BLOCKS.get(frozenset(places))):
        return f"mostly {block}"
    return f"mostly {listed([names[place] for place in places])}"


def part_shares(map_: AttentionMap, *, against: bool = False, crop: Box = WHOLE) -> tuple[float, ...]:
    """Share in each part of `parts_of` of the evidence on the photo, not on bars around it.

    Nothing where there is no evidence, zeros where all of it lies on bars.
    """
    mass_ = mass(replace(map_, values=-map_.values) if against else map_)
    if mass_ is None:
        return ()
    shares = inside(mass_, [_within(part.box, crop) for part in parts_of(map_)])
    total = sum(shares)
    return tuple(share / total for share in shares) if total > LEAST else (0.0,) * len(shares)


def parts_of(map_: AttentionMap) -> tuple[Part, ...]:
    """The parts that can be named: frames or slices, thirds of a line, or nine parts of a picture."""
    if labels := map_.domain.labels:
        return _columns(labels)
    if map_.shape[0] == 1:
        return _columns(SPANS)
    third = 1 / 3
    return tuple(
        Part(name, (place % 3 * third, place // 3 * third, third, third)) for place, name in enumerate(NINTHS)
    )


def _within(box: Box, crop: Box) -> Box:
    """A box of the photo as shares of a part of it."""
    x, y, width, height = box
    left, top, wide, high = crop
    return (x - left) / wide, (y - top) / high, width / wide, height / high


def fewest(shares: tuple[float, ...], share: float = 0.5) -> tuple[int, ...]:
    """The fewest places that together hold a share, most first; places of equal share in their order.

    Example:
        >>> fewest((0.2, 0.45, 0.35))
        (1, 2)
    """
    order = torch.tensor(shares, dtype=torch.float64).round(decimals=9).sort(descending=True, stable=True)
    enough = int((order.values.cumsum(0) < share - 1e-9).sum()) + 1
    return tuple(order.indices[:enough].tolist())


def listed(names: list[str]) -> str:
    """Names as a list in a sentence.

    Example:
        >>> listed(["the top", "the left", "the centre"])
        'the top, the left and the centre'
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _columns(names: tuple[str, ...]) -> tuple[Part, ...]:
    wide = 1 / len(names)
    return tuple(Part(name, (place * wide, 0.0, wide, 1.0)) for place, name in enumerate(names))
