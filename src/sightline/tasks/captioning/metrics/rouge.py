"""ROUGE-L, as pycocoevalcap computes it."""

from __future__ import annotations

from collections.abc import Sequence

from sightline.tasks.captioning.metrics.ngrams import Words, check_pairs

BETA = 1.2
"""How much more recall counts than precision."""


def rouge_l(candidates: Sequence[Words], references: Sequence[Sequence[Words]]) -> list[float]:
    r"""ROUGE-L of each caption [lin2004rouge]; that of a set is their mean.

    $$ F = \frac{(1 + \beta^2) P R}{R + \beta^2 P} $$

    with $P$ and $R$ the longest common subsequence as a share of caption and reference, each the best of all
    references.

    Raises:
        InputError: the numbers do not fit, or an image has no reference.

    Example:
        >>> rouge_l(["a red circle".split()], [["a red circle".split()]])
        [1.0]
    """
    check_pairs(candidates, references)
    return [_score(own, refs) for own, refs in zip(candidates, references, strict=True)]


def common_length(a: Words, b: Words) -> int:
    """Length of the longest common subsequence.

    Example:
        >>> common_length("a red big circle".split(), "a big circle".split())
        3
    """
    row = [0] * (len(b) + 1)
    for word in a:
        above = 0  # the entry up and to the left
        for j, other in enumerate(b, start=1):
            above, row[j] = row[j], above + 1 if word == other else max(row[j], row[j - 1])
    return row[-1]


def _score(candidate: Words, references: Sequence[Words]) -> float:
    if not candidate:
        return 0.0
    lengths = [(common_length(candidate, reference), len(reference)) for reference in references]
    precision = max(common for common, _ in lengths) / len(candidate)
    recall = max(common / length if length else 0.0 for common, length in lengths)
    below = recall + BETA**2 * precision
    return (1 + BETA**2) * precision * recall / below if below else 0.0
