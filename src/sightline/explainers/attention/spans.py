"""Which module made which operation of a tape, so that an attention has the name of the module it lies in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from torch import nn

from sightline.explainers.attention.pattern import Product
from sightline.explainers.flow.affine import Step
from sightline.explainers.flow.tape import Tape


class ModuleSpans:
    """Which calls of a tape each module made: its first and the one behind its last."""

    def __init__(self) -> None:
        self._spans: list[tuple[str, int, int]] = []
        self._open: list[tuple[str, int]] = []

    @contextmanager
    def listening(self, model: nn.Module, tape: Tape) -> Iterator[None]:
        """Hooks are on the model inside, and off it outside."""
        with ExitStack() as undo:
            for path, module in model.named_modules():
                undo.callback(module.register_forward_pre_hook(partial(self._enter, path, tape)).remove)
                undo.callback(module.register_forward_hook(partial(self._leave, tape), always_call=True).remove)
            yield

    def _enter(self, path: str, tape: Tape, module: nn.Module, args: Any) -> None:
        self._open.append((path, len(tape.calls)))

    def _leave(self, tape: Tape, module: nn.Module, args: Any, output: Any) -> None:
        path, start = self._open.pop()
        self._spans.append((path, start, len(tape.calls)))

    def name(self, tape: Tape, steps: Sequence[Step], product: Product, number: int) -> str:
        """Path of the innermost module in which the shares are made and multiplied."""
        calls = {id(call): i for i, call in enumerate(tape.calls)}
        first, last = (calls.get(id(steps[i])) for i in (product.source, product.index))
        if first is None or last is None:
            return f"attention.{number}"
        around = [(stop - start, -path.count("."), path) for path, start, stop in self._spans
                  if start <= first and last < stop]  # fmt: skip
        return min(around, default=(0, 0, ""))[-1] or f"attention.{number}"


def numbered(names: Sequence[str]) -> list[str]:
    """Names with a call number behind those that come more than once.

    Example:
        >>> numbered(["a", "b", "a"])
        ['a:1', 'b', 'a:2']
    """
    counts: dict[str, int] = {}
    each = []
    for name in names:
        counts[name] = counts.get(name, 0) + 1
        each.append(f"{name}:{counts[name]}" if names.count(name) > 1 else name)
    return each
