"""Sentences as words, and words as numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from sightline.errors import DataError
from sightline.tasks.captioning.network.spec import BEGIN, END, SPECIAL, UNKNOWN

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def words_of(sentence: str) -> tuple[str, ...]:
    """A sentence in lower case without punctuation, as captions are compared.

    Example:
        >>> words_of("A dog's bowl, on the floor.")
        ('a', "dog's", 'bowl', 'on', 'the', 'floor')
    """
    return tuple(_WORD.findall(sentence.lower()))


def vocabulary(sentences: Iterable[Sequence[str]], *, least: int = 5) -> tuple[str, ...]:
    """The words that occur often enough, the most frequent first, behind the special ones.

    Args:
        sentences: as words.
        least: a word that occurs less often is unknown; published captioners take 5 or 6.

    Raises:
        DataError: no word is left.
    """
    counts = Counter(word for sentence in sentences for word in sentence)
    kept = sorted((word for word, count in counts.items() if count >= least), key=lambda word: (-counts[word], word))
    if not kept:
        raise DataError(
            f"no word of {len(counts)} occurs {least} times, so that there is no vocabulary; lower --min-count"
        )
    return (*SPECIAL, *kept)


def numbers_of(words: Sequence[str], numbers: Mapping[str, int], longest: int) -> list[int]:
    """A sentence as numbers, cut at `longest` words, with its beginning and its end."""
    inside = [numbers.get(word, numbers[UNKNOWN]) for word in words[:longest]]
    return [numbers[BEGIN], *inside, numbers[END]]


def unknown_words(words: Iterable[str], numbers: Mapping[str, int]) -> tuple[str, ...]:
    """Words that are not in a vocabulary, each once."""
    return tuple(dict.fromkeys(word for word in words if word not in numbers))


def sentence_of(numbers: Sequence[int], vocabulary: Sequence[str]) -> tuple[str, ...]:
    """Numbers as words, up to the end of the sentence."""
    words: list[str] = []
    for number in numbers:
        if vocabulary[number] == END:
            break
        if vocabulary[number] not in SPECIAL or vocabulary[number] == UNKNOWN:
            words.append(vocabulary[number])
    return tuple(words)
