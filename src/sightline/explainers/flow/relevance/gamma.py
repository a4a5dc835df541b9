"""The generalised gamma rule of an affine map, from which the epsilon and z+ rules follow.

With `z = W x + b`, contributions `x_i w_ij` that have the sign of `z_j` count `1 + gamma` times, the bias being a
contribution like the others:

    R_i = sum_j ( x_i w_ij + gamma (x_i w_ij)^s_j ) / zz_j  R_j,      zz_j = z_j + gamma z_j^s_j,      s_j = sign z_j

where `^+` keeps the positive part of each contribution and `^-` the negative part. As
`(x w)^+ = (x w + |x| |w|) / 2`, both follow from `W` and `|W|` for inputs of any sign, and `|zz| >= |z|`: nothing can
blow up.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sightline.explainers.flow.affine import Affine


def gamma_rule(
    step: Affine, x: Tensor, z: Tensor, G: Tensor, gamma: float, *, epsilon: float = 0.0, rectified: bool = False
) -> Tensor:
    """The message at the input of an affine map, from that at its output [montavon2019lrp; andeol2023gamma].

    Messages are relevance over value: `R_x = x G_x`.

    Args:
        step: the map.
        x: its input.
        z: its output.
        G: the message at its output.
        gamma: how much more supporting contributions count; 0 is the epsilon rule, infinity the z+ rule.
        epsilon: added to the denominator's magnitude, in units of the output's root mean square.
        rectified: whether it is known that `x >= 0`, and that `G` is zero wherever `z <= 0`: half the products do.
    """
    slack = epsilon * z.square().mean(tuple(range(1, z.ndim)), keepdim=True).sqrt() if epsilon else 0.0
    if gamma == 0:
        return step.transpose(G * (z.abs() / (z.abs() + slack)) if epsilon else G, step.W, x)
    plain, raised = (0.0, 1.0) if math.isinf(gamma) else (1.0, gamma)
    if rectified:
        return _rectified(step, x, z, G, plain, raised, slack)
    W = step.W
    size = step.plus_bias(step.apply(x.abs(), W.abs()), None if step.bias is None else step.bias.abs())
    below = (plain + raised / 2) * z.abs() + raised / 2 * size + slack
    q = torch.where(below > 0, G * z.abs() / below, 0.0)
    same = (plain + raised / 2) * step.transpose(q, W, x)
    across = raised / 2 * step.transpose(torch.where(z < 0, -q, q), W.abs(), x)
    return same + torch.where(x < 0, -across, across)


def _rectified(
    step: Affine, x: Tensor, z: Tensor, G: Tensor, plain: float, raised: float, slack: Tensor | float
) -> Tensor:
    """Where nothing is negative the weights alone decide what supports: `w + gamma w^+`."""
    W = plain * step.W + raised * step.W.relu()
    bias = None if step.bias is None else plain * step.bias + raised * step.bias.relu()
    below = step.plus_bias(step.apply(x, W), bias) + slack
    return step.transpose(torch.where(z > 0, G * z / below, 0.0), W, x)
