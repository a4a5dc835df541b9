"""What recipes share: words that an option knows, numbers that make sense, and what a run that goes on may change.

It imports no torch, so that the command line can show every default.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sightline.errors import TrainingError, near

PRECISIONS = ("bf16-mixed", "16-mixed", "32")
WITHOUT_EFFECT = frozenset({"workers", "threads", "accelerator"})
"""What may differ when a training goes on: how fast it is, not what is learnt."""
SPELT = {"attribute_weight": "lambda"}
"""Options whose name on the command line is another."""


def check_recipe(
    recipe: Any,
    *,
    words: Mapping[str, Sequence[str]],
    above_zero: Iterable[str],
    not_negative: Iterable[str],
) -> None:
    """See before any work that a recipe makes sense.

    Args:
        recipe: a dataclass of options.
        words: what its options of a few words may be.
        above_zero: its options that are numbers above 0.
        not_negative: its options that are numbers from 0.

    Raises:
        TrainingError: an option makes no sense; the text says what it was.
    """
    for name, known in words.items():
        if (said := getattr(recipe, name)) not in known:
            raise TrainingError(f"--{option(name)} cannot be {said!r}; {near(said, known)}")
    for name in above_zero:
        if getattr(recipe, name) <= 0:
            raise TrainingError(f"--{option(name)} is {getattr(recipe, name)}, but must be above 0")
    for name in not_negative:
        if getattr(recipe, name) < 0:
            raise TrainingError(f"--{option(name)} is {getattr(recipe, name)}, but cannot be negative")


def lasting(recipe: Any) -> dict[str, Any]:
    """What must be the same when a training goes on, by its name on the command line."""
    return {f"--{option(name)}": value for name, value in asdict(recipe).items() if name not in WITHOUT_EFFECT}


def option(name: str) -> str:
    """A field's name on the command line, without its dashes."""
    return SPELT.get(name, name).replace("_", "-")
