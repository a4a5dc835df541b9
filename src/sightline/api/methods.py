"""Which methods answer: names in any spelling, the user's own setting, and what to do with one that does not fit."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sightline.errors import InputError, MethodError, SightlineError
from sightline.explainers import METHODS, Method
from sightline.explainers.default import DEFAULT, preferred

T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choice:
    """The methods of a call.

    Args:
        names: names in the registry, each once.
        by_default: whether neither the call nor the user's setting named one.
        why: why these answer, where the call did not name them and the default is not meant.
    """

    names: tuple[str, ...]
    by_default: bool = False
    why: str = ""


def chosen(method: str | Sequence[str] | None) -> Choice:
    """The methods that were asked for, in any spelling; those of the user's setting, or the default, if none was.

    Raises:
        MethodError: one is not known, or the list is empty.
        InputError: the user's configuration cannot be read.

    Example:
        >>> chosen(["Grad-CAM", "grad_cam", "IntegratedGradients"]).names
        ('gradcam', 'integrated_gradients')
    """
    setting = preferred() if method is None else None
    if method is None and setting is None:
        return Choice((DEFAULT,), by_default=True)
    wanted, why = setting or (method, "")
    names: list[Any] = list(wanted) if isinstance(wanted, Iterable) and not isinstance(wanted, str) else [wanted]
    if not names:
        raise MethodError("no method was asked for; name one of " + ", ".join(METHODS))
    if other := next((name for name in names if not isinstance(name, str)), None):
        raise MethodError(f"a method is asked for by its name, not by {type(other).__name__}; name one of METHODS")
    try:
        return Choice(tuple(dict.fromkeys(METHODS.name_of(name) for name in names)), why=why)
    except MethodError as problem:
        raise MethodError(f"{problem} ({why})" if why else str(problem)) from problem


def options_of(names: tuple[str, ...], options: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Options by method; flat ones belong to the only method.

    Raises:
        MethodError: they are flat and there are several methods, or a method has no such option.
    """
    nested = all(isinstance(value, Mapping) and key in METHODS for key, value in options.items())
    if options and not nested and len(names) > 1:
        raise MethodError('with several methods, options are written {"method": {"option": value}}')
    by_method = {METHODS.name_of(key): own for key, own in options.items()} if nested else {names[0]: options}
    for name, own in by_method.items():
        METHODS[name].check_options(own)
    return by_method


@dataclass
class Fitting:
    """Asks all methods of a call, chunk by chunk; one that does not fit the model is left out, and the others go on.

    Args:
        reasons: by name, why a method was left out.
    """

    reasons: dict[str, str] = field(default_factory=dict)
    _settled: bool = False

    def ask(self, methods: tuple[Method, ...], answer: Callable[[tuple[Method, ...]], list[T]]) -> list[T]:
        """What the methods answer that fit; which these are is settled by the first chunk.

        Args:
            methods: all that were asked for.
            answer: asks some of them.

        Raises:
            SightlineError: none fits, the fault is in what was passed, or one fails in a later chunk.
        """
        methods = tuple(method for method in methods if method.name not in self.reasons)
        try:
            answers = answer(methods)
        except InputError:
            raise
        except SightlineError:
            if len(methods) == 1 or self._settled:
                raise
            answers = self._each(methods, answer)
        self._settled = True
        return answers

    def _each(self, methods: tuple[Method, ...], answer: Callable[[tuple[Method, ...]], list[T]]) -> list[T]:
        """The methods one by one, as together they do not get through."""
        answers: list[T] = []
        problems: dict[str, SightlineError] = {}
        for method in methods:
            try:
                answers += answer((method,))
            except SightlineError as problem:
                problems[method.name] = problem
        if not answers:
            raise _of_all(problems)
        self.reasons |= {name: str(reason) for name, reason in problems.items()}
        for name, reason in self.reasons.items():
            log.warning("%s was left out: %s", name, reason)
        return answers


def _of_all(problems: Mapping[str, SightlineError]) -> SightlineError:
    """One error for all methods: theirs, where they say the same, or a list."""
    texts = {str(problem) for problem in problems.values()}
    if len(texts) == 1:
        return next(iter(problems.values()))
    listed = "; ".join(f"{name}: {problem}" for name, problem in problems.items())
    return MethodError(f"none of the methods fits this model. {listed}")
