"""Panels: how maps over a domain become something that can be drawn, a grid of cells over a picture.

Montage, animation and page draw maps over a picture and nothing else. A panel turns an explanation over another
domain into such a one: frames side by side with a map `[h, frames * w]`, a signal or words as a strip with a map
`[1, n]`. Sections side by side are named in the labels of the drawn domain, and nothing bleeds from one to the next.
A task registers its own under an entry point of the group `sightline.panels`:

    @PANELS.register("words")
    def words(item: Explanation) -> Explanation: ...

This file knows maps over an image and over a spectrogram, which are drawn as they are; `signal` and `sections` beside
it bring the panels of signals, volumes and clips.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from sightline.errors import ResultError
from sightline.registry import Registry
from sightline.results import AttentionMap, Explanation

Panel = Callable[[Explanation], Explanation]
"""From an explanation whose maps all lie over one domain to one over `image` (or `spectrogram`) with its picture."""

PANELS: Registry[Panel] = Registry(
    "panel",
    group="sightline.panels",
    modules=("sightline.reports.signal", "sightline.reports.sections"),
    error=ResultError,
)


@PANELS.register("image")
@PANELS.register("spectrogram")
def as_it_is(item: Explanation) -> Explanation:
    """A grid of two axes over the explanation's own picture."""
    return item


def drawable(item: Explanation) -> Iterator[Explanation]:
    """The explanation as it can be drawn, in one piece for each panel that its domains need.

    Raises:
        ResultError: it has no maps, one has no cells, or one lies over a domain that no panel draws.
    """
    if not len(item.flow):
        raise ResultError(f"the explanation of {item.decision.label!r} by {item.method!r} holds no maps to draw")
    panels: dict[Panel, list[AttentionMap]] = {}
    for map_ in item.flow.maps:
        if map_.domain.kind not in PANELS:
            raise ResultError(
                f"layer {map_.layer!r} lies over {map_.domain.kind!r}, and a picture can only carry maps over "
                f"{' or '.join(PANELS)}; read its values from explanation.flow[{map_.layer!r}].values"
            )
        if 0 in map_.shape:
            raise ResultError(f"the map of layer {map_.layer!r} has no cells: its shape is {map_.shape}")
        panels.setdefault(PANELS[map_.domain.kind], []).append(map_)
    for panel, maps in panels.items():
        yield panel(item if len(panels) == 1 else replace(item, flow=replace(item.flow, maps=tuple(maps))))
