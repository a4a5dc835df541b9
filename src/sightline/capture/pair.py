"""`Pair`: activation A and gradient G of one stage, with the products that several methods share.

All CAM methods read the same pair, so what two of them need is computed once.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from jaxtyping import Float
from torch import Tensor

if TYPE_CHECKING:
    from sightline.capture.record import Record


CANCELLED = 1e-4
"""A sum over channels whose largest value is below this share of its terms' magnitude has cancelled."""


class Pair:
    """Activation and gradient as `[b, c, h, w]` in float32.

    Args:
        A: activation.
        G: gradient of the decision with respect to it; A itself where no gradient was taken.
    """

    def __init__(self, A: Float[Tensor, "b c h w"], G: Float[Tensor, "b c h w"] | None = None) -> None:
        self.A = A
        self._G = G

    @classmethod
    def of(cls, record: Record, gradient: Tensor | None = None) -> Pair:
        """The pair of a record, brought into grid form."""
        G = None if gradient is None else record.layout.to_grid(gradient).float()
        return cls(record.layout.to_grid(record.activation).float(), G)

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
    def evidence(self) -> Float[Tensor, "b h w"]:
        """Gradient x activation, summed over channels.

        Where a norm follows that forgets the length of what it gets (LayerNorm per place), this sum is zero by
        construction and what is left of it in floating point is noise: it is set to zero, not passed on as a map.
        """
        total = self.GA.sum(1)
        rows, columns = (max(1, side // 8) for side in total.shape[1:])
        terms = self.GA[:, :, ::rows, ::columns].abs().sum(1).amax((1, 2), keepdim=True)
        return total.masked_fill(total.abs().amax((1, 2), keepdim=True) < CANCELLED * terms, 0.0)

    @cached_property
    def G_plus(self) -> Float[Tensor, "b c h w"]:
        """Positive part of the gradient."""
        return self.G.relu()

    @cached_property
    def mass(self) -> Float[Tensor, "b c 1 1"]:
        """Sum of each channel's activation over space."""
        return self.A.sum((2, 3), keepdim=True)

    def weighted(self, weights: Float[Tensor, "b c"]) -> Float[Tensor, "b h w"]:
        """Sum of the activation's channels with these weights."""
        flat = weights[:, None] @ self.A.flatten(2)
        return flat.reshape(self.A.shape[0], *self.A.shape[2:])
