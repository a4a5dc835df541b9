"""Rules of the first layer, which reads pixels: what it hands back is relevance itself, not relevance over value.

A pixel that is zero may matter, and a rule that shares by `x w` has nothing to say of it. What is known of a pixel
is its range, `l <= x <= h`, and the rule for bounded pixels (`z^B`) shares by how far each pixel moves the output
away from the smallest that it could be:

    R_i = sum_j ( x_i w_ij - l_i w_ij^+ - h_i w_ij^- ) / zz_j  R_j,      zz_j = sum_i of what stands above.

Every share is at least zero and biases take no part, so relevance keeps its sign and its sum [montavon2017deep].
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sightline.explainers.flow.affine import Affine


def bounded_rule(step: Affine, x: Tensor, low: Tensor, high: Tensor, R: Tensor) -> Tensor:
    """Relevance of pixels in a known range, from that of the layer's output [montavon2017deep].

    Args:
        step: the layer.
        x: its input.
        low: smallest value that each number of the input can have.
        high: largest value.
        R: relevance of its output.
    """
    W = step.W
    positive, negative = W.clamp_min(0), W.clamp_max(0)
    # Not `x w - l w^+ - h w^-`: near the ends of the range that is a small difference of large numbers.
    above, below = (x - low).clamp_min(0), (x - high).clamp_max(0)
    share, rest = divided(R, step.apply(above, positive) + step.apply(below, negative))
    result = above * step.transpose(share, positive, x) + below * step.transpose(share, negative, x)
    # Where all pixels lie at the ends that make the output smallest, none stands out.
    return result + squared_rule(step, x, rest) if bool(rest.any()) else result


def squared_rule(step: Affine, x: Tensor, R: Tensor) -> Tensor:
    """Shares by squared weights, whatever the pixels are [montavon2017deep]."""
    return _by_weights(step, x, R, torch.square)


def flat_rule(step: Affine, x: Tensor, R: Tensor) -> Tensor:
    """The same share for every pixel that the layer reads [lapuschkin2019unmasking]."""
    return _by_weights(step, x, R, torch.ones_like)


def _by_weights(step: Affine, x: Tensor, R: Tensor, sizes: Callable[[Tensor], Tensor]) -> Tensor:
    weights = sizes(step.W)
    total = step.apply(torch.ones_like(x), weights)
    return step.transpose(divided(R, total)[0], weights, x)


def divided(R: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
    """`R / total`, and the part of `R` that stands over nothing."""
    nothing = total <= torch.finfo(total.dtype).tiny ** 0.75
    return torch.where(nothing, 0.0, R / torch.where(nothing, 1.0, total)), torch.where(nothing, R, 0.0)


def exact(x: Tensor) -> Tensor:
    """The tensor in float32 or better."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
