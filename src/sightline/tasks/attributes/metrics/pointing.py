"""Are attributes read where their part is? Peaks of the groups' maps against the part's place, beside fixed places.

Every control is a place that never looks at the picture: the mean of the part's places in all other pictures, and
the one place that hits most of them, both in the picture and in the object's box, which no network knows. Places are
shares of the picture's side, x before y. Knows the head of a network, not what it stands on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from torch.nn import functional as fn

from sightline.common.statistics.bootstrap import Interval, bootstrap
from sightline.tasks.attributes.data.cub_words import POINTS
from sightline.tasks.attributes.data.places import NOWHERE
from sightline.tasks.attributes.data.vocabulary import Vocabulary
from sightline.tasks.attributes.network.heads import AttributeHead, HeadOutput

REACH = 0.1
"""A peak within this share of the diagonal of the object's box hits."""
SIDE = 48
"""Maps are enlarged to so many places before their peak is taken."""
GRID = 24
"""Side of the grid of places among which the best fixed one is looked for."""
CONTROLS = ("mean place", "best place", "mean place in the box", "best place in the box")


@dataclass(frozen=True)
class Pointing:
    """How often attributes are read at their part; means over pictures of the share of their groups.

    Args:
        hits: the network's peaks.
        controls: fixed places, by the names in `CONTROLS`.
        over: how much more the network hits than each of them, picture by picture.
        pictures: pictures in which the place of at least one group's part is known.
        groups: groups of attributes whose part is known in at least one picture.
    """

    hits: Interval
    controls: Mapping[str, Interval]
    over: Mapping[str, Interval]
    pictures: int
    groups: int


@dataclass(frozen=True, eq=False)
class Spots:
    """Where parts are.

    Args:
        points: middle of every part that can be seen; NaN elsewhere.
        boxes: the object: left, top, width, height.
    """

    points: Float[Tensor, "n p 2"]
    boxes: Float[Tensor, "n 4"]


def spots_of(parts: UInt8[Tensor, "n p q"], count: int) -> Spots:
    """Where parts are, from maps of part ids: the middle of each, and the box around all.

    Args:
        parts: part ids; 0 is background.
        count: number of ids.
    """
    side = parts.shape[1]
    at = (torch.arange(side) + 0.5) / side
    inside = (parts > 0) & (parts != NOWHERE)
    points = torch.full((len(parts), count, 2), torch.nan)
    for p in range(count):
        mask = (parts == p + 1).float()
        total = mask.sum((1, 2))
        middle = torch.stack([(mask * at).sum((1, 2)), (mask * at[:, None]).sum((1, 2))], 1) / total[:, None]
        points[:, p] = torch.where(total[:, None] > 0, middle, torch.nan)
    columns, rows = inside.any(1), inside.any(2)
    ends = [(one.float().argmax(1), side - one.flip(1).float().argmax(1)) for one in (columns, rows)]
    (left, right), (top, bottom) = ends
    boxes = torch.stack([left, top, right - left, bottom - top], 1).float() / side
    return Spots(points, torch.where(inside.flatten(1).any(1)[:, None], boxes, torch.nan))


