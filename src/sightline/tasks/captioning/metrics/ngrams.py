"""Runs of words and their counts, which BLEU and CIDEr are made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sightline.errors import InputError

Words = Sequence[str]
"""A sentence as words, without punctuation."""
Run = tuple[str, ...]
LONGEST = 4
"""Longest run of words that is counted."""


def runs(words: Words, longest: int = LONGEST) -> Counter[Run]:
    """How often each run of 1 to `longest` words occurs.

    Example:
        >>> runs("a b a".split(), 2)[("a",)]
        2
    """
    sentence = tuple(words)
    return Counter(sentence[at : at + n] for n in range(1, longest + 1) for at in range(len(sentence) - n + 1))


def check_pairs(candidates: Sequence[Words], references: Sequence[Sequence[Words]]) -> None:
    """Refuse captions that cannot be scored.

    Raises:
        InputError: there is no candidate, their number is another than that of references, or an image has none.
    """
    if not candidates or len(candidates) != len(references):
        raise InputError(
            f"{len(candidates)} captions came with references of {len(references)} images; give one caption for each"
        )
    if missing := [i for i, own in enumerate(references) if not own]:
        raise InputError(
            f"image {missing[0]} has no reference caption ({len(missing)} of {len(references)} have none); leave "
            "such images out, or add captions"
        )
