"""Confidence intervals of measured shares. Pure functions."""

from __future__ import annotations

from math import sqrt


def wilson(hits: int, total: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's 95 % score interval of a share of `hits` in `total` independent trials.

    centre = (p + z^2 / 2n) / (1 + z^2 / n), half = z sqrt(p (1 - p) / n + z^2 / 4n^2) / (1 + z^2 / n)

    Example:
        >>> low, high = wilson(0, 10)
        >>> (round(low, 3), round(high, 3))
        (0.0, 0.278)
    """
    if total == 0:
        return 0.0, 1.0
    share, scale = hits / total, 1 + z * z / total
    centre = (share + z * z / (2 * total)) / scale
    half = z * sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / scale
    return max(0.0, centre - half), min(1.0, centre + half)
