"""A simulated log of clicks whose answer is known: which pairs of fields interact is planted.

The utility of clicking is a sum of main effects, low-rank interactions of planted pairs and of planted triples, and a
table over three fields; a click is the choice with Gumbel noise on both utilities, which is a logistic draw.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sightline.common.files import write_text

LEVELS = (10, 20, 30, 50, 80, 100, 150, 200)
"""Categories of each field."""
NAMES = ("weekday", "hour", "device", "place", "topic", "banner", "site", "user")
RANK = 2
"""Rank of a planted interaction."""
NARROW = 3
"""Fields of the table: the first ones, which have the fewest categories."""
BASE = -0.5
"""Utility that is added to all, which sets the click rate."""


@dataclass(frozen=True)
class Drawn:
    """Impressions.

    Args:
        cells: category of every field, `[rows, n]`.
        utility: true utility of clicking.
        clicked: 1 for a click.
    """

    cells: NDArray[np.int64]
    utility: NDArray[np.float64]
    clicked: NDArray[np.int8]


class ClickWorld:
    """A world of clicks.

    Args:
        seed: of everything in it.
        pairs: number of planted pairs.
        triples: number of planted triples.
        table: whether the three narrowest fields have a table: a number of its own for each of their 6,000
            combinations.
        strength: standard deviation of each planted interaction over impressions.
        main: standard deviation of each main effect.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        pairs: int = 8,
        triples: int = 0,
        table: bool = False,
        strength: float = 0.7,
        main: float = 0.3,
    ) -> None:
        draw = np.random.default_rng([seed, 18])
        self.count = len(LEVELS)
        self.shares = [_skewed(levels, draw) for levels in LEVELS]
        self.main = [main * _standard(draw.normal(size=(len(share), 1)), share) for share in self.shares]
        places = list(combinations(range(self.count), 2))
        self.pairs = sorted(places[place] for place in draw.permutation(len(places))[:pairs])
        threes = list(combinations(range(self.count), 3))
        self.triples = sorted(threes[place] for place in draw.permutation(len(threes))[:triples])
        self.tables = {
            own: [_standard(draw.normal(size=(LEVELS[place], RANK)), self.shares[place]) for place in own]
            for own in (*self.pairs, *self.triples)
        }
        self.strength = strength
        self.table = _table(self.shares[:NARROW], draw) if table else None

    def utility(self, cells: NDArray[np.int64]) -> NDArray[np.float64]:
        """True utility of clicking."""
        total = BASE + sum(effect[cells[:, place], 0] for place, effect in enumerate(self.main))
        for own, tables in self.tables.items():
            product = np.ones((len(cells), RANK))
            for place, table in zip(own, tables, strict=True):
                product = product * table[cells[:, place]]
            total = total + self.strength / RANK**0.5 * product.sum(1)
        if self.table is not None:
            total = total + self.strength * self.table[tuple(cells[:, :NARROW].T)]
        return np.asarray(total)

    def draw(self, rows: int, seed: int = 0) -> Drawn:
        """Impressions and clicks.

        Args:
            rows: how many.
            seed: of these rows.
        """
        draw = np.random.default_rng([seed, 19])
        cells = np.stack([draw.choice(len(share), rows, p=share) for share in self.shares], 1)
        utility = self.utility(cells)
        noise = draw.gumbel(size=(rows, 2))
        return Drawn(cells, utility, (utility + noise[:, 1] > noise[:, 0]).astype(np.int8))

    def write(self, path: Path, rows: int, seed: int = 0) -> Drawn:
        """Impressions as a CSV file.

        Args:
            path: where.
            rows: how many.
            seed: of these rows.
        """
        impressions = self.draw(rows, seed)
        cells = np.char.add([f"{name}_" for name in NAMES], impressions.cells.astype(str))
        lines = [",".join(("click", *NAMES))]
        rows_of_cells = zip(impressions.clicked.tolist(), cells.tolist(), strict=True)
        lines += [f"{label},{','.join(row)}" for label, row in rows_of_cells]
        write_text(path, "\n".join(lines) + "\n")
        return impressions


def _skewed(levels: int, draw: np.random.Generator) -> NDArray[np.float64]:
    """Shares of categories: a few are frequent."""
    weights = draw.pareto(1.2, levels) + 0.2
    return np.asarray(weights / weights.sum())


def _table(shares: list[NDArray[np.float64]], draw: np.random.Generator) -> NDArray[np.float64]:
    """Independent numbers for every combination, with mean 0 and variance 1 over impressions."""
    weights = np.multiply.outer(np.multiply.outer(shares[0], shares[1]), shares[2])
    return _standard(draw.normal(size=weights.size)[:, None], weights.ravel())[:, 0].reshape(weights.shape)


def _standard(table: NDArray[np.float64], share: NDArray[np.float64]) -> NDArray[np.float64]:
    """The table with mean 0 and variance 1 over impressions."""
    table = table - share @ table
    return np.asarray(table / np.sqrt(share @ table**2))
