"""Gathering: small layers wait for one another and are reduced together, those of one shape as one batch.

A dozen small layers cost mostly the calls, not the numbers. What waits is bounded; a large layer does not wait.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.capture.pair import Pair
from sightline.capture.record import Record
from sightline.capture.sums import reduced

SMALL = 1 << 17
"""Neurons up to which a layer waits."""

WAITING = 1 << 18
"""Neurons that may wait: a megabyte of gradient."""


class Gatherer:
    """Takes gradients as they arrive, and gives the maps of every record at the end.

    Args:
        reductions: pure functions that treat each sample of a batch by itself.
    """

    def __init__(self, reductions: Sequence[Callable[[Pair], Float[Tensor, "b h w"]]]) -> None:
        self._reductions = reductions
        self._waiting: dict[Record, Pair] = {}
        self._neurons = 0
        self._maps: dict[Record, list[Tensor]] = {}

    def add(self, record: Record, gradient: Tensor) -> None:
        """Reduce the gradient of a layer now, or let it wait for others."""
        pair = Pair.of(record, gradient)
        if pair.A.numel() > SMALL:
            self._maps[record] = reduced(pair, self._reductions)
            return
        self._waiting[record] = pair
        self._neurons += pair.A.numel()
        if self._neurons > WAITING:
            self._reduce_waiting()

    def maps(self) -> dict[Record, list[Float[Tensor, "b h w"]]]:
        """Maps by record, one for each reduction, of all that arrived."""
        self._reduce_waiting()
        return self._maps

    def _reduce_waiting(self) -> None:
        groups: dict[tuple[int, ...], list[Record]] = {}
        for record, pair in self._waiting.items():
            groups.setdefault(tuple(pair.A.shape), []).append(record)
        for records in groups.values():
            maps = reduced(together([self._waiting[record] for record in records]), self._reductions)
            each = zip(*(one.chunk(len(records)) for one in maps), strict=True)
            self._maps.update((record, list(own)) for record, own in zip(records, each, strict=True))
        self._waiting.clear()
        self._neurons = 0


def together(pairs: Sequence[Pair]) -> Pair:
    """Pairs of one shape as a single batch."""
    if len(pairs) == 1:
        return pairs[0]
    return Pair(torch.cat([pair.A for pair in pairs]), torch.cat([pair.G for pair in pairs]), pairs[0].rounding)
