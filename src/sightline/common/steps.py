"""Who follows the steps of a long call: work that goes in chunks reports here, and whoever shows it listens.

Nothing is reported to anybody unless a caller listens, so that work costs the same as before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[int, int], None]
"""Called with the number of steps done and their total."""

_LISTENER: ContextVar[Listener | None] = ContextVar("sightline_listener", default=None)


def report(done: int, total: int) -> None:
    """Say how far some work is, to whoever listens in this thread."""
    listener = _LISTENER.get()
    if listener is not None:
        listener(done, total)


def followed() -> bool:
    """Whether a caller of this thread listens already."""
    return _LISTENER.get() is not None


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Steps of the work inside are reported to `listener`.

    Example:
        >>> steps = []
        >>> with listening(lambda done, total: steps.append((done, total))):
        ...     report(1, 4)
        >>> steps
        [(1, 4)]
    """
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)