def own_points(words: Vocabulary, names: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """For every group of attributes the parts on which it can be read; none where it has no place of its own.

    Args:
        words: the attributes.
        names: names of the parts.
    """
    ids = {name: at for at, name in enumerate(names)}
    return tuple(
        (ids[group.part],)
        if group.part in ids
        else tuple(ids[name] for name in POINTS.get(group.part, ()) if name in ids)
        for group in words.groups
    )


def read_at(
    head: AttributeHead, read: HeadOutput, probabilities: Float[Tensor, "b k"], words: Vocabulary
) -> Float[Tensor, "b g h w"]:
    """For every group of attributes the map by which the head reads its likeliest value."""
    members = [torch.tensor(group.members, device=probabilities.device) for group in words.groups]
    chosen = torch.stack([at[probabilities[:, at].argmax(1)] for at in members], dim=1)
    attention: Tensor = head.part_attention(read, chosen)
    return attention


def peaks_of(attention: Float[Tensor, "b g h w"], side: int = SIDE) -> Float[Tensor, "b g 2"]:
    """Where each map is highest, after bicubic enlargement: a cell is coarser than a part."""
    big = fn.interpolate(attention.float(), size=(side, side), mode="bicubic", align_corners=False).flatten(2)
    top = big.argmax(2)
    return torch.stack([(top % side + 0.5) / side, (top // side + 0.5) / side], dim=2)


def pointing(
    peaks: Float[Tensor, "n g 2"], spots: Spots, own: Sequence[Sequence[int]], known: Bool[Tensor, "n g"]
) -> Pointing | None:
    """Hold peaks against parts and against fixed places.

    Args:
        peaks: where each group of attributes is read.
        spots: where parts are.
        own: the parts of each group, by position; from `own_points`.
        known: whether the group's answer is known for the picture.

    Returns:
        None where no group has a part whose place is known.
    """
    tables = hit_tables(peaks, spots, own, known)
    rows = ~tables["network"].isnan().all(1)
    if not bool(rows.any()):
        return None
    shares = {name: table[rows].nanmean(1) for name, table in tables.items()}
    network = shares.pop("network")
    return Pointing(
        hits=bootstrap(network),
        controls={name: bootstrap(share) for name, share in shares.items()},
        over={name: bootstrap(network - share) for name, share in shares.items()},
        pictures=int(rows.sum()),
        groups=int((~tables["network"].isnan()).any(0).sum()),
    )


def hit_tables(
    peaks: Float[Tensor, "n g 2"], spots: Spots, own: Sequence[Sequence[int]], known: Bool[Tensor, "n g"]
) -> dict[str, Float[Tensor, "n g"]]:
    """Whether each group's peak, and each control in its place, hits; NaN where the part cannot be seen.

    Arguments as for `pointing`.
    """
    boxed = Spots((spots.points - spots.boxes[:, None, :2]) / spots.boxes[:, None, 2:], spots.boxes)
    columns: dict[str, list[Tensor]] = {name: [] for name in ("network", *CONTROLS)}
    for g, members in enumerate(own):
        if not members:
            continue
        at = list(members)
        points = spots.points[:, at]
        seen = known[:, g] & ~points.isnan().any(2).all(1)
        places = {
            "network": peaks[:, g],
            **_fixed(points, seen, spots),
            **_fixed(boxed.points[:, at], seen, spots, boxed=True),
        }
        for name, place in places.items():
            columns[name].append(torch.where(seen, hits(place, points, spots.boxes), torch.nan))
    empty = torch.zeros(len(peaks), 0)
    return {name: torch.stack(column, 1) if column else empty for name, column in columns.items()}


def hits(
    places: Float[Tensor, "*g n 2"], points: Float[Tensor, "n m 2"], boxes: Float[Tensor, "n 4"]
) -> Float[Tensor, "*g n"]:
    """1 where a place lies within `REACH` of the box's diagonal of the nearest of a part's points, else 0."""
    distance = (places[..., None, :] - points).norm(dim=-1).nan_to_num(torch.inf).amin(-1)
    near: Tensor = distance <= REACH * boxes[:, 2:].norm(dim=1)
    return near.float()


def _fixed(
    points: Float[Tensor, "n m 2"], seen: Bool[Tensor, " n"], spots: Spots, *, boxed: bool = False
) -> dict[str, Float[Tensor, "n 2"]]:
    """Fixed places for each picture, chosen by all others: the mean, and that which hits most of them."""
    rows = points[seen]
    middles = rows.nanmean(1)
    mean = torch.zeros(len(points), 2)
    mean[seen] = (middles.sum(0) - middles) / max(1, len(middles) - 1)
    cells = (torch.arange(GRID) + 0.5) / GRID
    grid = torch.stack(torch.meshgrid(cells, cells, indexing="xy"), -1).flatten(0, 1)
    corner, size = spots.boxes[seen, :2], spots.boxes[seen, 2:]
    placed = corner + grid[:, None] * size if boxed else grid[:, None].expand(-1, len(rows), -1)
    shown = corner[:, None] + rows * size[:, None] if boxed else rows
    good = hits(placed, shown, spots.boxes[seen])
    best = torch.zeros(len(points), 2)
    best[seen] = grid[(good.sum(1, keepdim=True) - good).argmax(0)]
    fixed = {"mean place": mean, "best place": best}
    if not boxed:
        return fixed
    whole = spots.boxes
    return {f"{name} in the box": whole[:, :2] + place * whole[:, 2:] for name, place in fixed.items()}
