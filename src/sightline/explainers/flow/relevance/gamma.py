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
    step: Affine,
    x: Tensor,
    z: Tensor,
    G: Tensor,
    gamma: float,
    *,
    epsilon: float = 0.0,
    positive: bool = False,
    rectified: bool = False,
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
        positive: whether it is known that `x >= 0`, which saves work.
        rectified: whether it is known that `G` is zero wherever `z <= 0`; with `positive` it saves half the products.
    """
    slack = epsilon * z.square().mean(tuple(range(1, z.ndim)), keepdim=True).sqrt() if epsilon else None
    if gamma == 0:
        return step.transpose(G if slack is None else G * z.abs() / (z.abs() + slack), step.W, x)
    plain, raised = (0.0, 1.0) if math.isinf(gamma) else (1.0, gamma)
    if positive and rectified:
        return _rectified(step, x, z, G, plain, raised, slack)
    W, magnitude = step.W, z.abs()
    below = step.plus_bias(
        step.apply(x if positive else x.abs(), W.abs()), None if step.bias is None else step.bias.abs()
    )
    below = below.mul_(raised / 2).add_(magnitude, alpha=plain + raised / 2)
    share = G / _kept(below, slack)
    along = step.transpose(magnitude.mul_(share), W, x)
    across = step.transpose(share.mul_(z), W.abs(), x)
    across = across if positive else across.mul_(x.sign())
    return along.mul_(plain + raised / 2).add_(across, alpha=raised / 2)


def _rectified(
    step: Affine, x: Tensor, z: Tensor, G: Tensor, plain: float, raised: float, slack: Tensor | None
) -> Tensor:
    """Where nothing is negative the weights alone decide what supports: `w + gamma w^+`."""
    W = step.W.relu().mul_(raised).add_(step.W, alpha=plain)
    bias = None if step.bias is None else plain * step.bias + raised * step.bias.relu()
    below = step.plus_bias(step.apply(x, W), bias)
    return step.transpose((G * z).div_(_kept(below, slack)), W, x)


def _kept(below: Tensor, slack: Tensor | None) -> Tensor:
    """The denominator, so far above zero that what it divides stays finite."""
    below = below if slack is None else below + slack
    return below.clamp_min_(torch.finfo(below.dtype).tiny ** 0.75)
