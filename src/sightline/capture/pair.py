"""`Pair`: activation A and gradient G of one stage, with the sums over them that several methods share.

All CAM methods read the same pair, so what two of them need is computed once. Products of A and G are made a few
channels at a time: as wholes they would leave the cache, and the pages of each would have to be asked for anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

if TYPE_CHECKING:
    from sightline.capture.record import Record

PerNeuron = Callable[[Float[Tensor, "b s h w"], Float[Tensor, "b s h w"]], Float[Tensor, "b s h w"]]
"""From activation and gradient of some whole channels to one number per neuron."""

SLICE = 1 << 16
"""Neurons in a slice of channels on the CPU: a quarter of a megabyte, so that a few products fit into the cache."""

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
    def _products(self) -> tuple[Float[Tensor, "b h w"], Float[Tensor, "b c"]]:
        """Gradient x activation, summed over channels and over space."""
        total, shares = None, []
        for A, G in self._slices():
            product = G * A
            part = product.sum(1)
            total = part if total is None else total + part
            shares.append(product.sum((2, 3)))
        return total if total is not None else self.A.sum(1), joined(shares)

    @cached_property
    def evidence(self) -> Float[Tensor, "b h w"]:
        """Gradient x activation, summed over channels.

        Where a norm follows that forgets the length of what it gets (LayerNorm per place), this sum is zero by
        construction and what is left of it in floating point is noise: it is set to zero, not passed on as a map.
        """
        total = self._products[0]
        rows, columns = (max(1, side // 8) for side in total.shape[1:])
        terms = self.G[:, :, ::rows, ::columns] * self.A[:, :, ::rows, ::columns]
        bound = CANCELLED * peak(terms.abs().sum(1))
        return total.masked_fill((peak(total) < bound) & bound.isfinite(), 0.0)

    @property
    def channel_evidence(self) -> Float[Tensor, "b c"]:
        """Gradient x activation, summed over space."""
        return self._products[1]

    @cached_property
    def mass(self) -> Float[Tensor, "b c"]:
        """Sum of each channel's activation over space."""
        return self.A.sum((2, 3))

    def over_channels(self, per_neuron: PerNeuron) -> Float[Tensor, "b h w"]:
        """Sum over channels of a number per neuron."""
        parts = [per_neuron(A, G).sum(1) for A, G in self._slices()]
        return parts[0] if len(parts) == 1 else torch.stack(parts).sum(0)

    def over_space(self, per_neuron: PerNeuron) -> Float[Tensor, "b c"]:
        """Sum over space of a number per neuron."""
        return joined([per_neuron(A, G).sum((2, 3)) for A, G in self._slices()])

    def weighted(self, weights: Float[Tensor, "b c"]) -> Float[Tensor, "b h w"]:
        """Sum of the activation's channels with these weights."""
        return torch.bmm(weights[:, None], self._places).view(self.A.shape[0], *self.A.shape[2:])

    @cached_property
    def _places(self) -> Float[Tensor, "b c n"]:
        """Activation with its places in one axis."""
        return self.A.flatten(2)

    def _slices(self) -> Iterator[tuple[Float[Tensor, "b s h w"], Float[Tensor, "b s h w"]]]:
        """Activation and gradient, some whole channels at a time; on other devices than the CPU all at once."""
        b, c, h, w = self.A.shape
        step = c if self.A.device.type != "cpu" else max(1, SLICE // (b * h * w))
        if step >= c:
            yield self.A, self.G
            return
        for start in range(0, c, step):
            yield self.A[:, start : start + step], self.G[:, start : start + step]


def peak(x: Float[Tensor, "b h w"]) -> Float[Tensor, "b 1 1"]:
    """Largest magnitude of each map."""
    return x.abs().amax((1, 2), keepdim=True)


def joined(parts: list[Tensor]) -> Float[Tensor, "b c"]:
    """Slices of channels side by side."""
    return parts[0] if len(parts) == 1 else torch.cat(parts, 1)
