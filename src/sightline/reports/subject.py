"""`Subject`: one photo with everything that explains it, and the order of all its layers.

Montage, animation and page all begin by sorting explanations into subjects.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from jaxtyping import UInt8
from torch import Tensor

from sightline.errors import ResultError
from sightline.reports.density import Unit, shared_unit, unit_of
from sightline.reports.detail import within
from sightline.reports.panels import drawable
from sightline.reports.photo import blank, pixels_of
from sightline.reports.place import Place
from sightline.reports.scale import ScaleMode
from sightline.reports.tint import Tint, tint_of
from sightline.results import AttentionMap, Explanation, LayerChoice, Original, Results, explanations_of
from sightline.results.original import WHOLE, Box

STRIP = 3
"""A picture that many times as wide as it is high is a strip."""
LEAST = 0.3
"""A network that saw less than this share of a picture is shown that part alone, in the picture's resolution."""
FLATTEST = 8
"""How many times as wide as high the stand-in is for an input of one row that was not kept."""


@dataclass(frozen=True, eq=False)
class Subject:
    """One photo and its explanations, by whatever methods and for whatever targets.

    Args:
        items: explanations of the same sample, in the order they came.
    """

    items: tuple[Explanation, ...]

    @property
    def source(self) -> str:
        """Name of the sample."""
        return self.items[0].source

    @cached_property
    def pixels(self) -> UInt8[Tensor, "h w 3"]:
        """The photo, or a grey stand-in with the aspect ratio of the finest map."""
        for item in self.items:
            if item.image is not None:
                return pixels_of(item.image)
        shapes = [map_.shape for item in self.items for map_ in item.flow.maps]
        height, width = max(shapes, key=lambda shape: shape[0] * shape[1], default=(1, 1))
        return blank((max(height, width // FLATTEST), width) if height == 1 else (height, width))

    @property
    def original(self) -> Original | None:
        """The photo in its own resolution, where it is known and a map is drawn over all of it."""
        return next((item.original for item in self.items if item.original is not None), None)

    @property
    def crop(self) -> Box:
        """The part of the photo that the maps lie over, as shares of its sides."""
        return WHOLE if self.original is None else self.original.crop

    @property
    def inside(self) -> Box:
        """The part of what the network saw that is photo and no bar, as shares of it."""
        return WHOLE if self.original is None else self.original.inside

    @cached_property
    def canvas(self) -> tuple[UInt8[Tensor, "h w 3"], Box]:
        """What maps are laid over, and which part of it they cover.

        That is the user's picture, or of a very tall or wide one the part that the network saw; where the user's
        picture is not known it is what the network saw, in the network's own resolution.
        """
        if self.original is None:
            return self.pixels, WHOLE
        pixels, box = self.original.pixels, WHOLE if self.original.whole else self.original.crop
        if box[2] * box[3] < LEAST:
            return Place.of(box, pixels).cut(pixels), WHOLE
        return pixels, box

    @cached_property
    def framed(self) -> UInt8[Tensor, "h w 3"]:
        """The photo without a map: the user's picture with what the network saw framed in it."""
        if self.original is None or self.original.whole:
            return self.canvas[0]
        pixels = self.original.pixels
        place = Place.of(self.original.crop, pixels)
        return place.paste(place.cut(pixels), pixels)

    @cached_property
    def wide(self) -> bool:
        """Whether the picture is a strip, which wants the whole width of a sheet or page."""
        height, width = self.pixels.shape[:2]
        return width >= STRIP * height

    @property
    def has_photo(self) -> bool:
        """Whether the photo is known."""
        return any(item.image is not None for item in self.items)

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """Layer names of all its flows in one forward order; a flow of one map is shown everywhere and adds none."""
        walks = [item.flow.layers for item in self.items if len(item.flow) > 1]
        return merged(walks or [self.items[0].flow.layers])

    def tint(self, cmap: str) -> Tint:
        """The shades of a colour map in all pictures of this photo: those for what the network saw, without bars."""
        return tint_of(cmap, within(self.pixels, self.inside))

    def unit(self, item: Explanation, map_: AttentionMap, mode: ScaleMode) -> Unit:
        """What the colours of a map stand for."""
        return unit_of(map_) if mode == "own" else self._units[item.method]

    @cached_property
    def _units(self) -> dict[str, Unit]:
        """One unit for all maps of a method; methods have different units and never share one."""
        maps: dict[str, list[AttentionMap]] = {}
        for item in self.items:
            maps.setdefault(item.method, []).extend(item.flow.maps)
        return {method: shared_unit(own) for method, own in maps.items()}

    def at(self, item: Explanation, layer: str) -> AttentionMap | None:
        """A flow's map at a layer; a flow of a single map has that one at every layer; None where it has none."""
        if len(item.flow) == 1:
            return item.flow[0]
        return item.flow[layer] if layer in item.flow else None  # noqa: SIM401 - Flow raises no KeyError for get()


def subjects_of(explanations: Results, layers: LayerChoice = None) -> tuple[Subject, ...]:
    """Sort explanations by photo, in the order in which the photos first appear.

    Explanations belong together if they carry the same source and the same picture. Without either, a method and
    decision that comes again begins a new subject.

    Args:
        explanations: one explanation, flow or map, or any number of them.
        layers: which layers are kept; None is all.

    Raises:
        ResultError: there are none, one has no maps, one lies over a domain that cannot be drawn on a picture, or
            there is no such layer.
    """
    groups: dict[str, list[Explanation]] = {}
    for item in (drawn for explanation in explanations_of(explanations, layers) for drawn in drawable(explanation)):
        groups.setdefault(_key(item, groups), []).append(item)
    if not groups:
        raise ResultError("there is nothing to draw: no explanations were handed in")
    return tuple(Subject(tuple(items)) for items in groups.values())


def merged(orders: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """One order that holds every name; a new name goes right behind the name that it follows in its own order.

    Orders that have nothing in common follow each other.

    Example:
        >>> merged([("a", "c"), ("a", "b", "c", "d")])
        ('a', 'b', 'c', 'd')
    """
    result: list[str] = []
    for order in orders:
        place = 0 if set(order) & set(result) else len(result)
        for name in order:
            if name not in result:
                result.insert(place, name)
            place = result.index(name) + 1
    return tuple(result)


def _key(item: Explanation, groups: dict[str, list[Explanation]]) -> str:
    """The photo's identity: name and pixels, or a running number where neither is known."""
    picture = "" if item.image is None else hashlib.sha256(pixels_of(item.image).numpy().tobytes()).hexdigest()
    if item.source or picture:
        return f"{item.source}\0{picture}"
    number = 0
    while any(
        (earlier.method, earlier.decision.label) == (item.method, item.decision.label)
        for earlier in groups.get(f"#{number}", ())
    ):
        number += 1
    return f"#{number}"
