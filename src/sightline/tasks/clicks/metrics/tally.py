"""`Tally`: logits and labels of any number of rows in a memory of fixed size, for the figures of large logs.

Logits are counted in narrow bins, clicks and others apart. AUC and its interval take logits less than 0.00005 apart
as ties, which moves them by far less than their interval; the log loss is exact.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sightline.common.statistics.intervals import NOMINAL
from sightline.tasks.clicks.metrics.scores import BINS, Bin, Floats, log_losses

BIN_COUNT = 2**20
"""Bins of logits."""
FARTHEST = 20.0
"""Logits beyond this are counted in the outer bins."""


@dataclass
class Tally:
    """What is known of the rows so far.

    Args:
        counts: non-clicks and clicks in every bin.
        total: sum of the probabilities in every bin.
        loss: sum of the log losses.
    """

    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros((2, BIN_COUNT), np.int64))
    total: Floats = field(default_factory=lambda: np.zeros(BIN_COUNT))
    loss: float = 0.0

    def add(self, logits: Floats, labels: Floats) -> None:
        """Take rows into account.

        Args:
            logits: utilities of clicking.
            labels: 1 for a click.
        """
        scaled = (np.clip(logits, -FARTHEST, FARTHEST) + FARTHEST) * ((BIN_COUNT - 1) / (2 * FARTHEST))
        places, clicks = np.rint(scaled).astype(np.int64), labels > 0
        probabilities = 1 / (1 + np.exp(-logits))
        for kind, own in enumerate((~clicks, clicks)):
            bins, rows = np.unique(places[own], return_counts=True)
            self.counts[kind, bins] += rows
        np.add.at(self.total, places, probabilities)
        self.loss += float(log_losses(probabilities, labels).sum())

    @property
    def rows(self) -> int:
        """Rows so far."""
        return int(self.counts.sum())

    @property
    def clicks(self) -> int:
        """Clicks so far."""
        return int(self.counts[1].sum())

    @property
    def auc(self) -> float | None:
        """Probability that a click is above a non-click, ties counted half; None where there are not both."""
        others, clicks = self.counts.astype(np.float64)
        if not others.sum() or not clicks.sum():
            return None
        below = others.cumsum() - others / 2
        return float((clicks * below).sum() / (clicks.sum() * others.sum()))

    @property
    def auc_interval(self) -> tuple[float, float] | None:
        """95 % interval of the AUC by DeLong's variance [delong1988comparing]."""
        from scipy.stats import norm

        value, (others, clicks) = self.auc, self.counts.astype(np.float64)
        if value is None or clicks.sum() < 2 or others.sum() < 2:
            return None
        below = (others.cumsum() - others / 2) / others.sum()  # of a click in a bin: share of non-clicks below
        above = 1 - (clicks.cumsum() - clicks / 2) / clicks.sum()
        variances = [
            float((own * np.square(shares - value)).sum() / (own.sum() - 1) / own.sum())
            for own, shares in ((clicks, below), (others, above))
        ]
        half = float(norm.ppf((1 + NOMINAL) / 2)) * sum(variances) ** 0.5
        return max(0.0, value - half), min(1.0, value + half)

    def reliability(self, bins: int = BINS) -> tuple[Bin, ...]:
        """Predicted and observed rates in bins of about equally many rows."""
        rows = self.counts.sum(0)
        edges = np.searchsorted(rows.cumsum(), np.arange(1, bins) * rows.sum() / bins, side="left") + 1
        result = []
        for own in np.split(np.arange(BIN_COUNT), np.unique(edges)):
            if count := int(rows[own].sum()):
                clicks = int(self.counts[1, own].sum())
                result.append(Bin(float(self.total[own].sum()) / count, clicks / count, count))
        return tuple(result)
