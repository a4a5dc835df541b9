"""Whether words point at the right regions, on scenes in which these are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from sightline.common.statistics.bootstrap import Interval, bootstrap
from sightline.tasks.captioning.explain.methods import CONTROLS, METHODS, Question, weights_of
from sightline.tasks.captioning.metrics.measures import regions_of
from sightline.tasks.captioning.network.captioner import Captioner
from sightline.tasks.captioning.world.scenes import KINDS, Scenes


@dataclass(frozen=True)
class Pointing:
    """How often the region with most weight is a right one.

    Args:
        method: how weights were found.
        words: over words that name a colour or a shape, one region each.
        relations: over relation words, for which either of the two regions is right.
    """

    method: str
    words: Interval
    relations: Interval


def pointing(
    net: Captioner,
    scenes: Scenes,
    methods: Sequence[str] = (*METHODS, *CONTROLS),
    *,
    kinds: Sequence[str] = KINDS,
) -> list[Pointing]:
    """Score methods on one true sentence of each scene, kinds of relation in turn; scenes are resampled.

    Args:
        net: the captioner.
        scenes: what the sentences are about.
        methods: names of `METHODS` and `CONTROLS`.
        kinds: relations that the sentences tell.
    """
    named: dict[str, list[float]] = {method: [] for method in methods}
    related: dict[str, list[float]] = {method: [] for method in methods}
    for row in range(len(scenes)):
        sentence = scenes.sentence(row, kinds[row % len(kinds)], turned=bool(row // len(kinds) % 2))
        right = scenes.regions(row, sentence)
        tokens = torch.tensor([[*(net.numbers[word] for word in sentence), net.end]])
        question = Question(net, regions_of(scenes[row : row + 1]), tokens)
        for method in methods:
            weights = weights_of(question, method)
            hits = [_hit(weights[k].tolist(), own) for k, own in enumerate(right)]
            sizes = [len(own) for own in right]
            named[method].append(_mean(hits, sizes, 1))
            related[method].append(_mean(hits, sizes, 2))
    return [
        Pointing(method, *(bootstrap(torch.tensor(part[method], dtype=torch.float64)) for part in (named, related)))
        for method in methods
    ]


def best_method(points: Sequence[Pointing]) -> str:
    """The method that points best: at a word's region, and where methods are equal at a relation's regions.

    Choose on scenes that no figure is reported of.
    """
    return max(points, key=lambda own: (own.words.mean, own.relations.mean)).method


def _hit(weights: Sequence[float], right: frozenset[int]) -> float:
    """Share of the regions with most weight that are right: equal weights count as a guess among them."""
    best = max(weights)
    top = [i for i, weight in enumerate(weights) if weight == best]
    return sum(i in right for i in top) / len(top)


def _mean(hits: Sequence[float], sizes: Sequence[int], size: int) -> float:
    own = [hit for hit, n in zip(hits, sizes, strict=True) if n == size]
    return sum(own) / len(own)
