"""`Reporter`: what a training says while it runs. It must not know who listens."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

Report = Callable[[int], None]
"""Told how many more pictures are there."""
Row = dict[str, float]
"""Figures of an epoch, by name."""


@dataclass(frozen=True)
class Reporter:
    """What a training says while it runs; nothing by default.

    Args:
        reading: opened while pictures are read or drawn; what it gives is told of every one.
        epoch: told the number of every epoch, from 1, and its figures.
        bar: whether to show how far an epoch is.
        command: what the card says that the network was made by; the bare verb where it is empty.
    """

    reading: Callable[[], AbstractContextManager[Report]] = lambda: nullcontext(lambda done: None)
    epoch: Callable[[int, Row], None] = lambda number, row: None
    bar: bool = False
    command: str = ""
