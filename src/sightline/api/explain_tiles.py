"""`explain_tiles`: a photo far larger than the network's input, read tile by tile, and one map over all of it.

The decision is asked of each tile; what is explained is the mean of its scores over the tiles.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image

from sightline.api.explain import explain
from sightline.api.inputs import one_photo
from sightline.errors import InputError
from sightline.models.load import LoadedModel
from sightline.models.original import LONGEST
from sightline.models.tiles import OVERLAP, Joined, Tile, Tiling
from sightline.results import AttentionMap, Decision, Explanation, Explanations, Flow
from sightline.results.domains import IMAGE
from sightline.results.original import Original
from sightline.targets import TargetLike

CHUNK = 8
"""Tiles that go through the network together, where the user does not say."""
LISTED = 5
"""Most classes that the sentence on the tiles' top classes lists."""
FIXED = "which may be another in every tile; name one class, or several"


def explain_tiles(
    model: LoadedModel,
    photo: Any,
    side: int,
    *,
    overlap: float = OVERLAP,
    target: TargetLike = None,
    batch_size: int | None = None,
    **asked: Any,
) -> Explanations:
    """Explain a large photo tile by tile, with one map over all of it at every layer.

    Every tile is shown to the network whole, at its input's size. What is explained of a class is the mean of its
    scores over the tiles, so maps of different tiles are on one scale; where tiles overlap, a place has the mean of
    their maps. Without a target the class is explained whose probabilities in the tiles, of which it is the top
    class, have the largest sum.

    Args:
        model: what `open_model` gives; it has to take pictures.
        photo: a path, a PIL image, or an array of pixels.
        side: shorter side of a tile in pixels of the photo; into a smaller photo go tiles as large as fit.
        overlap: share of a tile's side that neighbours have in common, at least.
        target: a class by index or name, or a list of them; None finds one.
        batch_size: tiles that go through the network together.
        asked: everything else that `explain` takes.

    Returns:
        An explanation for each target and method. `provenance["tiles"]` lists the tiles: place in pixels, top class
        and its probability, score and probability of the explained class.

    Raises:
        SightlineError: what `explain` raises; InputError where tiles are too many, or the target is not the
            same in every tile.

    Example:
        >>> import sightline
        >>> from PIL import Image
        >>> opened = sightline.open_model("squeezenet1_1", weights="random")
        >>> results = sightline.explain_tiles(opened, Image.new("RGB", (400, 300)), 200, target=3, layers="last")
        >>> len(results.one().provenance["tiles"]["rows"])
        6
    """
    if isinstance(target, str) and target.startswith("top"):
        raise InputError(f"tiles are explained for one decision, but the target is {target!r}, {FIXED}")
    opened = one_photo(photo)
    image = opened.image
    tiling = Tiling.of(image.size, side, shape=model.preprocess.size, overlap=overlap)
    reader = _Reader(model, image, tiling, batch_size or CHUNK, asked)
    tops = reader.tops()
    overall = None
    if target is None:
        target = overall = _overall(tops)
    joins = reader.joined(target)
    whole = _whole(image)
    items = []
    notes = {"notes": {str(opened.path or ""): list(opened.notes)}} if opened.notes else {}
    for join in joins:
        facts = {"side": side, "overlap": overlap, "size": list(image.size), "rows": _rows(tiling, tops, join)}
        first = join.first
        items.append(
            replace(
                first,
                flow=join.flow,
                decision=join.decision,
                image=whole.pixels.permute(2, 0, 1).float() / 255,
                original=whole,
                phrases=(),
                sentences=sentences(tiling, tops, join.decisions, side=side, chosen=overall is not None),
                source=str(asked.get("sources", [opened.path or ""])[0]),
                provenance={**first.provenance, **notes, "tiles": facts},
            )
        )
    return Explanations(tuple(items))


def sentences(
    tiling: Tiling, tops: Sequence[Decision], decisions: Sequence[Decision], *, side: int, chosen: bool
) -> tuple[str, ...]:
    """How a photo was read, what is decided overall, and in which tiles.

    Args:
        tiling: the tiles.
        tops: the top class of each.
        decisions: the explained decision in each.
        side: shorter side of a tile that was asked for.
        chosen: whether the class was chosen by the tiles rather than by the user.
    """
    rows, columns = tiling.shape
    tile, label = tiling.tiles[0], decisions[0].label
    counts = Counter(top.label for top in tops)
    smaller = min(tile.width, tile.height) < side
    said = [
        f"Read in {len(tops)} {'tile' if len(tops) == 1 else 'tiles'} of {tile.width} x {tile.height} pixels, "
        f"{columns} across and {rows} down{f'; the photo is too small for tiles of {side}' if smaller else ''}."
    ]
    if chosen:
        said += [
            f"Overall: {label}, the top class of {counts[label]} of {len(tops)} tiles, with the largest sum of "
            "probabilities there."
        ]
    values = [one.score if one.probability is None else one.probability for one in decisions]
    what = "Score" if decisions[0].probability is None else "Probability"
    at = max(range(len(values)), key=values.__getitem__)
    best = tiling.tiles[at]
    said += [
        f"{what} of {label}: mean {sum(values) / len(values):.3g} over the tiles, highest {values[at]:.3g} in row "
        f"{best.row + 1}, column {best.column + 1}."
    ]
    listed = ", ".join(f"{name} {count}" for name, count in counts.most_common(LISTED))
    more = f" and {len(counts) - LISTED} more" if len(counts) > LISTED else ""
    return (*said, f"Top classes of the tiles: {listed}{more}.")


