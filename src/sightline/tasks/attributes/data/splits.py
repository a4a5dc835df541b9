"""Splits that depend on nothing but names: which pictures are put aside, class by class.

A picture's place is decided by a hash of its path below the root, so it does not move with the order of a list, and
hardly when pictures are added. Knows nothing of attributes.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from sightline.data.grouped import whole_groups
from sightline.errors import DataError

FROZEN = (0.4, 0.2, 0.4)
"""Shares of training, validation and test where a data set comes without a split of its pictures."""


def carved(
    names: Sequence[str], labels: NDArray[np.int64], split: NDArray[np.int8], *, share: float, seed: int
) -> NDArray[np.int8]:
    """Put a share of every class's training pictures aside for validation; test pictures stay where they are.

    Args:
        names: path of every picture below the root, with forward slashes.
        labels: class of every picture, [n].
        split: 0 training, 1 validation, 2 test, [n]; left as it is where some pictures are 1 already.
        share: share of the training pictures, rounded in every class; one at least stays in training.
        seed: seed that decides which ones.

    Raises:
        DataError: the share is not in [0, 1).
    """
    if not 0 <= share < 1:
        raise DataError(f"the share of pictures put aside for validation is {share}; it lies in [0, 1)")
    if (split == 1).any():
        return split
    new = split.copy()
    for rows in _by_class(names, labels, split == 0, str(seed)):
        new[rows[: min(_rounded(share * len(rows)), len(rows) - 1)]] = 1
    return new


def carved_whole(
    groups: Sequence[str], labels: NDArray[np.int64], split: NDArray[np.int8], *, share: float, seed: int
) -> NDArray[np.int8]:
    """Put whole groups of training pictures aside for validation; test pictures stay where they are.

    Args:
        groups: group of every picture, such as its patient.
        labels: class of every picture, [n].
        split: 0 training, 1 validation, 2 test, [n]; left as it is where some pictures are 1 already.
        share: share of the training pictures of each class that is aimed at.
        seed: seed that decides which groups.

    Raises:
        DataError: all training pictures are of one group.
    """
    if (split == 1).any():
        return split
    rows = np.flatnonzero(split == 0)
    aside = whole_groups([groups[int(row)] for row in rows], labels[rows].tolist(), share, key=str(seed))
    new = split.copy()
    new[rows[np.array(aside, bool)]] = 1
    return new


def frozen(
    names: Sequence[str], labels: NDArray[np.int64], shares: tuple[float, float, float] = FROZEN
) -> NDArray[np.int8]:
    """A split into training, validation and test that is the same on every machine and for every seed, [n]."""
    new = np.zeros(len(names), np.int8)
    for rows in _by_class(names, labels, np.ones(len(names), bool), "frozen"):
        first, second = _rounded(shares[0] * len(rows)), _rounded((shares[0] + shares[1]) * len(rows))
        new[rows[first:second]] = 1
        new[rows[second:]] = 2
    return new


def _by_class(
    names: Sequence[str], labels: NDArray[np.int64], chosen: NDArray[np.bool_], key: str
) -> list[NDArray[np.int64]]:
    """Rows of each class, in an order that only the key and the names decide."""
    order = np.array(sorted(np.flatnonzero(chosen), key=lambda row: _hash(key, names[int(row)])), np.int64)
    return [order[labels[order] == label] for label in np.unique(labels[order])]


def _hash(key: str, name: str) -> bytes:
    return sha256(f"{key}/{name}".encode()).digest()


def _rounded(count: float) -> int:
    """Half goes up."""
    return int(count + 0.5)
