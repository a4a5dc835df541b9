"""How sure a difference is: a mean with its interval at 95 %, and at the level that many tests at once need.

Numbers only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.common.statistics.bootstrap import Interval, bootstrap

LEVEL = 0.05
"""Chance of a false report, over all tests of one kind together."""
DRAWS = 2000


def strict(tests: int = 1) -> float:
    """Confidence of one interval of `tests`, so that all hold together at 95 % (Bonferroni)."""
    return 1 - LEVEL / max(1, tests)


@dataclass(frozen=True)
class Trial:
    """A mean beside its null.

    Args:
        interval: interval at 95 %, which is shown.
        strict: interval at the level of all tests together, which decides.
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
        seed: seed of the resampling.
    """
    finite = values[torch.isfinite(values)].double()
    draws = max(DRAWS, min(20_000, math.ceil(40 * tests / LEVEL)))
    joint = bootstrap(finite, draws=draws, confidence=strict(tests), seed=seed)
    return Trial(bootstrap(finite, draws=DRAWS, seed=seed), joint)