@dataclass
class _Join:
    """One target and method over all tiles."""

    first: Explanation
    decisions: list[Decision]
    maps: list[Joined]
    notes: list[dict[str, float]]

    @classmethod
    def of(cls, first: Explanation, tiling: Tiling) -> _Join:
        odd = [map_ for map_ in first.flow.maps if map_.domain != IMAGE]
        if odd:
            raise InputError(
                f"tiles are joined for maps over pictures, but {odd[0].layer} has one over {odd[0].domain.kind}"
            )
        grids = [(map_.shape[0], map_.shape[1]) for map_ in first.flow.maps]
        return cls(first, [], [Joined(tiling, grid) for grid in grids], [{} for _ in grids])

    def add(self, tile: Tile, item: Explanation) -> None:
        own, asked = item.decision, self.first.decision
        if own.label != asked.label:
            raise InputError(
                f"tiles are explained for one decision, but it is {asked.label!r} in one and {own.label!r} in "
                f"another: {FIXED}"
            )
        self.decisions.append(own)
        for join, notes, map_ in zip(self.maps, self.notes, item.flow.maps, strict=True):
            join.add(tile, map_.values)
            for name, value in map_.notes.items():
                notes[name] = notes.get(name, 0.0) + value

    @property
    def decision(self) -> Decision:
        score = sum(one.score for one in self.decisions) / len(self.decisions)
        # a mean of probabilities is not how sure the network is of the photo; the sentences have those of the tiles
        return replace(self.first.decision, score=score, probability=None)

    @property
    def flow(self) -> Flow:
        count = len(self.decisions)
        maps = tuple(
            AttentionMap(
                join.values, map_.layer, IMAGE, map_.signed, {name: value / count for name, value in notes.items()}
            )
            for join, map_, notes in zip(self.maps, self.first.flow.maps, self.notes, strict=True)
        )
        return replace(self.first.flow, maps=maps, remarks=())


@dataclass(frozen=True)
class _Reader:
    """A network that reads the tiles of a photo, some at a time."""

    model: LoadedModel
    image: Image.Image
    tiling: Tiling
    chunk: int
    asked: dict[str, Any]

    def tops(self) -> list[Decision]:
        """The top class of each tile; a control asks for no backward pass of the network."""
        own = {name: value for name, value in self.asked.items() if name in ("probabilities", "labels", "output")}
        return [
            item.decision
            for at in range(0, len(self.tiling.tiles), self.chunk)
            for item in self._explained(at, target=None, method="uniform", layers="last", **own)
        ]

    def joined(self, target: TargetLike) -> list[_Join]:
        """For each target and method the maps of all tiles in one."""
        joins: list[_Join] = []
        for at in range(0, len(self.tiling.tiles), self.chunk):
            items = self._explained(at, target=target, **self.asked)
            tiles = self.tiling.tiles[at : at + self.chunk]
            each = len(items) // len(tiles)
            joins = joins or [_Join.of(item, self.tiling) for item in items[:each]]
            for number, tile in enumerate(tiles):
                for join, item in zip(joins, items[number * each : (number + 1) * each], strict=True):
                    join.add(tile, item)
        return joins

    def _explained(self, at: int, **asked: Any) -> Explanations:
        whole = replace(self.model.preprocess, resize=None, fit="stretch")
        ready = [whole(self.image.crop(tile.box)) for tile in self.tiling.tiles[at : at + self.chunk]]
        device = next((parameter.device for parameter in self.model.model.parameters()), torch.device("cpu"))
        own = {"labels": self.model.labels, "provenance": self.model.provenance, **asked, "sources": None}
        return explain(
            self.model.model,
            torch.stack([one.inputs for one in ready]).to(device),
            images=torch.stack([one.view for one in ready]),
            progress=False,
            **own,
        ).to("cpu")


def _overall(tops: Sequence[Decision]) -> int:
    """The class whose probabilities, or votes, in the tiles of which it is the top class have the largest sum."""
    sums: dict[int, float] = {}
    for top in tops:
        if top.index is None:
            raise InputError("the network's top decision is not a class, so tiles need a target")
        sums[top.index] = sums.get(top.index, 0.0) + (1.0 if top.probability is None else top.probability)
    return max(sums, key=lambda index: (sums[index], -index))


def _rows(tiling: Tiling, tops: Sequence[Decision], join: _Join) -> list[dict[str, Any]]:
    return [
        {
            "row": tile.row + 1,
            "column": tile.column + 1,
            "x": tile.left,
            "y": tile.top,
            "width": tile.width,
            "height": tile.height,
            "top": top.label,
            "top_probability": top.probability,
            "decision": own.label,
            "probability": own.probability,
            "score": own.score,
        }
        for tile, top, own in zip(tiling.tiles, tops, join.decisions, strict=True)
    ]


def _whole(image: Image.Image) -> Original:
    small = image.copy()
    small.thumbnail((LONGEST, LONGEST))
    return Original(torch.from_numpy(np.array(small)))
