"""The confidence interval of a measured share. It knows counts only."""

from __future__ import annotations

from math import erf, sqrt

NOMINAL = erf(1.959964 / sqrt(2))
"""95 %, from the quantile 1.959964 as tables print it: saved figures were made with these digits."""


def wilson(hits: int, total: int, *, confidence: float = NOMINAL) -> tuple[float, float]:
    """Wilson's score interval of a share of `hits` in `total` independent trials; 0 to 1 where nothing was counted.

    centre = (p + z^2 / 2n) / (1 + z^2 / n), half = z sqrt(p (1 - p) / n + z^2 / 4n^2) / (1 + z^2 / n)

    Args:
        hits: trials with the property.
        total: all trials.
        confidence: nominal coverage, between 0 and 1.

    Example:
        >>> low, high = wilson(0, 10)
        >>> (round(low, 3), round(high, 3))
        (0.0, 0.278)
    """
    from scipy.stats import binomtest

    if total == 0:
        return 0.0, 1.0
    # against its own share the test has p = 1 and does not search its tails: audits ask for 10^5 of these
    low, high = binomtest(hits, total, p=hits / total).proportion_ci(confidence, method="wilson")
    return float(low), float(high)
