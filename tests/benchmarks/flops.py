"""Counting: floating-point operations of a call, and how often the model runs in it."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def flops(work: Callable[[], object]) -> int:
    """Multiplications and additions in convolutions and products of matrices, also inside autograd's backward."""
    with FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())


class Calls:
    """How often a model was called, inside a `with`."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.count = 0

    def __enter__(self) -> Calls:
        self._hook = self.model.register_forward_pre_hook(self._note)
        return self

    def _note(self, *_: object) -> None:
        self.count += 1

    def __exit__(self, *_: object) -> None:
        self._hook.remove()
