"""CIDEr-D, as pycocoevalcap computes it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sightline.tasks.captioning.metrics.ngrams import LONGEST, Run, Words, check_pairs, runs

SIGMA = 6.0
"""How much a difference in length costs."""


@dataclass(frozen=True)
class Weighed:
    """A sentence as weighed runs of words.

    Args:
        weights: by length of the runs: run to weight.
        norms: by length of the runs: length of the vector.
        length: number of its runs of two words, by which lengths are compared.
    """

    weights: tuple[dict[Run, float], ...]
    norms: tuple[float, ...]
    length: int


class CiderD:
    r"""CIDEr-D against a fixed collection of references, which says how rare a run of words is [vedantam2015cider].

    $$ \mathrm{CIDEr\text{-}D}(c, S) = \frac{10}{4|S|} \sum_{n=1}^{4} \sum_{s \in S} e^{-(l_c - l_s)^2 / 2 \sigma^2}
    \frac{\min(g_n(c), g_n(s)) \cdot g_n(s)}{\|g_n(c)\| \|g_n(s)\|} $$

    with $g_n$ the counts of runs of $n$ words, each weighed by the logarithm of (images / images whose references
    have it). So a value says nothing without its collection, and values of small collections are not COCO's.

    Args:
        references: of every image of the collection.
    """

    def __init__(self, references: Sequence[Sequence[Words]]) -> None:
        self.images = len(references)
        self.documents = Counter(run for own in references for run in {r for s in own for r in runs(s)})
        self._known: dict[tuple[str, ...], Weighed] = {}

    def score(self, candidate: Words, references: Sequence[Words]) -> float:
        """CIDEr-D of one caption."""
        own = self.weighed(candidate)
        total = sum(self._likeness(own, self._reference(tuple(reference))) for reference in references)
        return 10.0 * total / (LONGEST * len(references))

    def weighed(self, words: Words) -> Weighed:
        """A sentence as weighed runs."""
        weights: tuple[dict[Run, float], ...] = tuple({} for _ in range(LONGEST))
        for run, count in runs(words).items():
            rarity = math.log(self.images) - math.log(max(1.0, self.documents[run]))
            weights[len(run) - 1][run] = count * rarity
        norms = tuple(math.sqrt(sum(value**2 for value in part.values())) for part in weights)
        return Weighed(weights, norms, max(0, len(words) - 1))

    def _reference(self, words: tuple[str, ...]) -> Weighed:
        """A reference, weighed once: self-critical training asks for the same ones again and again."""
        if words not in self._known:
            self._known[words] = self.weighed(words)
        return self._known[words]

    @staticmethod
    def _likeness(own: Weighed, other: Weighed) -> float:
        near = math.exp(-((own.length - other.length) ** 2) / (2 * SIGMA**2))
        total = 0.0
        for mine, theirs, norm, norm_theirs in zip(own.weights, other.weights, own.norms, other.norms, strict=True):
            product = sum(min(value, theirs.get(run, 0.0)) * theirs.get(run, 0.0) for run, value in mine.items())
            total += product / (norm * norm_theirs) if norm and norm_theirs else product
        return total * near


def cider_d(candidates: Sequence[Words], references: Sequence[Sequence[Words]]) -> list[float]:
    """CIDEr-D of each caption, its references being the collection; that of a set is their mean.

    Raises:
        InputError: the numbers do not fit, or an image has no reference.

    Example:
        >>> references = [["a red circle".split()], ["one blue square".split()]]
        >>> round(cider_d(["a red circle".split(), "a ring".split()], references)[0], 2)
        7.5
    """
    check_pairs(candidates, references)
    collection = CiderD(references)
    return [collection.score(own, refs) for own, refs in zip(candidates, references, strict=True)]
