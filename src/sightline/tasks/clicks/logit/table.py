"""`ChoiceTable`: who chose what, of which alternatives, as arrays. It reads no file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sightline.errors import DataError, near

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ChoiceTable:
    """Choices among alternatives.

    Args:
        alternatives: their names.
        columns: by name, a value for every choice and alternative; NaN where an alternative was not there.
        available: what could be chosen.
        chosen: place of what was chosen.
        groups: who chose, as numbers, for errors that are clustered; a number for every row where that is not known.
    """

    alternatives: tuple[str, ...]
    columns: Mapping[str, Floats]
    available: NDArray[np.bool_]
    chosen: NDArray[np.int64]
    groups: NDArray[np.int64]

    def __len__(self) -> int:
        """Number of choices."""
        return len(self.chosen)

    def column(self, name: str) -> Floats:
        """A column, `[rows, alternatives]`.

        Raises:
            DataError: there is none of that name.
        """
        if name not in self.columns:
            raise DataError(f"the table of choices has no column {name!r}; {near(name, self.columns)}")
        return self.columns[name]

    def place(self, alternative: str) -> int:
        """Position of an alternative.

        Raises:
            DataError: there is none of that name.
        """
        if alternative not in self.alternatives:
            raise DataError(f"there is no alternative {alternative!r}; there are {', '.join(self.alternatives)}")
        return self.alternatives.index(alternative)

    def where(self, rows: NDArray[np.bool_]) -> ChoiceTable:
        """Some of the choices."""
        columns = {name: values[rows] for name, values in self.columns.items()}
        return ChoiceTable(self.alternatives, columns, self.available[rows], self.chosen[rows], self.groups[rows])

    def without(self, alternative: str) -> ChoiceTable:
        """Choices of others, among the others."""
        place = self.place(alternative)
        rest = self.where(self.chosen != place)
        available = rest.available.copy()
        available[:, place] = False
        return ChoiceTable(rest.alternatives, rest.columns, available, rest.chosen, rest.groups)
