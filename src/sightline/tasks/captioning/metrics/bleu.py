"""BLEU, as pycocoevalcap computes it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sightline.tasks.captioning.metrics.ngrams import LONGEST, Run, Words, check_pairs, runs

TINY, SMALL = 1e-15, 1e-9
"""What pycocoevalcap adds above and below, so that nothing is divided by zero."""


@dataclass(frozen=True)
class Matches:
    """Counts of one caption, or of many.

    Args:
        right: runs of each length that a reference has too, at most as often as it has them.
        total: runs of each length.
        length: words.
        reference: words of the reference whose length is closest.
    """

    right: tuple[int, ...]
    total: tuple[int, ...]
    length: int
    reference: int


def bleu(candidates: Sequence[Words], references: Sequence[Sequence[Words]]) -> tuple[float, ...]:
    r"""BLEU-1 to BLEU-4 over a set of captions [papineni2002bleu].

    $$ \mathrm{BLEU}_n = \min\left(1, e^{1 - r/c}\right) \left(\prod_{k \le n} p_k\right)^{1/n} $$

    with $p_k$ the share of runs of $k$ words that a reference has, $c$ the words of all captions and $r$ those of the
    references whose lengths are closest.

    Raises:
        InputError: the numbers do not fit, or an image has no reference.

    Example:
        >>> round(bleu(["a red circle".split()], [["a red circle".split()]])[1], 6)
        1.0
    """
    check_pairs(candidates, references)
    return _score(_sum(matches(own, refs) for own, refs in zip(candidates, references, strict=True)))


def bleu_each(candidates: Sequence[Words], references: Sequence[Sequence[Words]]) -> list[tuple[float, ...]]:
    """BLEU-1 to BLEU-4 of each caption alone; their mean is not the BLEU of the set.

    Raises:
        InputError: the numbers do not fit, or an image has no reference.
    """
    check_pairs(candidates, references)
    return [_score(matches(own, refs)) for own, refs in zip(candidates, references, strict=True)]


def matches(candidate: Words, references: Sequence[Words]) -> Matches:
    """What of a caption its references have."""
    most: Counter[Run] = Counter()
    for reference in references:
        most |= runs(reference)
    right = [0] * LONGEST
    for run, count in (runs(candidate) & most).items():
        right[len(run) - 1] += count
    length = len(candidate)
    total = tuple(max(0, length - n) for n in range(LONGEST))
    closest = min((abs(len(reference) - length), len(reference)) for reference in references)[1]
    return Matches(tuple(right), total, length, closest)


def _sum(parts: Iterable[Matches]) -> Matches:
    rows = list(parts)
    right = tuple(map(sum, zip(*(row.right for row in rows), strict=True)))
    total = tuple(map(sum, zip(*(row.total for row in rows), strict=True)))
    return Matches(right, total, sum(row.length for row in rows), sum(row.reference for row in rows))


def _score(counts: Matches) -> tuple[float, ...]:
    ratio = (counts.length + TINY) / (counts.reference + SMALL)
    short = math.exp(1 - 1 / ratio) if ratio < 1 else 1.0
    scores, product = [], 1.0
    for n, (right, total) in enumerate(zip(counts.right, counts.total, strict=True), start=1):
        product *= (right + TINY) / (total + SMALL)
        scores.append(product ** (1 / n) * short)
    return tuple(scores)
