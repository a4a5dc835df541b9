"""Why a tensor has no places: where on its way from the input they were lost."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from sightline.models.adapter.recording import Event, Node, Recording

POOLED = ("mean", "sum", "amax", "amin", "max", "adaptive", "avg_pool", "max_pool", "logsumexp", "var", "select")
CHOSEN = (
    "gather", "index", "topk", "sort", "argsort", "scatter", "index_select", "masked_select", "nonzero", "embedding",
    "grid_sampler", "index_put",
)  # fmt: skip
MIXED = ("mm", "addmm", "bmm", "baddbmm", "linear", "mv", "dot")
SHAPED = ("view", "_unsafe_view", "reshape", "_reshape_alias", "as_strided", "flatten")


class Reasons:
    """Answers why nodes of a recording have no places.

    Args:
        recording: the forward.
        places: axes of the input that are places.
    """

    def __init__(self, recording: Recording, places: Sequence[str]) -> None:
        self._recording = recording
        self._places = frozenset(places)

    @cached_property
    def _makers(self) -> dict[Node, Event]:
        return {node: event for event in self._recording.events for node in event.outputs}

    def of(self, node: Node | None) -> str:
        """Why a tensor has no places, in words."""
        if node is None:
            return "it does not depend on the input (learned queries, positions or other parameters)"
        event = self._loss(node)
        if event is None and self._has_places(node):
            return "it is a crop of the input, or holds its places more than once or in no order that is known"
        if event is None:
            return "its places stand in no order that is known"
        where = f" in {event.module!r}" if event.module else ""
        return f"{_words(event.name)} ({event.name}{where})"

    def _loss(self, node: Node) -> Event | None:
        """The nearest operation before a tensor that read places and gave none."""
        waiting, seen = [node], set()
        while waiting:
            here = waiting.pop(0)
            event = self._makers.get(here)
            if here in seen or event is None:
                continue
            seen.add(here)
            if any(self._has_places(n) for n in event.inputs) and not self._has_places(here):
                return event
            waiting.extend(event.inputs)
        return None

    def _has_places(self, node: Node) -> bool:
        return bool(self._recording.sources.get(node, frozenset()) & self._places)


def _words(name: str) -> str:
    if name.startswith(POOLED):
        return "it was pooled over all places"
    if name.startswith(CHOSEN):
        return "its entries were chosen by data or looked up, so their places are not known"
    if "attention" in name:
        return "it has a row for each query, and the queries are no places of the input"
    if name in MIXED:
        return "all places were mixed"
    if name in SHAPED:
        return "places and channels were mixed in one axis"
    return "its places were lost"
