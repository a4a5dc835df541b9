"""Inverses of what is no affine map: activations, pools, moves, sums, products, norms and attention."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from sightline.explainers.flow.facts import ACTIVATIONS, MAX_POOLS, MOVING, SQUASHING
from sightline.explainers.flow.naflow.inverse import (
    Messages,
    Setting,
    as_messages,
    inverse,
    one,
    without_small,
)
from sightline.explainers.flow.naflow.maps import linear_solve
from sightline.explainers.flow.naflow.message import Message
from sightline.explainers.flow.naflow.solver import dot, least_squares
from sightline.explainers.flow.tape import Call
from sightline.explainers.flow.vjp import local_gradient

SLOPE = 0.05
"""An activation flatter than this is not undone: its input stays as it was."""

GATE = 0.05
"""A gate more closed than this is not undone."""

ONE_TO_ONE = frozenset(
    {
        "_reshape_alias", "_to_copy", "_unsafe_view", "alias", "cat", "channel_shuffle",
        "chunk", "clone", "constant_pad_nd", "contiguous", "copy", "diagonal",
        "flatten", "flip", "lift", "movedim", "native_dropout", "permute", "pixel_shuffle",
        "pixel_unshuffle", "reshape", "roll", "squeeze", "split", "split_with_sizes",
        "stack", "t", "transpose", "unbind", "unsafe_split", "unsqueeze", "view",
        "view_copy",
    }
)  # fmt: skip
"""Moves after which each number is there at most once, and all readers' demands are of the whole."""


@inverse(*ACTIVATIONS)
def activation(at: Setting, call: Call, messages: Messages) -> Messages:
    """`delta_x = delta_y / slope` where the slope is above 0.05, and at most as far as to zero and as demanded."""
    message = one(messages)
    x = at.value(call.inputs[0])
    if len(call.inputs) > 1:
        return composite(at, call, messages)
    slope = local_gradient(call, [x], [torch.ones_like(message.G)])[0]
    if slope is None:
        return [None]
    G = message.G * slope
    if message.delta is None:
        return [Message(G, None, 1.0)]
    change = without_small(slope, message.delta, SLOPE)
    return [Message(G, bounded_by(x, message.delta, change), 1.0)]


def bounded_by(x: Tensor, demand: Tensor, change: Tensor) -> Tensor:
    """The change, but nowhere further than to zero and as far as was demanded behind it."""
    bound = x.abs().add_(demand.abs())
    return change.clamp(-bound, bound)


@inverse("relu")
def relu(at: Setting, call: Call, messages: Messages) -> Messages:
    """`delta_x = delta_y` where the neuron was on; one that was off stays as it was."""
    message = one(messages)
    x = at.value(call.inputs[0])
    G = torch.ops.aten.threshold_backward(message.G, x, 0)
    if message.delta is None:
        return [Message(G, None, 1.0)]
    return [Message(G, torch.ops.aten.threshold_backward(message.delta, x, 0), 1.0)]


@inverse("hardtanh", "relu6")
def hard_tanh(at: Setting, call: Call, messages: Messages) -> Messages:
    """Like a ReLU; a neuron that was full changes as its output does."""
    message = one(messages)
    x = at.value(call.inputs[0])
    low, top = [*call.args[1:3], *((-1, 1), (1,), ())[len(call.args) - 1]] if call.name == "hardtanh" else (0, 6)
    G = torch.ops.aten.hardtanh_backward(message.G, x, low, top)
    if message.delta is None:
        return [Message(G, None, 1.0)]
    return [Message(G, torch.ops.aten.threshold_backward(message.delta, x, low), 1.0)]


@inverse(*MAX_POOLS)
def max_pool(at: Setting, call: Call, messages: Messages) -> Messages:
    """Each demand goes to the place that won; where windows share a winner, their mean."""
    message = one(messages)
    x = at.value(call.inputs[0])
    kernel, stride, padding, dilation, ceil = _pool_options(call)
    pool, backward = (getattr(torch.ops.aten, name) for name in (call.name, f"{call.name}_backward"))
    indices = pool(x, kernel, stride, padding, dilation, ceil)[1]

    def back(v: Tensor) -> Tensor:
        gradient: Tensor = backward(v, x, kernel, stride, padding, dilation, ceil, indices)
        return gradient

    G = back(message.G)
    if message.delta is None:
        return [Message(G, None, 1.0)]
    delta = back(message.delta)
    # Windows that do not overlap share no winner: nothing to average.
    apart = all(k <= s and d == 1 for k, s, d in zip(kernel, stride, dilation, strict=True))
    return [Message(G, delta if apart else delta / back(torch.ones_like(message.G)).clamp_min(1.0), 1.0)]


