"""Normalisation of queries over the elements of a set: NSA's half of the paper, with masks.

It knows tensors of queries and a mask of real elements; nothing of boxes.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

Normaliser = Literal["none", "layer", "batch", "instance-affine", "instance"]
NORMALISERS: tuple[Normaliser, ...] = ("none", "layer", "batch", "instance-affine", "instance")
"""What the paper's second table compares; `instance` is NSA."""
EPSILON = 1e-5


def instance_normalised(
    x: Float[Tensor, "b n c"], mask: Bool[Tensor, "b n"] | None = None, *, epsilon: float = EPSILON
) -> Float[Tensor, "b n c"]:
    r"""Standardise each channel over the elements of its sample [guo2020ngsan].

    $$ \hat{x}_{btc} = \frac{x_{btc} - \mu_{bc}}{\sqrt{\sigma^2_{bc} + \epsilon}}, \quad
    \mu_{bc} = \frac{1}{T_b}\sum_t x_{btc}, \quad \sigma^2_{bc} = \frac{1}{T_b}\sum_t (x_{btc} - \mu_{bc})^2 $$

    **Only real elements count.** Sets of different size are padded to one batch; with the padding in the statistics
    the result for a set depends on the size of the others. A set of one element becomes 0.

    Args:
        x: queries.
        mask: which elements are real; None for all.
        epsilon: what is added to the variance.

    Returns:
        The standardised queries; padding becomes some finite number.
    """
    if mask is None:
        centred = x - x.mean(1, keepdim=True)
        return centred * (centred.square().mean(1, keepdim=True) + epsilon).rsqrt()
    real = mask[..., None].to(x.dtype)
    count = real.sum(1, keepdim=True).clamp_min(1)
    centred = (x - (x * real).sum(1, keepdim=True) / count) * real
    return centred * (centred.square().sum(1, keepdim=True) / count + epsilon).rsqrt()


class QueryNorm(nn.Module):
    """One of the `NORMALISERS`, on queries.

    Args:
        kind: `instance` is NSA; `none` is plain self-attention, bit for bit.
        width: number of channels.
        epsilon: what is added to variances.
    """

    def __init__(self, kind: Normaliser, width: int, *, epsilon: float = EPSILON) -> None:
        super().__init__()
        self.kind, self.epsilon = kind, epsilon
        if kind == "layer":
            self.inner: nn.Module = nn.LayerNorm(width, eps=epsilon)
        elif kind == "batch":
            self.inner = nn.BatchNorm1d(width, eps=epsilon)
        if kind == "instance-affine":
            self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, q: Float[Tensor, "b n c"], mask: Bool[Tensor, "b n"] | None) -> Float[Tensor, "b n c"]:
        """The normalised queries."""
        if self.kind == "none":
            return q
        if self.kind == "layer":
            return self.inner(q)  # type: ignore[no-any-return]
        if self.kind == "batch":
            return self._batch(q, mask)
        normal = instance_normalised(q, mask, epsilon=self.epsilon)
        return normal * self.weight + self.bias if self.kind == "instance-affine" else normal

    def _batch(self, q: Tensor, mask: Tensor | None) -> Tensor:
        """Statistics over the real elements of all samples together."""
        if mask is None:
            return self.inner(q.flatten(0, 1)).reshape(q.shape)  # type: ignore[no-any-return]
        out = q.clone()
        out[mask] = self.inner(q[mask])
        return out
