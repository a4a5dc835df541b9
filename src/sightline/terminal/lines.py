"""How far a long command is where there is no terminal: a line now and then, with an estimate of the time left."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from rich.progress import Progress, TaskID

from sightline.terminal.screen import err, say_note

EVERY = 30.0
"""Seconds between two lines; what is done sooner writes none."""


def duration(seconds: float) -> str:
    """A time in words, as coarse as an estimate is.

    Example:
        >>> duration(8.2), duration(95), duration(4000)
        ('8 s', '2 min', '1 h 7 min')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


class Lines(Progress):
    """A progress bar's stand-in for logs.

    Args:
        clock: time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(console=err(), disable=True)
        self._clock = clock
        self._begun: dict[TaskID, float] = {}
        self._last = clock()

    def add_task(self, *args: Any, **kwargs: Any) -> TaskID:
        """See `rich.progress.Progress`."""
        task = super().add_task(*args, **kwargs)
        self._begun[task] = self._clock()
        return task

    def update(self, task_id: TaskID, **kwargs: Any) -> None:
        """Note how far a task is, and write a line if the last one is old enough."""
        super().update(task_id, **kwargs)
        task, now = self._tasks[task_id], self._clock()
        if now - self._last < EVERY or not task.total or not 0 < task.completed < task.total:
            return
        self._last = now
        left = (now - self._begun[task_id]) / task.completed * (task.total - task.completed)
        say_note(f"{task.description}: {task.completed:.0f} of {task.total:.0f}, about {duration(left)} left")


class EpochLines:
    """A line for every epoch: its figures and an estimate of the time left.

    Args:
        epochs: how many there are at most.
        labels: for each name that is shown, the figure.
        clock: time in seconds.
    """

    def __init__(
        self, epochs: int, labels: Mapping[str, str], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._epochs, self._labels, self._clock = epochs, labels, clock
        self._begun = clock()
        self._first: int | None = None

    def __call__(self, number: int, row: Mapping[str, float]) -> None:
        """Write the line of an epoch, counted from 1."""
        figures = ", ".join(f"{name} {row[key]:.4f}" for name, key in self._labels.items() if key in row)
        parts = [part for part in (figures, self._left(number)) if part]
        say_note(f"epoch {number} of {self._epochs}: {'; '.join(parts) or 'done'}")

    def _left(self, number: int) -> str:
        now = self._clock()
        if self._first is None:  # its time holds the reading of the data, so later epochs are measured from its end
            self._first, spent, epochs = number, now - self._begun, 1
            self._begun = now
        else:
            spent, epochs = now - self._begun, number - self._first
        left = spent / epochs * (self._epochs - number)
        return f"about {duration(left)} left" if left > 0 else ""
