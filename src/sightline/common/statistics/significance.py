"""Exact tests, and what may be reported of many of them. It knows counts and probabilities only."""

from __future__ import annotations

from collections.abc import Sequence


def sign_test(more: int, fewer: int) -> float:
    """Exact two-sided p of paired yes-or-no differences: P(as uneven a split of more + fewer fair coins).

    Args:
        more: pairs that differ one way.
        fewer: pairs that differ the other way.

    Example:
        >>> sign_test(5, 0), sign_test(3, 3)
        (0.0625, 1.0)
    """
    from scipy.stats import binomtest

    return float(binomtest(more, more + fewer).pvalue) if more + fewer else 1.0


def discoveries(chances: Sequence[float], rate: float = 0.05) -> list[bool]:
    """Which of many p may be reported so that at most `rate` of the reports are false [benjamini1995controlling].

    Args:
        chances: one p for each test.
        rate: false discovery rate.

    Example:
        >>> discoveries([0.001, 0.04, 0.03, 0.9])
        [True, False, False, False]
    """
    from scipy.stats import false_discovery_control

    return [bool(adjusted <= rate) for adjusted in false_discovery_control(list(chances))]
