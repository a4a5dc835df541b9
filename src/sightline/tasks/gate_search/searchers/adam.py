"""Adam for a handful of small tensors; `torch.optim` takes seconds to load, and a search on a table none."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

FIRST, SECOND, TINY = 0.9, 0.999, 1e-8


class Adam:
    """Adam with its published constants [kingma2015adam].

    Args:
        parts: what is stepped, in place.
        rate: learning rate.
    """

    def __init__(self, parts: Sequence[Tensor], rate: float) -> None:
        self._parts = list(parts)
        self._rate = rate
        self._means = [torch.zeros_like(part) for part in self._parts]
        self._squares = [torch.zeros_like(part) for part in self._parts]
        self._steps = 0

    def descend(self, loss: Tensor) -> None:
        """One step down the gradient of a loss."""
        self._steps += 1
        gradients = torch.autograd.grad(loss, self._parts)
        with torch.no_grad():
            for part, gradient, mean, square in zip(self._parts, gradients, self._means, self._squares, strict=True):
                mean.lerp_(gradient, 1 - FIRST)
                square.mul_(SECOND).addcmul_(gradient, gradient, value=1 - SECOND)
                spread = (square / (1 - SECOND**self._steps)).sqrt() + TINY
                part -= self._rate * mean / (1 - FIRST**self._steps) / spread
