"""Integrated gradients of a click's fields, for utilities that are not a sum over pairs [sundararajan2017axiomatic].

They look at each field along the way from the average impression to the row; the orders of Shapley-Taylor look at its
value and its mean alone. Both sum to the logit, so that a reader can see where they agree.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.tasks.clicks.explain.attribution import Average
from sightline.tasks.clicks.network.network import ClickNet

STEPS = 64
"""Places on the way at which gradients are taken: Gauss-Legendre's, exact for polynomials of degree 127."""


def integrated_gradients(
    net: ClickNet, ids: Int[Tensor, "1 n"], values: Float[Tensor, "1 m"], average: Average, *, steps: int = STEPS
) -> Float[Tensor, " n"]:
    """What each field adds to the logit of the average impression: `(f - m) . int_0^1 grad v(m + t (f - m)) dt`.

    Args:
        net: in eval mode.
        ids: the row.
        values: its numbers.
        average: the average impression.
        steps: places on the way.
    """
    import numpy as np

    nodes, weights = np.polynomial.legendre.leggauss(steps)
    with torch.no_grad():
        difference = net.fields(ids, values)[0] - average.fields
        linear = net.linear_terms(ids, values)[0] - average.linear
    shares = torch.as_tensor((nodes + 1) / 2, dtype=difference.dtype, device=difference.device)
    way = (average.fields + shares[:, None, None] * difference).requires_grad_()
    total = net.interaction(way).sum()
    if not total.requires_grad:  # no interaction at all
        return linear
    (gradients,) = torch.autograd.grad(total, [way])
    scale = torch.as_tensor(weights / 2, dtype=difference.dtype, device=difference.device)
    along = torch.einsum("s,snd,nd->n", scale, gradients, difference)
    return (along + linear).detach()
