"""Sentences back to the attributes that they name. Knows the templates of `sentences` and no others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from sightline.tasks.attributes.data.vocabulary import Vocabulary
from sightline.tasks.attributes.explain.nouns import base, denied, phrases
from sightline.tasks.attributes.explain.sentences import OPENINGS

SPOKEN = re.compile(
    rf"(?:{'|'.join(OPENINGS)})(.*?)(?=\.(?:\s|$)|, which is unusual|, but attributes| speaks? against it)"
)
"""Where in the templates attributes are named; class names lie outside."""


def parse(text: str, vocabulary: Vocabulary) -> tuple[int, ...]:
    """The attributes that a text of `sentences` names, in the order of their first mention.

    Example:
        >>> from sightline.tasks.attributes.data.vocabulary import Attribute
        >>> birds = Vocabulary(tuple(Attribute(f"{part}::red", part, "red") for part in ("breast", "belly", "bill")))
        >>> parse("This is a Red Bill because it has a red breast and belly.", birds)
        (0, 1)
    """
    positions, pattern, pairs = _lexicon(vocabulary)
    mentions = [
        at
        for body in SPOKEN.finditer(text)
        for match in pattern.finditer(body[1])
        for at in _positions(positions[match[0]], body[1], match, vocabulary, pairs)
    ]
    return tuple(dict.fromkeys(mentions))


Pairs = dict[tuple[str, str], int]


@lru_cache(maxsize=32)
def _lexicon(vocabulary: Vocabulary) -> tuple[dict[str, int], re.Pattern[str], Pairs]:
    """From every text to its attribute, a pattern that finds the longest, and attributes by value and noun."""
    words = phrases(vocabulary)
    positions = {one.text: at for at, one in enumerate(words)}
    for at, one in enumerate(words):
        for form in (denied(one).text, base(one)[1]):
            positions.setdefault(form, at)
    longest = sorted(positions, key=len, reverse=True)
    pattern = re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, longest))})(?![\w-])")
    return positions, pattern, {(one.value, one.noun): at for at, one in enumerate(words) if one.value}


def _positions(at: int, body: str, match: re.Match[str], vocabulary: Vocabulary, pairs: Pairs) -> Iterator[int]:
    """An attribute that was found, with those that share its words: "red and white" crown, red breast "and belly"."""
    words = phrases(vocabulary)[at]
    before = re.search(r"(?<![\w-])([\w -]+?)(?: and| instead of(?: an?)?) $", body[: match.start()])
    values = [] if before is None else [before[1][start:] for start in _starts(before[1])]
    yield from [pairs[value, words.noun] for value in values if (value, words.noun) in pairs][:1]
    yield at
    nouns = sorted((noun for value, noun in pairs if value == words.value), key=len, reverse=True)
    if not words.value or not nouns:
        return
    more = re.compile(rf"(?:, | and )({'|'.join(map(re.escape, nouns))})(?![\w-])")
    place = match.end()
    while following := more.match(body, place):
        yield pairs[words.value, following[1]]
        place = following.end()


def _starts(text: str) -> list[int]:
    """Where words begin."""
    return [match.start() for match in re.finditer(r"(?<![\w-])[\w-]", text)]
