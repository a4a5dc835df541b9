"""How sure a difference is: intervals at the level that many tests at once need, exact tests, false discovery rate.

Numbers only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.common.statistics.bootstrap import Interval, bootstrap

LEVEL = 0.05
"""Chance of a false report, over all tests of one kind together."""
DRAWS = 2000


@dataclass(frozen=True)
class Trial:
    """A mean beside its null.

    Args:
        interval: at 95 %, which is shown.
        strict: at the level of all tests together, which decides.
    """

    interval: Interval
    strict: Interval

    def above(self, null: float) -> bool:
        """Whether it is larger than its null at both levels."""
        return self.interval.low > null and self.strict.low > null

    def below(self, null: float) -> bool:
        """Whether it is smaller than its null at both levels."""
        return self.interval.high < null and self.strict.high < null


def trial(values: Float[Tensor, " n"], tests: int = 1, *, seed: int = 0) -> Trial:
    """A mean with its interval, and with the one that allows for `tests` tests at once (Bonferroni).

    Args:
        values: one per independent sample; those that are not finite are left out.
        tests: how many tests of this kind are made.
        seed: of the resampling.
    """
    kept = values[torch.isfinite(values)].double()
    strict = 1 - LEVEL / max(1, tests)
    draws = max(DRAWS, min(20_000, math.ceil(40 * tests / LEVEL)))
    return Trial(bootstrap(kept, draws=DRAWS, seed=seed), bootstrap(kept, draws=draws, confidence=strict, seed=seed))


def sign_test(more: int, fewer: int) -> float:
    """Exact two-sided p of paired yes-or-no differences: P(as uneven a split of more + fewer fair coins).

    Example:
        >>> sign_test(5, 0), sign_test(3, 3)
        (0.0625, 1.0)
    """
    total, least = more + fewer, min(more, fewer)
    if not total:
        return 1.0
    logs = [
        math.lgamma(total + 1) - math.lgamma(k + 1) - math.lgamma(total - k + 1) - total * math.log(2)
        for k in range(least + 1)
    ]
    return min(1.0, 2 * math.fsum(math.exp(value) for value in logs))


def discoveries(chances: Sequence[float], rate: float = LEVEL) -> list[bool]:
    """Which of many p may be reported so that at most `rate` of the reports are false [benjamini1995controlling].

    Example:
        >>> discoveries([0.001, 0.04, 0.03, 0.9])
        [True, False, False, False]
    """
    order = sorted(range(len(chances)), key=lambda i: chances[i])
    last = max((rank for rank, i in enumerate(order, 1) if chances[i] <= rate * rank / len(order)), default=0)
    kept = set(order[:last])
    return [i in kept for i in range(len(chances))]


def wilson(hits: int, total: int, tests: int = 1) -> tuple[float, float]:
    """Wilson's interval of a share, at the level of `tests` tests at once; 0 to 1 where nothing was counted."""
    if not total:
        return 0.0, 1.0
    z = math.sqrt(2) * float(torch.erfinv(torch.tensor(1 - LEVEL / max(1, tests), dtype=torch.float64)))
    share, scale = hits / total, 1 + z * z / total
    centre = (share + z * z / (2 * total)) / scale
    half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / scale
    return max(0.0, centre - half), min(1.0, centre + half)
