"""Reductions that are sums over channels: all that are asked of a layer are added up in one sweep over its channels.

So the activation and the gradient of a layer come out of memory once, however many methods read them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.capture.pair import Pair

Summand = Callable[[Pair], Float[Tensor, "..."]]
"""From a pair of some whole channels to their sum at each place `[b, h, w]`, or to a weight for each of them `[b, s]`
with which their activations are to be added."""

Finish = Callable[[Float[Tensor, "b h w"], Pair], Float[Tensor, "b h w"]]
"""From the sum over all channels, and the whole pair, to the map."""


@dataclass(frozen=True, eq=False)
class ChannelSum:
    """A map that is a sum over channels: `M = finish( sum_c summand_c )`.

    Args:
        summand: term of the sum, computed for a few channels at a time.
        finish: function from the sum over all channels to the map.
    """

    summand: Summand
    finish: Finish

    def __call__(self, pair: Pair) -> Float[Tensor, "b h w"]:
        """The map of one pair."""
        return reduced(pair, [self])[0]


def reduced(pair: Pair, reductions: Sequence[Callable[[Pair], Tensor]]) -> list[Float[Tensor, "b h w"]]:
    """The map of every reduction; those that are sums over channels share a sweep, and equal summands a sum."""
    summands = dict.fromkeys(r.summand for r in reductions if isinstance(r, ChannelSum))
    totals = dict(zip(summands, _totals(pair, list(summands)), strict=True))
    return [r.finish(totals[r.summand], pair) if isinstance(r, ChannelSum) else r(pair) for r in reductions]


def _totals(pair: Pair, summands: list[Summand]) -> list[Float[Tensor, "b h w"]]:
    """The sum over all channels of each summand."""
    totals: list[Tensor] = []
    for part in pair.slices() if summands else ():
        sums = _slice_sums(part, summands)
        totals = [total + more for total, more in zip(totals, sums, strict=True)] if totals else sums
    return totals


def _slice_sums(part: Pair, summands: list[Summand]) -> list[Float[Tensor, "b h w"]]:
    """The sums over one slice of channels; all weights meet its activations in one product."""
    terms = [summand(part) for summand in summands]
    weights = [values for values in terms if values.ndim == 2]
    if not weights:
        return terms
    maps = iter(part.weighted(torch.stack(weights, 1)).unbind(1))
    return [next(maps) if values.ndim == 2 else values for values in terms]
