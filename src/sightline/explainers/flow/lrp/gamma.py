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

from sightline.explainers.flow.affine import Affine, Convolution
from sightline.explainers.flow.lrp.messages import Message, Relevance, over, times


def gamma_rule(
    step: Affine,
    x: Tensor,
    z: Tensor,
    message: Message,
    gamma: float,
    *,
    epsilon: float = 0.0,
    positive: bool = False,
    rectified: bool = False,
) -> Tensor:
    """The message at the input of an affine map, from that at its output [montavon2019lrp; andeol2023gamma].

    What comes back is relevance over value: `R_x = x G_x`.

    Args:
        step: the map.
        x: input of the map.
        z: output of the map, with bias.
        message: message `G` at the output, or its relevance `z G`, which is written into.
        gamma: extra weight of supporting contributions; 0 is the epsilon rule, infinity z+ by sign:
            contributions of the sign of `z` alone, which is the usual z+ where a ReLU follows.
        epsilon: stabiliser added to the denominator's magnitude, in units of the output's root mean square.
        positive: whether it is known that `x >= 0`, which saves work.
        rectified: whether it is known that `G` is zero wherever `z <= 0`; with `positive` it saves half the products.
    """
    slack = epsilon * z.square().mean(tuple(range(1, z.ndim)), keepdim=True).sqrt() if epsilon else None
    if gamma == 0:
        G = over(message, z)
        return step.transpose(G if slack is None else G * z.abs() / (z.abs() + slack), step.W, x)
    plain, raised = (0.0, 1.0) if math.isinf(gamma) else (1.0, gamma)
    if positive and rectified:
        return _rectified(step, x, z, times(message, z), plain, raised, slack)
    unit = plain + raised / 2
    half = raised / 2 / unit
    W, scale = step.factors(z)
    W_abs = W.abs()
    below = _absolute(step, x if positive else x.abs(), W_abs, scale)
    slack = None if slack is None else slack / unit
    if rectified:  # where `z` is negative there is nothing to share, so `z` may stand for its magnitude
        along = across = times(message, z).div_(_denominator(below.mul_(half).add_(z), slack))
    elif isinstance(message, Relevance):
        magnitude = z.abs()
        across = message.R.div_(_denominator(below.mul_(half).add_(magnitude), slack))
        along = across * z.sign()
    else:
        magnitude = z.abs()
        share = message / _denominator(below.mul_(half).add_(magnitude), slack)
        along, across = magnitude.mul_(share), share.mul_(z)
    if scale is not None:
        along, across = along * scale, across * scale.abs()
    if positive:
        return _sum_of_transposes(step, x, (along, W), (across, W_abs.mul_(half)))
    return step.transpose(along, W, x).addcmul_(step.transpose(across, W_abs, x), x.sign(), value=half)


def _absolute(step: Affine, x: Tensor, W: Tensor, scale: Tensor | None) -> Tensor:
    """`|W| x + |b|`."""
    bias = None if step.bias is None else step.bias.abs()
    if scale is None:
        return step.apply(x, W, bias)
    below = step.apply(x, W).mul_(scale.abs())
    return below if bias is None else below.add_(step.on_outputs(bias, below))


def _sum_of_transposes(step: Affine, x: Tensor, one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> Tensor:
    """`W^T a + V^T b`, where it can be as one product, which writes the larger side once."""
    (a, W), (b, V) = one, other
    if isinstance(step, Convolution) and step.joins and W.numel() < x.numel():
        return step.transpose(torch.cat([a, b], 1), torch.cat([W, V]), x)
    return step.transpose(a, W, x).add_(step.transpose(b, V, x))


def _rectified(
    step: Affine, x: Tensor, z: Tensor, R: Tensor, plain: float, raised: float, slack: Tensor | None
) -> Tensor:
    """Where nothing is negative the weights alone decide what supports: `w + gamma w^+`, in units of `1 + gamma`."""
    unit = plain + raised
    slack = None if slack is None else slack / unit
    bias = None if step.bias is None else leaky_relu(step.bias, plain / unit)
    W, scale = step.factors(z)
    if scale is not None and bool((scale < 0).any()):  # what supports is told by the sign of the product
        W, scale = step.W, None
    # With a norm's factor in them the weights are a copy already, which may be written into.
    W = leaky_relu(W, plain / unit, inplace=W is not step.weight)
    if scale is None:
        q = R.div_(_denominator(step.apply(x, W, bias), slack))
    else:
        below = step.apply(x, W).mul_(scale)
        below = below if bias is None else below.add_(step.on_outputs(bias, below))
        q = R.div_(_denominator(below, slack)).mul_(scale)
    return step.transpose(q, W, x)


def _denominator(below: Tensor, slack: Tensor | None) -> Tensor:
    """The denominator, so far above zero that what it divides stays finite."""
    below = below if slack is None else below + slack
    # Not `tiny` itself: dividing an ordinary number by that would overflow.
    return below.clamp_min_(torch.finfo(below.dtype).tiny ** 0.75)
