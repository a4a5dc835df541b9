"""The generalised gamma rule of an affine map, from which the epsilon rule and z+ by sign follow.

With `z = W x + b`, contributions `x_i w_ij` that have the sign of `z_j` count `1 + gamma` times, the bias being a
contribution like the others:

    R_i = sum_j ( x_i w_ij + gamma (x_i w_ij)^s_j ) / zz_j  R_j,      zz_j = z_j + gamma z_j^s_j,      s_j = sign z_j

where `^+` keeps the positive part of each contribution and `^-` the negative part. As
`(x w)^+ = (x w + |x| |w|) / 2`, both follow from `W` and `|W|` for inputs of any sign, and `|zz| >= |z|`: nothing can
blow up. All is computed in units of `1 + gamma / 2`, so that `h = gamma / (2 + gamma)` is the one factor left:

    G_x = W^T (|z| q) + h sign(x) |W|^T (z q),      q = G / (|z| + h (|W| |x| + |b|)).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import leaky_relu

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
        x: input of the map.
        z: output of the map, with bias.
        G: message at the output.
        gamma: extra weight of supporting contributions; 0 is the epsilon rule, infinity z+ by sign:
            contributions of the sign of `z` alone, which is the usual z+ where a ReLU follows.
        epsilon: stabiliser added to the denominator's magnitude, in units of the output's root mean square.
        positive: whether it is known that `x >= 0`, which saves work.
        rectified: whether it is known that `G` is zero wherever `z <= 0`; with `positive` it saves half the products.
    """
    slack = epsilon * z.square().mean(tuple(range(1, z.ndim)), keepdim=True).sqrt() if epsilon else None
    if gamma == 0:
        return step.transpose(G if slack is None else G * z.abs() / (z.abs() + slack), step.W, x)
    plain, raised = (0.0, 1.0) if math.isinf(gamma) else (1.0, gamma)
    if positive and rectified:
        return _rectified(step, x, z, G, plain, raised, slack)
    unit = plain + raised / 2
    half = raised / 2 / unit
    W, magnitude = step.W, z.abs()
    W_abs = W.abs()
    below = step.apply(x if positive else x.abs(), W_abs)
    below = below if step.bias is None else below.add_(step.on_outputs(step.bias.abs(), below))
    below = torch.add(magnitude, below, alpha=half)
    share = G / _denominator(below, None if slack is None else slack / unit)
    along = step.transpose(magnitude.mul_(share), W, x)
    across = step.transpose(share.mul_(z), W_abs, x)
    return along.add_(across, alpha=half) if positive else along.addcmul_(across, x.sign(), value=half)


def _rectified(
    step: Affine, x: Tensor, z: Tensor, G: Tensor, plain: float, raised: float, slack: Tensor | None
) -> Tensor:
    """Where nothing is negative the weights alone decide what supports: `w + gamma w^+`, in units of `1 + gamma`."""
    unit = plain + raised
    # With a norm's factor in them the weights are a copy already, which may be written into.
    W = leaky_relu(step.W, plain / unit, inplace=step.scale is not None)
    below = step.apply(x, W)
    below = below if step.bias is None else below.add_(step.on_outputs(leaky_relu(step.bias, plain / unit), below))
    return step.transpose((G * z).div_(_denominator(below, None if slack is None else slack / unit)), W, x)


def _denominator(below: Tensor, slack: Tensor | None) -> Tensor:
    """The denominator, so far above zero that what it divides stays finite."""
    below = below if slack is None else below + slack
    # Not `tiny` itself: dividing an ordinary number by that would overflow.
    return below.clamp_min_(torch.finfo(below.dtype).tiny ** 0.75)
