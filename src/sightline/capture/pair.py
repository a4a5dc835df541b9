"""`Pair`: activation A and gradient G of one layer, with what several methods share of them.

All CAM methods read the same pair, so what two of them need is computed once. It can be read a few channels at a
time: products of whole layers would leave the cache, and the pages of each would have to be asked for anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float
from torch import Tensor

if TYPE_CHECKING:
    from sightline.capture.record import Record

SLICE = 1 << 17
"""Neurons in a slice of channels on the CPU: half a megabyte, so that products stay in the cache."""

CANCELLED = 1e-4
"""A sum over channels whose largest value is below this share of its terms' magnitude has cancelled."""

BALANCED = 1e-5
"""The same for a channel's sum over places, where single numbers are no less precise."""


class Pair:
    """Activation and gradient as `[b, c, h, w]` in float32.

    Args:
        A: activation.
        G: gradient of the decision with respect to it; A itself where no gradient was taken.
        rounding: relative error of one number, in the precision in which the model works.
    """

    def __init__(
        self, A: Float[Tensor, "b c h w"], G: Float[Tensor, "b c h w"] | None = None, rounding: float = 0.0
    ) -> None:
        self.A = A
        self._G = G
        self.rounding = rounding

    @classmethod
    def of(cls, record: Record, gradient: Tensor | None = None) -> Pair:
        """The pair of a record, brought into grid form."""
        G = None if gradient is None else record.layout.folded(gradient).float()
        rounding = torch.finfo(record.activation.dtype).eps
        return cls(record.layout.folded(record.activation).float(), G, rounding)

    @property
    def G(self) -> Float[Tensor, "b c h w"]:
        """The gradient.

        Raises:
            RuntimeError: none was taken, which is a fault of the method's declaration.
        """
        if self._G is None:
            raise RuntimeError("this reduction was declared to need no gradient, but asks for one")
        return self._G

    @cached_property
    def GA(self) -> Float[Tensor, "b c h w"]:
        """Gradient x activation, per neuron."""
        return self.G * self.A

    @cached_property
    def G_plus(self) -> Float[Tensor, "b c h w"]:
        """Positive part of the gradient."""
        return self.G.relu()

    @cached_property
    def mass(self) -> Float[Tensor, "b c"]:
        """Sum of each channel's activation over space."""
        return self.A.sum((2, 3))

    @cached_property
    def balanced(self) -> Bool[Tensor, "b c"]:
        """Channels whose activations sum to zero but for rounding: behind a norm over places their mean is gone.

        The sum of n values of root mean square r has a rounding error of `n r` times the relative error of one value,
        and more where the mean was large beside the deviation, for which a margin is left. Values of one sign, whose
        sum is no less than `sqrt(n) r`, never balance.
        """
        n = self.A[0, 0].numel()
        share = min(max(BALANCED, self.rounding) * n**0.5, 0.5)
        balanced: Tensor = self.mass.abs() <= share * torch.linalg.vector_norm(self.A, dim=(2, 3))
        return balanced

    def without_noise(self, evidence: Float[Tensor, "b h w"]) -> Float[Tensor, "b h w"]:
        """Gradient x activation, summed over channels, and zero where that sum has cancelled.

        Where a norm follows that forgets the length of what it gets (LayerNorm per place), this sum is zero by
        construction and what is left of it in floating point is noise: it is set to zero, not passed on as a map.
        """
        noise = self._noise
        return evidence.masked_fill((peak(evidence) < noise) & noise.isfinite(), 0.0)

    @cached_property
    def _noise(self) -> Float[Tensor, "b 1 1"]:
        """Below this a sum over channels of gradient x activation has cancelled; read off some of the places."""
        rows, columns = (max(1, side // 8) for side in self.A.shape[2:])
        terms = self.G[:, :, ::rows, ::columns] * self.A[:, :, ::rows, ::columns]
        return max(CANCELLED, self.rounding) * peak(terms.abs().sum(1))

    def weighted(self, weights: Float[Tensor, "b m c"]) -> Float[Tensor, "b m h w"]:
        """Sums of the activation's channels with m sets of weights."""
        return torch.bmm(weights, self.A.flatten(2)).view(*weights.shape[:2], *self.A.shape[2:])

    def slices(self) -> Iterator[Pair]:
        """The same pair, some whole channels at a time; on other devices than the CPU all at once."""
        b, c, h, w = self.A.shape
        step = c if self.A.device.type != "cpu" else max(1, SLICE // (b * h * w))
        if step >= c:
            yield self
            return
        for start in range(0, c, step):
            yield Pair(self.A[:, start : start + step], self.G[:, start : start + step], self.rounding)


def peak(x: Float[Tensor, "b h w"]) -> Float[Tensor, "b 1 1"]:
    """Largest magnitude of each map."""
    return x.abs().amax((1, 2), keepdim=True)
