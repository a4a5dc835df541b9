"""Levels: which values of a picture are black and which are white, where a file holds more than 8 bits.

A camera's 12 bits and a scanner's Hounsfield units come in files of 16 bits or of floats that do not say so. What is
taken for white is one stated rule; whoever knows better says it. It knows nothing of files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sightline.errors import InputError

SCALES = (1.0, 255.0, 1023.0, 4095.0, 16383.0, 65535.0)
"""Usual full scales: floats of 0..1, and whole numbers of 8, 10, 12, 14 and 16 bits."""

DARKEST = 1 / 16
"""A brightest value below this part of the usual scale is white itself, so that a picture keeps its contrast."""


@dataclass(frozen=True)
class Levels:
    """Values that are drawn black and white.

    Args:
        black: value that becomes 0; None is 0, or the lowest value where some are negative.
        white: value that becomes 255; None is the smallest of `SCALES` that holds every value; the highest value,
            where some are negative, none of the scales holds them, or they would be all but black.

    Raises:
        InputError: they are no finite numbers, or white is not above black.

    Example:
        >>> Levels().of(np.array([0, 3000])), Levels(white=65535).of(np.array([0, 3000]))
        ((0.0, 4095.0), (0.0, 65535.0))
    """

    black: float | None = None
    white: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("black", self.black), ("white", self.white)):
            if value is not None and not np.isfinite(value):
                raise InputError(f"the value of {name} is {value}; give a finite number")
        if self.black is not None and self.white is not None and self.white <= self.black:
            raise InputError(f"white is {self.white:g} and black {self.black:g}; white must be the greater value")

    def __bool__(self) -> bool:
        return self.black is not None or self.white is not None

    def over(self, other: Levels) -> Levels:
        """These levels, and another's where these say nothing."""
        return Levels(
            other.black if self.black is None else self.black, other.white if self.white is None else self.white
        )

    def of(self, values: NDArray[Any]) -> tuple[float, float]:
        """The values that are black and white in a picture.

        Raises:
            InputError: what the user named as one of them leaves nothing between them.
        """
        lowest, highest = float(values.min()), float(values.max())
        black = float(self.black) if self.black is not None else min(lowest, 0.0)
        white = float(self.white) if self.white is not None else _white(lowest, highest, values.dtype.kind)
        if white <= black and self:
            raise InputError(
                f"nothing lies between black ({black:g}) and white ({white:g}): the picture's values run from "
                f"{lowest:g} to {highest:g}; give other values"
            )
        return black, white

    def scaled(
        self, values: NDArray[Any], notes: list[str], *, empty: NDArray[np.bool_] | None = None
    ) -> NDArray[np.uint8]:
        """The values in 0..255; what is beyond black and white is cut off. What was done is added to `notes`.

        Args:
            values: numbers, of any shape.
            notes: sentences on what was done.
            empty: where there is no measured value; drawn black, and counted nowhere.

        Raises:
            InputError: some values are NaN or infinite, or there are none.
        """
        measured = values if empty is None else values[~empty]
        if bad := int((~np.isfinite(measured)).sum()):
            raise InputError(
                f"the picture holds {bad} values that are NaN or infinite, of {values.size}; fill them with a number"
            )
        if not measured.size:
            raise InputError("the picture holds no value that its file does not call missing")
        black, white = self.of(measured)
        notes.append(f"values from {black:g} (black) to {white:g} (white) scaled to 8 bits")
        if lost := int(((measured < black) | (measured > white)).sum()):
            notes.append(f"{lost / values.size:.1%} of the values lie outside of that and were cut off")
        if empty is not None and (count := int(empty.sum())):
            notes.append(f"{count / values.size:.1%} of the values are missing, as the file says, and drawn black")
            values = np.where(empty, np.float64(black), values)
        shares = (values.astype(np.float64) - black) / max(white - black, np.finfo(np.float64).tiny)
        pixels: NDArray[np.uint8] = np.rint(shares.clip(0, 1) * 255).astype(np.uint8)
        return pixels


def _white(lowest: float, highest: float, kind: str) -> float:
    """The value that is taken for white where nobody says."""
    if lowest < 0:
        return highest
    scales = SCALES if kind == "f" else SCALES[1:]
    white = next((scale for scale in scales if highest <= scale), highest)
    return white if highest >= DARKEST * white or not highest else highest
