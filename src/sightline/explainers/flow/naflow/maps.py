"""Inverses of affine maps: convolutions and linear layers by damped least squares, batch norms exactly."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from sightline.explainers.flow.affine import Affine, Diagonal
from sightline.explainers.flow.naflow.inverse import Messages, Setting, inverse, one, without_small
from sightline.explainers.flow.naflow.message import Message
from sightline.explainers.flow.naflow.solver import least_squares

GAIN = 1e-6
"""A batch norm's factor below this share of its largest one is not divided by."""

WINDOW = 9
"""Taps of a window; larger ones converge more slowly and get twice as many iterations."""


@inverse("Convolution", "Linear")
def affine(at: Setting, step: Affine, messages: Messages) -> Messages:
    """`delta_x = argmin |W d - delta_z|^2 + lambda |d|^2`, or for `lsq` the same for the activation itself."""
    message = one(messages)
    x, W = at.value(step.input), step.W
    G = step.transpose(message.G, W, x)
    demand = message.delta
    if at.anchor == "lsq":
        z = at.value(step.output)
        z = z if step.bias is None else z - step.on_outputs(step.bias, z)
        demand = z if demand is None else z + demand
    if demand is None:
        return [Message(G, None, 1.0)]
    delta = solved(at, step, W, x, demand)
    return [Message(G, delta - x if at.anchor == "lsq" else delta, 1.0)]


def solved(at: Setting, step: Affine, W: Tensor, x: Tensor, demand: Tensor) -> Tensor:
    """The change of the input that makes the output change as demanded, as far as damping lets it."""
    entry = at.shelf.get(step, W, at.damping)
    if entry.inverse is not None:
        return step.transpose(demand, entry.inverse, x)
    solution = least_squares(
        partial(step.apply, W=W),
        lambda r: step.transpose(r, W, x),
        demand,
        damping=entry.damping,
        iterations=at.iterations * (2 if step.weight[0, 0].numel() > WINDOW else 1),
        tolerance=at.tolerance,
    )
    at.solves.append((solution.iterations, solution.residual))
    return solution.delta


@inverse("Diagonal")
def diagonal(at: Setting, step: Diagonal, messages: Messages) -> Messages:
    """A batch norm that stands alone is undone exactly, but for factors that are next to nothing."""
    message = one(messages)
    W = step.W
    G = step.transpose(message.G, W, message.G)
    if message.delta is None:
        return [Message(G, None, 1.0)]
    gain = step.on_outputs(W, message.delta)
    return [Message(G, without_small(gain, message.delta, GAIN * float(W.abs().max())), 1.0)]


def linear_solve(matrix: Tensor, demand: Tensor, damping: float) -> Tensor:
    """`(M^T M + lambda)^-1 M^T demand` for a batch of matrices, lambda relative to each mean eigenvalue."""
    exact = matrix.to(torch.promote_types(matrix.dtype, torch.float32))
    gram = exact.mT @ exact
    level = damping * gram.diagonal(dim1=-2, dim2=-1).mean(-1)[..., None, None]
    eye = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    solution: Tensor = torch.linalg.solve(gram + level * eye, exact.mT @ demand.to(exact.dtype))
    return solution.to(demand.dtype)
