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
        """Gradient x activation, summed over channels."""
        return self.GA.sum(1)

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
