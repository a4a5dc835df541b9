"""The aviary's words as a vocabulary; the reader of a written world gives the same."""

from __future__ import annotations

from functools import cache

from sightline.tasks.attributes.data.vocabulary import Attribute, Vocabulary
from sightline.worlds.aviary.attributes import GROUPS, Group

WHOLE = "body"
"""What the aviary calls the part of an attribute that all of the bird shows."""


@cache
def aviary_vocabulary() -> Vocabulary:
    """The 80 attributes of the aviary in the order of its files; all 16 groups are exclusive.

    Example:
        >>> words = aviary_vocabulary()
        >>> len(words), words.attributes[0].part, words.groups[0].exclusive
        (80, 'bill', True)
    """
    words = tuple(_word(group, value) for group in GROUPS for value in group.values)
    return Vocabulary(words, tuple(group.name for group in GROUPS))


def _word(group: Group, value: str) -> Attribute:
    whole = group.part == WHOLE
    return Attribute(
        name=f"{group.name}::{value}",
        group=group.name,
        value=value,
        part="" if whole else group.part,
        scope="object" if whole else "part",
    )
