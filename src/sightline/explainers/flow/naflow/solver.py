"""Damped least squares without a matrix: conjugate gradients on the normal equations, each sample by itself.

It knows a linear map by what it does to a tensor, and by its transpose; nothing of layers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

LinearMap = Callable[[Tensor], Tensor]

CONVERGED = 1e-5
"""Relative size of the normal equations' residual at which a sample is done."""

DIVERGED = 10.0
"""Relative size of that residual at which rounding has taken over."""

CAREFUL = 8
"""Iteration from which on the best iterate is kept: rounding does no harm before."""


@dataclass(frozen=True, eq=False)
class Solution:
    """What the solver found.

    Args:
        delta: the change of the input.
        iterations: number of iterations that were run.
        residual: for each sample, size of the normal equations' residual relative to that of no change, as it was
            known before the last step.
    """

    delta: Tensor
    iterations: int
    residual: Float[Tensor, " b"]


def least_squares(
    apply: LinearMap, transpose: LinearMap, demand: Tensor, *, damping: float, iterations: int, tolerance: float
) -> Solution:
    """`argmin_d |A d - demand|^2 + damping |d|^2`, from `d = 0`.

    Rounding makes conjugate gradients diverge once they have converged, so a sample stands still when its residual is
    small enough, and where it has grown all the same the iterate of the smallest residual is taken.

    Args:
        apply: `A`.
        transpose: its transpose.
        demand: right-hand side, the value that `A d` should take.
        damping: weight of `d`'s own size.
        iterations: largest number of iterations.
        tolerance: relative residual of the normal equations at which a sample is done.
    """
    if demand.dtype in (torch.float16, torch.bfloat16):
        # Squares of half precision overflow and vanish: the maps stay in it, all that is between them does not.
        return _in_float32(apply, transpose, demand, damping=damping, iterations=iterations, tolerance=tolerance)
    r, s = demand, transpose(demand)
    tiny = torch.finfo(s.dtype).tiny
    first = rho = dot(s, s)
    p, p_size = s, rho
    delta: Tensor | None = None
    best: Tensor | None = None
    iteration, size = 0, torch.ones_like(rho)
    least, done = torch.ones_like(rho), rho <= tiny
    for iteration in range(1, iterations + 1 if not bool(done.all()) else 1):
        q = apply(p)
        step = torch.where(done, 0.0, rho / (dot(q, q) + damping * p_size).clamp_min(tiny))
        delta = p * _each(step, p) if delta is None else delta.addcmul_(p, _each(step, p))
        # The residual behind the last step is not used, and costs a product with the transpose.
        if iteration == iterations:
            break
        r = (
            torch.addcmul(r, q, _each(step, q), value=-1)
            if iteration == 1
            else r.addcmul_(q, _each(step, q), value=-1)
        )
        s = transpose(r).sub_(delta, alpha=damping)
        before, rho = rho, dot(s, s)
        size = (rho / first.clamp_min(tiny)).sqrt()
        if iteration >= CAREFUL:
            best = _better(best, delta, size <= least)
        least = torch.minimum(size, least)
        done = done | (size < tolerance) | (size > DIVERGED)
        if bool(done.all()):
            break
        share = torch.where(done, 0.0, rho / before.clamp_min(tiny))
        p = torch.addcmul(s, p, _each(share, p)) if p is s else p.mul_(_each(share, p)).add_(s)
        # `s` is orthogonal to the old `p`, so `|p|^2` follows without another reduction.
        p_size = rho + share.square() * p_size
    if delta is None:
        return Solution(torch.zeros_like(s), 0, torch.where(first <= tiny, 0.0, least))
    if best is not None:
        delta = torch.where(_each(done & (size > DIVERGED), delta), best, delta)
    return Solution(delta, iteration, torch.where(first <= tiny, 0.0, least))


def _in_float32(apply: LinearMap, transpose: LinearMap, demand: Tensor, **limits: Any) -> Solution:
    def wide(product: LinearMap) -> LinearMap:
        return lambda v: product(v.to(demand.dtype)).float()

    solution = least_squares(wide(apply), wide(transpose), demand.float(), **limits)
    return replace(solution, delta=solution.delta.to(demand.dtype))


def _better(best: Tensor | None, delta: Tensor, improved: Tensor) -> Tensor:
    """The iterate of the smallest residual so far, for each sample."""
    return delta.clone() if best is None else torch.where(_each(improved, delta), delta, best)


def dot(a: Tensor, b: Tensor) -> Float[Tensor, " b"]:
    """Inner product of each sample."""
    wide = torch.promote_types(a.dtype, torch.float32)
    return torch.bmm(a.to(wide).flatten(1)[:, None], b.to(wide).flatten(1)[:, :, None])[:, 0, 0]


def _each(x: Float[Tensor, " b"], like: Tensor) -> Tensor:
    """A number for each sample, shaped to multiply a tensor."""
    return x.reshape(-1, *[1] * (like.ndim - 1))
