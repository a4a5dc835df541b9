"""Splits that keep groups whole: pictures of one patient, lot or place never lie in two splits.

A group's place depends on its name and on the counts of classes alone. Knows no files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from hashlib import sha256

from sightline.errors import DataError

NO_LABEL = -1
"""What a picture without any label counts as."""
NAMED = 3
"""Most groups that an error text names."""


def whole_groups(groups: Sequence[str], labels: Sequence[int], share: float, *, key: str = "") -> list[bool]:
    """Which pictures to put aside: whole groups, until each class has about its share there.

    Groups are taken in the order of a hash of their names. One is put aside where that brings the counts of classes
    nearer to their shares, and where every class keeps a picture outside.

    Args:
        groups: group of each picture.
        labels: class of each picture; negative for none.
        share: share of every class's pictures that is to be put aside.
        key: another text gives another choice.

    Raises:
        DataError: there are fewer than two groups.

    Example:
        >>> whole_groups(["a", "a", "b", "c"], [0, 1, 0, 1], 0.5).count(True)
        2
    """
    _check_several(groups)
    names = sorted(set(groups), key=lambda name: _place(name, key))
    inside = {name: Counter[int]() for name in names}
    for group, label in zip(groups, labels, strict=True):
        inside[group][label] += 1
    total = sum(inside.values(), Counter[int]())
    aside, chosen = Counter[int](), set[str]()
    for name in names:
        after = aside + inside[name]
        nearer = sum(abs(share * total[c] - aside[c]) - abs(share * total[c] - after[c]) for c in total)
        if nearer > 0 and all(after[c] < total[c] for c in inside[name] if c >= 0):
            aside, chosen = after, chosen | {name}
    return [group in chosen for group in groups]


def stratified_groups(
    groups: Sequence[str], labels: Sequence[Sequence[int]], share: float, *, key: str = ""
) -> list[bool]:
    """Which pictures to put aside where each may have several labels: whole groups, the rarest label's first.

    Groups are taken by the count of their rarest label, then in the order of a hash of their names. One is put aside
    where that brings the shares of its labels nearer to what is wanted, by their squares, and where every label
    keeps a picture outside.

    Args:
        groups: group of each picture; pictures of their own name are split one by one.
        labels: labels of each picture; a picture without any is of a kind of its own.
        share: share of every label's pictures that is to be put aside.
        key: another text gives another choice.

    Raises:
        DataError: there are fewer than two groups.

    Source:
        the order is that of sechidis2011stratification.

    Example:
        >>> stratified_groups(list("abcd"), [[0], [0, 1], [1], []], 0.5).count(True)
        2
    """
    _check_several(groups)
    inside = {name: Counter[int]() for name in groups}
    for group, own in zip(groups, labels, strict=True):
        inside[group].update(own or [NO_LABEL])
    total = sum(inside.values(), Counter[int]())
    order = sorted(inside, key=lambda name: (min(total[c] for c in inside[name]), _place(name, key)))
    aside, chosen = Counter[int](), set[str]()
    for name in order:
        after = aside + inside[name]
        nearer = sum((share - aside[c] / total[c]) ** 2 - (share - after[c] / total[c]) ** 2 for c in inside[name])
        if nearer > 0 and all(after[c] < total[c] for c in inside[name]):
            aside, chosen = after, chosen | {name}
    return [group in chosen for group in groups]


def check_whole(groups: Sequence[str], split: Sequence[str], where: str) -> None:
    """Refuse a split that a group lies on both sides of.

    Args:
        groups: group of each picture.
        split: split of each picture.
        where: what the split is of, for the error text.

    Raises:
        DataError: a group is in two splits; the text counts them and names some.
    """
    places: dict[str, set[str]] = {}
    for group, name in zip(groups, split, strict=True):
        places.setdefault(group, set()).add(name)
    torn = sorted(group for group, names in places.items() if len(names) > 1)
    if torn:
        raise DataError(
            f"{where} has {len(torn)} of {len(places)} groups in more than one split: {', '.join(torn[:NAMED])}. "
            "What is learnt of a group in training helps on its other pictures, so figures would be too good; move "
            "whole groups, or leave the split out"
        )


def _place(name: str, key: str) -> bytes:
    """Where a group stands in the order."""
    return sha256(f"{key}/{name}".encode()).digest()


def _check_several(groups: Sequence[str]) -> None:
    if len(set(groups)) < 2:
        raise DataError(
            f"all {len(groups)} pictures are of one group, {next(iter(groups), '')!r}; a split that keeps groups "
            "whole needs several"
        )
