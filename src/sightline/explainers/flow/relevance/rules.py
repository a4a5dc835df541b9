"""The rules of the relevance flow: how a step hands its relevance to what it read.

The message of a node `x` is a changed gradient `G`; the node's relevance is `R = x G`. Every rule below is a gradient
in which something is held constant, so the values of the network never change, and where nothing is held constant
relevance is gradient x activation.

The rule of an affine map `z = W x + b` is the generalised gamma rule: contributions that have the sign of `z` count
`1 + gamma` times,

    R_i = sum_j ( x_i w_ij + gamma (x_i w_ij)^s_j ) / zz_j  R_j,      zz_j = z_j + gamma z_j^s_j,     s_j = sign z_j

where `^+` and `^-` keep the positive and the negative part of each summand, the bias being one of them. With
`(x w)^+ = (x w + |x| |w|) / 2` both sums need only `|W|` beside `W`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from sightline.explainers.flow.affine import Affine, Diagonal, Step
from sightline.explainers.flow.facts import ACTIVATIONS, MOVING, POOLING, Facts
from sightline.explainers.flow.tape import Call, Ref, Tape
from sightline.explainers.flow.vjp import gradient, local_gradient

Message = Tensor | None

NEAR_ZERO = 1e-3
"""Activations closer to zero than this have the output-to-input ratio that they have here."""


def gamma_rule(step: Affine, x: Tensor, z: Tensor, G: Tensor, gamma: float, *, short: bool = False) -> Tensor:
    """`G` at the input of an affine map by the generalised gamma rule.

    Args:
        step: the map.
        x: its input.
        z: its output.
        G: the message at its output.
        gamma: how much more contributions count that have the output's sign; 0 is the epsilon rule, infinity z+.
        short: whether it is known that `x >= 0` and that `G` is zero where `z <= 0`: one product less each way.
    """
    W = step.W
    if gamma == 0:
        return step.transpose(G, W, x)
    if short:
        return _short(step, x, z, G, W, gamma)
    size = step.plus_bias(step.apply(x.abs(), W.abs()), None if step.bias is None else step.bias.abs())
    sign = torch.where(z < 0, -1.0, 1.0).to(z.dtype)
    if gamma == float("inf"):
        q = G * z.abs() / (0.5 * (z.abs() + size)).clamp_min(torch.finfo(z.dtype).tiny)
        straight, crossed = 0.5, 0.5
    else:
        q = G * z.abs() / ((1 + gamma / 2) * z.abs() + gamma / 2 * size).clamp_min(torch.finfo(z.dtype).tiny)
        straight, crossed = 1 + gamma / 2, gamma / 2
    along = step.transpose(q, W, x)
    across = step.transpose(q * sign, W.abs(), x)
    return straight * along + crossed * torch.where(x < 0, -across, across)


def _short(step: Affine, x: Tensor, z: Tensor, G: Tensor, W: Tensor, gamma: float) -> Tensor:
    """The same for inputs and outputs that are not negative."""
    straight = 1.0 if gamma != float("inf") else 0.0
    strength = gamma if gamma != float("inf") else 1.0
    raised = W.relu() * strength + straight * W
    bias = None if step.bias is None else step.bias.relu() * strength + straight * step.bias
    below = step.plus_bias(step.apply(x, raised), bias)
    q = torch.where(z > 0, G * z / below, 0.0)
    return step.transpose(q, raised, x)


@dataclass(eq=False)
class Rules:
    """A rule for every step.

    Args:
        tape: the forward pass.
        facts: what is known of its nodes.
        gamma: of convolutions and linear layers.
        head: of the linear layers behind the last place where space is averaged away.
        norm: of batch norms that stand alone.
        attention: `value` holds attention weights constant; `both` gives them half of the relevance.
        add: gamma of sums.
        unknown: names of operations that no rule knew; their plain gradient was taken.
    """

    tape: Tape
    facts: Facts
    gamma: float = 0.25
    head: float = 0.25
    norm: float = 0.0
    attention: Literal["value", "both"] = "value"
    add: float = 0.0
    unknown: set[str] = field(default_factory=set)

    def __call__(self, step: Step, given: Sequence[Message]) -> Sequence[Message]:
        """Messages at a step's inputs."""
        if isinstance(step, Affine):
            return [self._affine(step, given[0])]
        rule = BY_NAME.get(step.name)
        if rule is None:
            self.unknown.add(step.name)
            rule = Rules._plain
        return rule(self, step, given)

    def value(self, x: Ref | int) -> Tensor:
        """Value of a node."""
        return self.tape.value(x.node if isinstance(x, Ref) else x)

    def _affine(self, step: Affine, G: Message) -> Message:
        if G is None:
            return None
        x, z = self.value(step.input), self.value(step.output)
        short = step.input in self.facts.not_negative and self.facts.rectified_after(step.output)
        return gamma_rule(step, x, z, G, self._gamma(step, x), short=short and not isinstance(step, Diagonal))

    def _gamma(self, step: Affine, x: Tensor) -> float:
        if isinstance(step, Diagonal):
            return self.norm
        flat = x.ndim == 2 or (x.ndim == 4 and x.shape[2:] == (1, 1))
        return self.head if flat else self.gamma

    def _plain(self, call: Call, given: Sequence[Message]) -> Sequence[Message]:
        """The plain gradient."""
        return gradient(self.tape, call, given)

    def _activation(self, call: Call, given: Sequence[Message]) -> Sequence[Message]:
        """`R_x = R_y`: the ratio of output to input is held constant."""
        if given[0] is None or call.outputs[0] is None:
            return [None] * len(call.inputs)
        x, y = self.value(call.inputs[0]), self.value(call.outputs[0])
        if call.name in ("relu", "leaky_relu"):
            return [local_gradient(call, [x], given)[0]]
        near = torch.full((1,), NEAR_ZERO, dtype=x.dtype, device=x.device)
        small = x.abs() < NEAR_ZERO
        ratio = torch.where(small, call.run([near]) / NEAR_ZERO, y / torch.where(small, 1.0, x))
        return [given[0] * ratio]

    def _product(self, call: Call, given: Sequence[Message]) -> Sequence[Message]:
        """A gate is held constant; without one each factor gets half."""
        found = list(gradient(self.tape, call, given))
        if len(call.inputs) < 2:
            return found
        gates = [node in self.facts.gates for node in call.inputs]
        if self.attention == "value" and any(gates) and not all(gates):
            return [None if gate else G for gate, G in zip(gates, found, strict=True)]
        return [None if G is None else G / 2 for G in found]

    def _quotient(self, call: Call, given: Sequence[Message]) -> Sequence[Message]:
        """The divisor is held constant."""
        found = gradient(self.tape, call, given)
        return [G if i == 0 and isinstance(call.args[0], Ref) else None for i, G in enumerate(found)]

    def _layer_norm(self, call: Call, given: Sequence[Message]) -> Sequence[Message]:
        """The standard deviation is held constant; mean and gain are linear."""
        x, shape, weight = call.args[:3]
        G = given[0]
        if G is None:
            return [None]
        rstd = self.value(call.outputs[2]) if call.outputs[2] is not None else call.run([self.value(x)])[2]
        axes = tuple(range(-len(shape), 0))
        pulled = (G if weight is None else G * weight) * rstd
        return [pulled - pulled.mean(axes, keepdim=True)]

    def _softmax(self, call: Call, given: Sequence[Message]) -> Sequence[Message]:
        """Nothing, where attention is held constant; its plain gradient otherwise."""
        return [None] if self.attention == "value" else gradient(self.tape, call, given)

    def _add(self, call: Call, given: Sequence[Message]) -> Sequence[Message]:
        """Summands of the sum's sign count `1 + gamma` times."""
        G = given[0]
        if not self.add or len(call.inputs) < 2 or call.kwargs or G is None or call.outputs[0] is None:
            return gradient(self.tape, call, given)
        terms, y = [self.value(node) for node in call.inputs], self.value(call.outputs[0])
        sign = torch.where(y < 0, -1.0, 1.0).to(y.dtype)
        size = sum((t.abs() for t in terms[1:]), terms[0].abs())
        half = self.add / 2
        q = G * y.abs() / ((1 + half) * y.abs() + half * size).clamp_min(torch.finfo(y.dtype).tiny)
        found = []
        for t in terms:
            share = q * (1 + half + half * sign * torch.where(t < 0, -1.0, 1.0))
            found.append(share.sum_to_size(t.shape))
        return found


BY_NAME: dict[str, Callable[..., Sequence[Message]]] = {
    **dict.fromkeys(ACTIVATIONS, Rules._activation),
    **dict.fromkeys(MOVING | POOLING, Rules._plain),
    **dict.fromkeys(("mul", "bmm", "mm", "matmul", "baddbmm"), Rules._product),
    **dict.fromkeys(("sub", "neg", "upsample_bilinear2d", "upsample_nearest2d", "roll", "addmm"), Rules._plain),
    "add": Rules._add,
    "div": Rules._quotient,
    "native_layer_norm": Rules._layer_norm,
    **dict.fromkeys(("sigmoid", "hardsigmoid"), Rules._plain),
    **dict.fromkeys(("_softmax", "softmax"), Rules._softmax),
}
"""Rule of each operation that is no affine map."""
