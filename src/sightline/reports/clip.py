"""The animation of a clip or volume: it is played, frame by frame or slice by slice, with the maps over it.

One explanation has a panel for each of some layers; several have one each, at the last layer. How frames look is the
business of `frame`, and how they are written that of `animation`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

from sightline.errors import ResultError
from sightline.reports.density import Unit, shared_unit, unit_of
from sightline.reports.drawing import overlay
from sightline.reports.frame import Caption, Frame, Layout, draw_frame
from sightline.reports.glossary import decided, meaning
from sightline.reports.photo import blank, fit, pixels_of
from sightline.reports.scale import ScaleMode
from sightline.reports.sections import section_at, section_name, shades
from sightline.reports.spread import spread
from sightline.reports.tint import Tint, tint_of
from sightline.results import IMAGE, AttentionMap, Domain, Explanation, Status

MOST_FRAMES, MOST_LAYERS = 64, 8
SLOWEST, QUICKEST, USUAL = 0.4, 0.05, 0.15
"""Seconds that a frame stays: at most, at least, and where the rate is not known."""
KINDS = ("space-time", "volume")


@dataclass(frozen=True, eq=False)
class Reel:
    """A clip or volume, and the maps that are played over it.

    Args:
        items: explanations of one sample.
        size: longer side of the frame in pixels, if there is one panel; several are smaller.
        cmap: colour map.
        opacity: factor on the colour map's own opacity, 0..1.
        scale: `"own"` or `"shared"`.
    """

    items: tuple[Explanation, ...]
    size: int
    cmap: str
    opacity: float
    scale: ScaleMode

    @cached_property
    def maps(self) -> tuple[AttentionMap, ...]:
        """The map of each panel behind the first."""
        if len(self.items) > 1:
            return tuple(item.flow[-1] for item in self.items)
        flow = self.items[0].flow
        return tuple(flow[place] for place in spread(len(flow), MOST_LAYERS))

    @cached_property
    def image(self) -> Float[Tensor, "c t h w"] | None:
        """The clip in 0..1, if it was kept."""
        image = next((item.image for item in self.items if item.image is not None), None)
        return None if image is None else shades(image)

    @cached_property
    def depth(self) -> int:
        """Frames of the clip, or of its finest map."""
        return max(len(map_.values) for map_ in self.maps) if self.image is None else self.image.shape[1]

    @cached_property
    def places(self) -> tuple[int, ...]:
        """The frames that are shown."""
        return spread(self.depth, MOST_FRAMES)

    @cached_property
    def layout(self) -> Layout:
        """Where things lie."""
        first = self.photo(self.places[0])
        return Layout(1 + len(self.maps), first.shape[1], first.shape[0])

    @cached_property
    def units(self) -> tuple[Unit, ...]:
        """What the colours of each map stand for, the same for all frames."""
        if self.scale == "own":
            return tuple(unit_of(flattened(map_)) for map_ in self.maps)
        flows = [item.flow for item in self.items] if len(self.items) > 1 else [self.items[0].flow] * len(self.maps)
        return tuple(shared_unit(map(flattened, flow.maps)) for flow in flows)

    @cached_property
    def tint(self) -> Tint:
        """The colours of all frames: the shades for the clip's mean picture."""
        return tint_of(self.cmap, None if self.image is None else pixels_of(self.image.mean(1)))

    @property
    def seconds(self) -> float:
        """How long a frame stays; as in the clip, within reason."""
        rate = self.items[0].rate
        length = USUAL if rate is None else self.depth / rate / len(self.places)
        return min(SLOWEST, max(QUICKEST, length))

    def photo(self, place: int) -> UInt8[Tensor, "h w 3"]:
        """One frame, at the size of a panel."""
        columns = Layout(1 + len(self.maps), 1, 1).columns
        side = max(32, 2 * self.size // (1 + columns))
        if self.image is None:
            height, width = max((map_.shape[1:] for map_ in self.maps), key=lambda shape: shape[0] * shape[1])
            return fit(blank((height, width)), side, enlarge=True)
        return fit(pixels_of(self.image[:, place]), side, enlarge=True)

    def pictures(self, place: int) -> list[Float[Tensor, "h w 3"]]:
        """Every panel at one frame."""
        photo = self.photo(place)
        slices = [
            replace(map_, values=section_at(map_.values, place, self.depth), domain=IMAGE, notes={})
            for map_ in self.maps
        ]
        drawn = [
            overlay(map_, photo, cmap=self.tint, unit=unit, opacity=self.opacity, outlined=False).float()
            for map_, unit in zip(slices, self.units, strict=True)
        ]
        return [photo.float(), *drawn]

    def caption(self, number: int) -> Caption:
        """The words at one frame."""
        first = self.items[0]
        same = len({item.decision.label for item in self.items}) == 1
        methods = " · ".join(dict.fromkeys(item.method for item in self.items))
        odd = [meaning(map_) for map_ in self.maps if map_.status is not Status.OK]
        last = len(self.places) - 1
        return Caption(
            title=first.decision.label if same else first.source or "several decisions",
            detail=f"{decided(first.decision)} · {methods}" if same else methods,
            layer=section_name(first, self.places[number]),
            count=f"{number + 1} of {len(self.places)}",
            warning=odd[0] if odd else "",
            labels=("what the network saw", *self._labels()),
            progress=number / last if last else 1.0,
        )

    def _labels(self) -> tuple[str, ...]:
        if len(self.items) == 1:
            return tuple(map_.layer for map_ in self.maps)
        return tuple(f"{item.method} · {item.decision.label}" for item in self.items)


def flattened(map_: AttentionMap) -> AttentionMap:
    """The map with its frames side by side, as sections of one picture."""
    names = tuple(str(place) for place in range(len(map_.values)))
    return replace(map_, values=rearrange(map_.values, "t h w -> h (t w)"), domain=Domain("image", names))


def moves(items: tuple[Explanation, ...]) -> bool:
    """Whether all maps lie over a clip or volume, so that it can be played.

    Raises:
        ResultError: some do and some do not.
    """
    kinds = {map_.domain.kind in KINDS for item in items for map_ in item.flow.maps}
    if len(kinds) > 1:
        raise ResultError(
            "an animation shows a photo or plays a clip, but these maps lie over both; narrow by explanations.of(...)"
        )
    return kinds == {True}


def played(reel: Reel) -> Iterator[Frame]:
    """The frames of a reel, first to last."""
    for number, place in enumerate(reel.places):
        picture = draw_frame(reel.layout, reel.pictures(place), caption=reel.caption(number))
        yield Frame(picture, reel.seconds * (3 if number == len(reel.places) - 1 else 1))
