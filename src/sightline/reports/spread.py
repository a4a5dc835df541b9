"""Choosing a few of many, evenly. It knows nothing of what is chosen."""

from __future__ import annotations


def spread(count: int, most: int) -> tuple[int, ...]:
    """At most `most` evenly spread indices out of `count`, the first and the last always among them.

    Example:
        >>> spread(10, 4)
        (0, 3, 6, 9)
    """
    if count <= most:
        return tuple(range(count))
    if most <= 1:
        return (count - 1,)
    return tuple(round(step * (count - 1) / (most - 1)) for step in range(most))