def _pool_options(call: Call) -> tuple[list[int], list[int], list[int], list[int], bool]:
    axes = 3 if "3d" in call.name else 2

    def each(x: Any) -> list[int]:
        return [x] * axes if isinstance(x, int) else list(x) * (axes if len(x) == 1 else 1)

    options = [*call.args[1:], *([], 0, 1, False)[len(call.args) - 2 :]]
    kernel = each(options[0])
    return kernel, each(options[1] or kernel), each(options[2]), each(options[3]), bool(options[4])


@inverse("avg_pool2d", "avg_pool3d", "_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "mean", "sum")
@inverse("upsample_bilinear2d", "upsample_nearest2d")
def linear(at: Setting, call: Call, messages: Messages) -> Messages:
    """A linear operation: damped least squares from no change, with the operation itself and its transpose."""
    message = one(messages)
    G = at.gradients(call, messages)[0]
    if message.delta is None or G is None:
        return as_messages([G], None, 1.0)
    x = at.value(call.inputs[0])
    zero = call.run([torch.zeros_like(x)])

    def transpose(r: Tensor) -> Tensor:
        pulled = local_gradient(call, [x], [r])[0]
        return torch.zeros_like(x) if pulled is None else pulled

    return [Message(G, by_steps(at, lambda v: call.run([v]) - zero, transpose, message.delta), 1.0)]


def by_steps(at: Setting, apply: Any, transpose: Any, demand: Tensor) -> Tensor:
    """Least squares of a map whose mean eigenvalue is not known: it is read off the demand's own transpose."""
    s = transpose(demand)
    size = float(dot(s, s).sum())
    if size == 0:
        return torch.zeros_like(s)
    # The Rayleigh quotient of `W^T W` along `W^T demand` stands for its mean eigenvalue.
    image = apply(s)
    solution = least_squares(
        apply,
        transpose,
        demand,
        damping=at.damping * float(dot(image, image).sum()) / size,
        iterations=at.iterations,
        tolerance=at.tolerance,
    )
    at.solves.append((solution.iterations, solution.residual))
    return solution.delta


@inverse(*ONE_TO_ONE)
def rearrangement(at: Setting, call: Call, messages: Messages) -> Messages:
    """What was only moved is moved back."""
    deltas = [None if message is None else message.delta for message in messages]
    demands = [None] * len(call.inputs) if all(c is None for c in deltas) else at.pulled(call, deltas)
    return as_messages(at.gradients(call, messages), demands, 1.0)


@inverse(*(MOVING - ONE_TO_ONE))
def copies(at: Setting, call: Call, messages: Messages) -> Messages:
    """What was cut out demands of its own part only; what was copied, the mean over the copies."""
    ones = [None if m is None or not m.claimed else torch.ones_like(m.G) for m in messages]
    results = list(rearrangement(at, call, messages))
    for i, claims in enumerate(at.pulled(call, ones)):
        message = results[i]
        if message is not None and claims is not None:
            results[i] = Message(message.G, message.delta, claims)
    return results


@inverse("add", "sub")
def addition(at: Setting, call: Call, messages: Messages) -> Messages:
    """A sum's demand is shared by the size of its terms."""
    message = one(messages)
    gradients = at.gradients(call, messages)
    terms = [at.value(node) for node in call.inputs]
    if message.delta is None or len(terms) == 1:
        return as_messages(gradients, [message.delta] * len(terms), 1.0)
    if any(t.shape != message.delta.shape for t in terms) or call.kwargs or len(terms) != 2:
        return composite(at, call, messages)
    first, second = terms[0].abs(), terms[1].abs()
    # Where both terms are zero their sizes say nothing, and each gets half.
    part = torch.where(first + second > 0, message.delta * first / (first + second), message.delta / 2)
    rest = message.delta - part
    return as_messages(gradients, [part, -rest if call.name == "sub" else rest], 1.0)


@inverse("mul", "div")
def scaling(at: Setting, call: Call, messages: Messages) -> Messages:
    """A factor, or a gate that is held constant, is divided by; a product of two signals is a composite.

    A layer scale is next to nothing in a young network, so the change is bounded by `bounded_by`.
    """
    gates = [node in at.facts.gates for node in call.inputs]
    if len(call.inputs) == 2 and sum(gates) != 1:
        return composite(at, call, messages)
    message, gradients = one(messages), at.gradients(call, messages)
    signal = gates.index(False) if False in gates else 0
    x = at.value(call.inputs[signal])
    delta = None
    if message.delta is not None:
        others = [torch.ones_like(x) if i == signal else at.value(n) for i, n in enumerate(call.inputs)]
        gain = call.run(others)
        gated = len(call.inputs) == 2
        floor = GATE if gated else 1e-6 * float(gain.abs().max())
        change = without_small(gain, message.delta, floor)
        delta = bounded_by(x, message.delta, change) if change.shape == x.shape else _fit(change, x)
    results: list[Message | None] = []
    for i, G in enumerate(gradients):
        if G is None:
            results.append(None)
        elif i == signal:
            results.append(Message(G, delta, 1.0))
        else:
            results.append(Message(G, frozen=True))
    return results


def _fit(change: Tensor, x: Tensor) -> Tensor:
    """The mean over axes along which a factor was broadcast."""
    return change.sum_to_size(x.shape) * (x.numel() / change.numel())


@inverse(*SQUASHING, "_safe_softmax", "_log_softmax")
def gate(at: Setting, call: Call, messages: Messages) -> Messages:
    """Gates and attention weights are held constant: their gradient goes on, no demand does."""
    return as_messages(at.gradients(call, messages), frozen=True)


@inverse("native_layer_norm")
def layer_norm(at: Setting, call: Call, messages: Messages) -> Messages:
    """With mean and deviation as they were: `delta_x = delta_y / (gain / deviation)`."""
    message = one(messages)
    G = at.gradients(call, messages)[0]
    if message.delta is None or G is None:
        return as_messages([G], None, 1.0)
    rstd, weight = at.value(call.outputs[2]) if call.outputs[2] is not None else None, call.args[2]
    if rstd is None:
        rstd = call.run([at.value(call.inputs[0])])[2]
    change = (
        message.delta if weight is None else without_small(weight, message.delta, 1e-3 * float(weight.abs().max()))
    )
    return [Message(G, change / rstd, 1.0)]


@inverse("bmm")
def attention(at: Setting, call: Call, messages: Messages) -> Messages:
    """Attention weights are held constant, and the values are found by damped least squares, exactly."""
    gates = [node in at.facts.gates for node in call.inputs]
    if gates != [True, False]:
        return composite(at, call, messages)
    message, gradients = one(messages), at.gradients(call, messages)
    delta = None if message.delta is None else linear_solve(at.value(call.inputs[0]), message.delta, at.damping)
    weights, values = gradients
    return [
        None if weights is None else Message(weights, frozen=True),
        None if values is None else Message(values, delta, 1.0),
    ]


@inverse("composite")
def composite(at: Setting, call: Call, messages: Messages) -> Messages:
    """Any operation: its Jacobian where it was evaluated, forward and back, in damped least squares."""
    message, gradients = one(messages), at.gradients(call, messages)
    if message.delta is None:
        return as_messages(gradients, None, 1.0)
    indices = [i for i, G in enumerate(gradients) if G is not None]
    values = [at.value(node) for node in call.inputs]
    sizes = [values[i].shape for i in indices]
    b = message.delta.shape[0]

    def transpose(r: Tensor) -> Tensor:
        pulled = local_gradient(call, values, [r.view_as(message.G), *[None] * (len(messages) - 1)])
        parts = [torch.zeros_like(values[i]) if (p := pulled[i]) is None else p for i in indices]
        return torch.cat([part.reshape(b, -1) for part in parts], 1)

    def apply(v: Tensor) -> Tensor:
        parts = torch.split(v, [math.prod(size[1:]) if size[0] == b else math.prod(size) // b for size in sizes], 1)
        return _jacobian_product(
            call, values, {i: p.reshape(s) for i, p, s in zip(indices, parts, sizes, strict=True)}
        )

    if any(math.prod(size) % b for size in sizes):
        return as_messages(gradients, None, 1.0)
    solution = by_steps(at, apply, transpose, message.delta)
    parts = torch.split(solution, [math.prod(size) // b for size in sizes], 1)
    changes: list[Tensor | None] = [None] * len(gradients)
    for i, part, size in zip(indices, parts, sizes, strict=True):
        changes[i] = part.reshape(size)
    return as_messages(gradients, changes, 1.0)


def _jacobian_product(call: Call, values: list[Tensor], along: dict[int, Tensor]) -> Tensor:
    """Jacobian-vector product of one call, by differentiating its transpose."""
    with torch.enable_grad():
        leaves = [value.detach().requires_grad_() for value in values]
        out = call.run(leaves)
        out = out if isinstance(out, Tensor) else out[0]
        # The transpose is linear in `direction`, so its value there does not matter: zeros do.
        direction = torch.zeros_like(out, requires_grad=True)
        pulled = torch.autograd.grad(out, leaves, direction, create_graph=True, allow_unused=True)
        terms = [(p * along[i]).sum() for i, p in enumerate(pulled) if p is not None and i in along]
        summed = sum(terms[1:], terms[0])
        return torch.autograd.grad(summed, direction)[0]
