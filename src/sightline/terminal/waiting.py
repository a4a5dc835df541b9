"""A bar for calls from Python that take longer than two seconds: on a terminal and in notebooks, never in logs.

The command line has bars of its own, made by `screen`; while one of them is shown, nothing is shown here.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, ParamSpec, Protocol, TypeVar

from sightline.common.preferences import preference
from sightline.common.steps import followed, listening
from sightline.results.display import in_notebook

DELAY, REFRESH = 2.0, 0.25
"""Seconds until the bar appears, and between two drawings of it."""
OFF = ("off", "0", "no", "false")
"""Values of `SIGHTLINE_PROGRESS`, and of `progress` in the user's preferences, that switch bars off."""
P = ParamSpec("P")
R = TypeVar("R")


@dataclass
class State:
    """How far a call is.

    Args:
        title: what is being done.
        done: samples that are done.
        total: samples in all; 0 while that is not known.
        step: steps done of the innermost work, such as the forwards of an occlusion.
        steps: their number.
    """

    title: str
    done: int = 0
    total: int = 0
    step: int = 0
    steps: int = 0
    start: float = field(default_factory=time.monotonic)

    def sample_done(self, done: int, total: int) -> None:
        """Some samples are done; the steps of the next one begin."""
        self.done, self.total, self.step, self.steps = done, total, 0, 0

    @property
    def share(self) -> float:
        """The part that is done, 0..1, with the steps of the sample at work."""
        inner = self.step / self.steps if self.steps > 1 else 0.0
        return min(1.0, (self.done + inner * (self.done < self.total)) / self.total) if self.total else inner

    @property
    def words(self) -> str:
        """How far it is, in words."""
        minutes, seconds = divmod(int(time.monotonic() - self.start), 60)
        samples = f"{self.done} of {self.total}" if self.total > 1 else ""
        steps = f"step {self.step} of {self.steps}" if self.steps > 1 else ""
        return " · ".join(part for part in (samples, steps, f"{minutes}:{seconds:02d}") if part)


class Bar(Protocol):
    """Something that shows a state and goes away."""

    def draw(self, state: State) -> None:
        """Show it."""

    def close(self) -> None:
        """Take it away."""


class TerminalBar:
    """A line on standard error."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, Progress, TextColumn

        from sightline.terminal.screen import err

        columns = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.fields[words]}"))
        self._progress = Progress(*columns, console=err(), transient=True)
        self._task = self._progress.add_task("", total=1.0, words="")
        self._progress.start()

    def draw(self, state: State) -> None:
        """Show it."""
        self._progress.update(self._task, description=state.title, completed=state.share, words=state.words)

    def close(self) -> None:
        """Take it away."""
        self._progress.stop()


class NotebookBar:
    """A progress element below the cell."""

    def __init__(self) -> None:
        from IPython.display import HTML, display

        self._html = HTML
        self._handle = display(HTML(""), display_id=True)

    def draw(self, state: State) -> None:
        """Show it."""
        bar = f'<progress value="{state.share:.3f}" max="1" style="width:16em;vertical-align:middle"></progress>'
        self._handle.update(self._html(f"<div>{state.title} {bar} {state.words}</div>"))

    def close(self) -> None:
        """Take it away; the empty output stays."""
        self._handle.update(self._html(""))


def bar_here() -> Callable[[], Bar] | None:
    """The bar that fits where this runs; None in a log, or where the user switched bars off."""
    wish = preference("progress")
    if wish is not None and wish.value.lower() in OFF:
        return None
    if in_notebook():
        return NotebookBar
    return TerminalBar if sys.stderr is not None and sys.stderr.isatty() else None


@contextmanager
def waiting(title: str, make: Callable[[], Bar] | None) -> Iterator[State]:
    """Show a bar while what is inside runs, if that takes longer than two seconds.

    Args:
        title: what is being done.
        make: the bar; None shows nothing.

    Yields:
        The state, whose `done` and `total` the work keeps up to date.
    """
    state, over = State(title), threading.Event()

    def step(done: int, total: int) -> None:
        state.step, state.steps = done, total

    with listening(step):
        if make is None:
            yield state
            return
        thread = threading.Thread(target=_watch, args=(state, over, make), daemon=True)
        thread.start()
        try:
            yield state
        finally:
            over.set()
            thread.join()


def _watch(state: State, over: threading.Event, make: Callable[[], Bar]) -> None:
    """Draw the state again and again, from a moment after the start until the work is over."""
    if over.wait(DELAY):
        return
    bar = make()
    try:
        bar.draw(state)
        while not over.wait(REFRESH):
            bar.draw(state)
    finally:
        bar.close()


def with_bar(title: str, argument: str = "progress") -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A long function that takes a listener: None shows a bar, False none, and a function of the user's is called.

    Args:
        title: what the function does.
        argument: name of its keyword argument for the listener, which is called with samples done and their total.
    """

    def decorated(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            own: Any = kwargs.get(argument)
            if own is False or callable(own) or followed():
                kwargs[argument] = own if callable(own) else None
                return function(*args, **kwargs)
            with waiting(title, bar_here()) as state:
                kwargs[argument] = state.sample_done
                return function(*args, **kwargs)

        return call

    return decorated
