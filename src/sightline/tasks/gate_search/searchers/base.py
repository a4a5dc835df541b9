"""The searchers: each asks for the worth of some schemes at a time, and decides by the answers which come next.

A searcher is a generator that yields schemes and is sent their worths; it knows nothing of networks, budgets or logs.
It ends when it has nothing more to ask, or is closed when the budget is spent.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch

from sightline.errors import GateError
from sightline.gates.scheme import Lengths, Scheme
from sightline.registry import Registry

Course = Generator[list[Scheme], list[float], None]
"""Yields schemes to be evaluated; is sent their worths."""

MOST_BITS = 16
"""Blocks up to which all schemes can be tried."""
CHUNK = 32
"""Schemes that a searcher without a step of its own asks for at once, so that workers have something to share."""


@dataclass(frozen=True)
class Searcher:
    """A way to search.

    Args:
        make: the course, of the lengths of stages, a generator of random numbers, and options.
        about: one line.
        source: citation key; empty where it needs none.
        config: a dataclass of the options, which `make` takes as a whole; None where it takes them one by one.
    """

    make: Callable[..., Course]
    about: str
    source: str = ""
    config: type | None = None


SEARCHERS: Registry[Searcher] = Registry("searcher", group="sightline.searchers", error=GateError)


def random(lengths: Lengths, generator: torch.Generator, *, share: float = 0.5) -> Course:
    """Independent bits; what was drawn once is not drawn again, until nothing is left.

    Args:
        lengths: number of blocks of each stage.
        generator: random numbers of the draws.
        share: probability of each bit.
    """
    schemes: set[Scheme] = set()
    many, tries = 2 ** min(sum(lengths), 62), 0
    while len(schemes) < many and tries < 1000:
        chunk: list[Scheme] = []
        while len(chunk) < CHUNK and len(schemes) < many and tries < 1000:
            scheme = Scheme.random(lengths, generator, share)
            tries = tries + 1 if scheme in schemes else 0
            if not tries:
                schemes.add(scheme)
                chunk.append(scheme)
        if chunk:
            yield chunk


def greedy(lengths: Lengths, generator: torch.Generator) -> Course:
    """Backward elimination: from all blocks down to none, each time without the block that is missed least.

    At most L (L + 1) / 2 + 1 evaluations for L blocks. Ties are settled by order, so nothing is random.
    """
    now = Scheme.dense(lengths)
    yield [now]
    while any(now.flat()):
        fewer = [without(now, place) for place, bit in enumerate(now.flat()) if bit]
        worths = yield fewer
        now = fewer[max(range(len(fewer)), key=lambda place: worths[place])]


def exhaustive(lengths: Lengths, generator: torch.Generator) -> Course:
    """All schemes, in the order of their bits.

    Raises:
        GateError: there are more than 2^16.
    """
    bits = sum(lengths)
    if bits > MOST_BITS:
        raise GateError(
            f"an exhaustive search of {bits} blocks would try 2^{bits} schemes; at most 2^{MOST_BITS} are tried: "
            "take greedy, random or reinforce"
        )
    return _all(lengths)


def _all(lengths: Lengths) -> Course:
    every = (shaped(flat, lengths) for flat in product((False, True), repeat=sum(lengths)))
    while chunk := [scheme for _, scheme in zip(range(CHUNK), every, strict=False)]:
        yield chunk


def shaped(flat: Any, lengths: Lengths) -> Scheme:
    """A scheme from all its bits in forward order."""
    bits = iter(flat)
    return Scheme(tuple(tuple(bool(next(bits)) for _ in range(length)) for length in lengths))


def without(scheme: Scheme, place: int) -> Scheme:
    """The scheme with one bit at 0."""
    flat = list(scheme.flat())
    flat[place] = False
    return shaped(flat, scheme.lengths)


SEARCHERS.add("random", Searcher(random, "schemes drawn at random, none twice"))
SEARCHERS.add("greedy", Searcher(greedy, "backward elimination, block by block"))
SEARCHERS.add("exhaustive", Searcher(exhaustive, "all schemes, up to 2^16"))
