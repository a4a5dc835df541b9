"""Which photos are open at once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path


def chunks(photos: Sequence[Path], size: int, *, together: bool = False) -> list[Sequence[Path]]:
    """Photos in order, at most `size` at once.

    Args:
        photos: all of them.
        size: how many.
        together: whether a last photo joins those before it rather than stand alone, since other pictures' maps are
            the control of its own.

    Example:
        >>> photos = [Path("bird.png")] * 9
        >>> [[len(part) for part in chunks(photos, 4, together=joined)] for joined in (False, True)]
        [[4, 4, 1], [4, 5]]
    """
    starts = list(range(0, len(photos), size))
    if together and len(starts) > 1 and starts[-1] == len(photos) - 1:
        starts.pop()
    return [photos[start:end] for start, end in pairwise([*starts, len(photos)])]
