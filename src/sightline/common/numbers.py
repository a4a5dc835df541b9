"""Numbers as people type them, in files and options: what Python alone would read too freely, or not at all.

`int` refuses 5000 digits, `str.isdigit` takes a superscript for a digit, `float` takes `1_0`.
"""

from __future__ import annotations

import math
import re

from sightline.errors import InputError, SightlineError

_WHOLE = re.compile("[+-]?[0-9]{1,18}")
"""Whole numbers that fit into 64 bits."""
SEEDS = 2**32
"""Seeds are whole numbers from 0 to below this: what every generator of random numbers takes."""


def whole(text: str) -> int | None:
    """The whole number that a text is, or None.

    Example:
        >>> whole(" 12 "), whole("²"), whole("1.0"), whole("9" * 5000)
        (12, None, None, None)
    """
    plain = text.strip()
    return int(plain) if _WHOLE.fullmatch(plain) else None


def real(text: str) -> float | None:
    """The finite number that a text is, or None.

    Example:
        >>> real("1e-3"), real("1_0"), real("nan"), real("1e999")
        (0.001, None, None, None)
    """
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in text else None


def check_seed(seed: int, *, error: type[SightlineError] = InputError) -> int:
    """The seed itself.

    Raises:
        error: it is no number that every generator takes.
    """
    if not 0 <= seed < SEEDS:
        text = str(seed) if abs(seed) < 10**18 else "a number of more than 18 digits"
        raise error(f"the seed is {text}; give a whole number from 0 to {SEEDS - 1}")
    return seed
