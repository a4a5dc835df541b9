"""Several threads and one model, or one setting of the whole process: who waits for whom. It knows no state."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from torch import nn

P = ParamSpec("P")
R = TypeVar("R")


@contextmanager
def alone(*models: object) -> Iterator[None]:
    """No other thread works on these models inside, as far as it goes through Sightline; this one may once more.

    Models that share a submodule are one in this respect. Ask for several at once rather than for one
    inside the other, so that two threads cannot wait for each other.

    Args:
        models: modules; other objects are passed over.
    """
    with claimed(part for model in models for part in tree(model)):
        yield


@contextmanager
def claimed(parts: Iterable[object]) -> Iterator[None]:
    """`alone` for parts that are known already."""
    claim = _Claim(threading.get_ident(), frozenset(map(id, parts)))
    try:
        claim.take()
        yield
    finally:
        surely(claim.give_back)


def exclusive(function: Callable[P, R]) -> Callable[P, R]:
    """A function of a model, on which no other thread works meanwhile; see `alone`.

    Its first argument is the model, or has it as its `model`.
    """

    @wraps(function)
    def exclusively(*args: P.args, **kwargs: P.kwargs) -> R:
        model = args[0] if args else kwargs.get("model")
        with alone(model if isinstance(model, nn.Module) else getattr(model, "model", None)):
            return function(*args, **kwargs)

    return exclusively


class ProcessWide:
    """A setting of the whole process: the first thread that needs it switches it on, the last one off.

    Args:
        make: the context that switches it.
    """

    def __init__(self, make: Callable[[], AbstractContextManager[object]]) -> None:
        self._make = make
        self._door = threading.Lock()
        self._inside = 0
        self._setting = ExitStack()

    @contextmanager
    def on(self) -> Iterator[None]:
        """The setting is on inside, in every thread."""
        with self._door:
            if not self._inside:
                self._setting.enter_context(self._make())
            self._inside += 1
        try:
            yield
        finally:
            with self._door:
                self._inside -= 1
                if not self._inside:
                    self._setting.close()


def surely(step: Callable[[], object]) -> None:
    """Take a step that may be taken twice to its end: Ctrl-C in the middle of it is answered after a second try."""
    try:
        step()
    except BaseException:
        step()
        raise


class _Walks(threading.local):
    """What this thread knows of trees that stay as they are; None where it may not rely on any."""

    trees: dict[int, tuple[nn.Module, ...]] | None = None
    marks: set[object] | None = None


_WALKS = _Walks()


@contextmanager
def steady() -> Iterator[None]:
    """Trees of modules stay as they are inside, in this thread, so that each is walked once.

    What changes a tree inside puts it back before the tree is asked for again, as `modes.as_found` does.
    """
    before = _WALKS.trees, _WALKS.marks
    _WALKS.trees, _WALKS.marks = ({}, set()) if before[0] is None else before
    try:
        yield
    finally:
        _WALKS.trees, _WALKS.marks = before


def marks() -> set[object]:
    """What was found to hold for trees that stay as they are; an empty set where none may be relied on."""
    return set() if _WALKS.marks is None else _WALKS.marks


def tree(model: object) -> tuple[nn.Module, ...]:
    """Every submodule once, the model first; nothing of an object that is no module."""
    if not isinstance(model, nn.Module):
        return ()
    if _WALKS.trees is None:
        return _walked(model)
    modules = _WALKS.trees.get(id(model))  # which live as long as this does, so that no other gets the number
    if modules is None:
        modules = _WALKS.trees[id(model)] = _walked(model)
    return modules


def _walked(model: nn.Module) -> tuple[nn.Module, ...]:
    # By identity: a class of the user's may compare in a way of its own, and then cannot be hashed.
    modules = {id(model): model}
    waiting: list[nn.Module] = [model]
    while waiting:
        for child in waiting.pop()._modules.values():
            if child is not None and id(child) not in modules:
                modules[id(child)] = child
                waiting.append(child)
    return tuple(modules.values())


class _Claim:
    """That a thread works on some parts.

    Args:
        thread: whose it is.
        parts: identities of the parts, which live at least as long as the claim.
    """

    claims: list[_Claim] = []  # noqa: RUF012 - shared on purpose: the claims of all threads
    changed = threading.Condition()

    def __init__(self, thread: int, parts: frozenset[int]) -> None:
        self.thread, self.parts = thread, parts

    def take(self) -> None:
        """Wait until no other thread works on any of the parts, and take all of them at once."""
        with self.changed:
            self.changed.wait_for(lambda: not any(self._meets(other) for other in self.claims))
            self.claims.append(self)

    def give_back(self) -> None:
        """Give the parts back, from whichever thread: a generator may be closed by another than began it."""
        with self.changed:
            self.claims[:] = [claim for claim in self.claims if claim is not self]
            self.changed.notify_all()

    def _meets(self, other: _Claim) -> bool:
        return self.thread != other.thread and not self.parts.isdisjoint(other.parts)

    @classmethod
    def forget(cls) -> None:
        """Nobody holds anything: a forked process has one thread, and none to wait for."""
        cls.claims, cls.changed = [], threading.Condition()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_Claim.forget)
