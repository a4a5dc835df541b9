"""The rules of the LRP flow: how each kind of step hands its relevance to what it read.

The message of a node `x` is a changed gradient `G`, and the node's relevance is `R = x G`. Every rule is the gradient
of a step in which something is held constant, so the network's values never change; where nothing is held constant,
relevance is gradient x activation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

import torch
from torch import Tensor

from sightline.explainers.flow.affine import Affine, Diagonal, Step
from sightline.explainers.flow.facts import ACTIVATIONS, MOVING, POOLING, Facts
from sightline.explainers.flow.lrp.gamma import gamma_rule
from sightline.explainers.flow.lrp.messages import Message, Relevance
from sightline.explainers.flow.tape import Call, Node, Ref, Tape
from sightline.explainers.flow.vjp import gradient

NEAR_ZERO = 1e-3
"""In half precision, an activation's ratio of output to input is that of this input where it is closer to zero."""


@dataclass(frozen=True)
class Recipe:
    """How the rules share relevance out.

    Args:
        gamma: gamma of convolutions, and of linear layers that are applied at each place.
        head: gamma of linear layers without places: behind the pooling, or on the class token alone.
        norm: gamma of batch norms that are not fused with a convolution.
        add: gamma of sums of branches.
        epsilon: stabiliser of every denominator, for all of these steps.
        attention: `value` holds attention weights and gates constant (relevance follows the values);
            `both` gives them half [achtibat2024attnlrp].
    """

    gamma: float = 0.25
    head: float = 0.0
    norm: float = 0.0
    add: float = 0.0
    epsilon: float = 0.0
    attention: Literal["value", "both"] = "value"


@dataclass(eq=False)
class Rules:
    """The rule of every step of one tape.

    Args:
        tape: the forward pass.
        facts: what is known of its nodes.
        recipe: numbers of the rules.
        ends: nodes at which the walk starts, so that they have a message of their own.
        unknown: names of operations met that have no rule; their plain gradient was taken.
    """

    tape: Tape
    facts: Facts
    recipe: Recipe
    ends: frozenset[Node] = frozenset()
    unknown: set[str] = field(default_factory=set)

    def __call__(self, step: Step, messages: Sequence[Message | None]) -> Sequence[Message | None]:
        """Messages at a step's inputs."""
        if isinstance(step, Affine):
            return [self._affine(step, cast(Message, messages[0]))]
        # Relevance itself comes to affine maps alone, see `_hands_relevance`.
        return RULES.get(step.name, Rules._unknown)(self, step, cast("Sequence[Tensor | None]", messages))

    def _affine(self, step: Affine, message: Message) -> Tensor:
        x, z = self.tape.value(step.input), self.tape.value(step.output)
        positive = step.input in self.facts.not_negative and not isinstance(step, Diagonal)
        rectified = self.facts.rectified_after(step.output) and step.output not in self.ends
        gamma, epsilon = self._gamma(step, x), self.recipe.epsilon
        return gamma_rule(step, x, z, message, gamma, epsilon=epsilon, positive=positive, rectified=rectified)

    def _hands_relevance(self, node: Node) -> bool:
        """Whether what comes before an activation is an affine map that shares relevance out, for it alone."""
        maker, value = self.facts.makers.get(node), self.tape.value(node)
        # In half precision the product of two small numbers may be nothing.
        exact = value.dtype in (torch.float32, torch.float64)
        if not exact or not isinstance(maker, Affine) or node in self.ends or len(self.facts.readers[node]) != 1:
            return False
        return self._gamma(maker, self.tape.value(maker.input)) != 0

    def _gamma(self, step: Affine, x: Tensor) -> float:
        if isinstance(step, Diagonal):
            return self.recipe.norm
        placeless = len(x) == self.facts.batch and (x.ndim == 2 or x.shape[2:].numel() == 1)
        return self.recipe.head if placeless else self.recipe.gamma

    def _gradient(self, call: Call, messages: Sequence[Tensor | None]) -> Sequence[Message | None]:
        """Nothing is held constant."""
        return gradient(self.tape, call, messages)

    def _activation(self, call: Call, messages: Sequence[Tensor | None]) -> Sequence[Message | None]:
        """`R_x = R_y`: the ratio of output to input is held constant."""
        x, y = self.tape.value(call.inputs[0]), self.tape.value(cast(int, call.outputs[0]))
        G = cast(Tensor, messages[0])
        if self._hands_relevance(call.inputs[0]):
            return [Relevance(y * G)]
        if call.name in ("relu", "leaky_relu"):
            return gradient(self.tape, call, messages)
        if call.name == "hardtanh" and call.args[1] == 0:
            return [(call.args[2] / x.clamp_min(call.args[2])).mul_(G).mul_(x > 0)]
        # `y / x` is exact to rounding as long as `y` is a normal number; below that its limit stands for it.
        small = min(torch.finfo(x.dtype).tiny ** 0.5, NEAR_ZERO)
        below, above = (call.run([x.new_full((1,) * x.ndim, side)]) / side for side in (-small, small))
        limit = torch.where(x < 0, below, above)
        return [torch.where(x.abs() < small, limit, y / x).mul_(G)]

    def _power(self, call: Call, messages: Sequence[Tensor | None]) -> Sequence[Message | None]:
        """A power by a number is an activation, as in `relu(x) ** 2`."""
        plain = len(call.inputs) == 1 and isinstance(call.args[0], Ref)
        return self._activation(call, messages) if plain else self._unknown(call, messages)

    def _scaled_sum(self, call: Call, messages: Sequence[Tensor | None]) -> Sequence[Message | None]:
        """`a + s b c` is linear where one of the three depends on the input."""
        return gradient(self.tape, call, messages) if len(call.inputs) == 1 else self._unknown(call, messages)

    def _unknown(self, call: Call, messages: Sequence[Tensor | None]) -> Sequence[Message | None]:
        """The plain gradient, and the operation is named."""
        self.unknown.add(call.name)
        return gradient(self.tape, call, messages)

    def _product(self, call: Call, messages: Sequence[Tensor | None]) -> Sequence[Message | None]:
        """A gate, attention or the scale of a norm is held constant; without one each factor gets half."""
        scales = [node in self.facts.scales for node in call.inputs]
        if any(scales) and not all(scales):
            return gradient(self.tape, call, messages, [not scale for scale in scales])
        gates = [node in self.facts.gates for node in call.inputs]
        if self.recipe.attention == "value" and any(gates) and not all(gates):
            return gradient(self.tape, call, messages, [not gate for gate in gates])
        gradients = gradient(self.tape, call, messages)
        return [None if G is None else G / len(gradients) for G in gradients]

    def _quotient(self, call: Call, messages: Sequence[Tensor | None]) -> Sequence[Message | None]:
        """The divisor is held constant."""
        gradients = gradient(self.tape, call, messages)
        above = isinstance(call.args[0], Ref)
        return [G if i == 0 and above else None for i, G in enumerate(gradients)]

    def _layer_norm(self, call: Call, messages: Sequence[Tensor | None]) -> Sequence[Message | None]:
        """The standard deviation is held constant; mean and gain are linear."""
        _, shape, weight, *_ = call.args
        G = cast(Tensor, messages[0])
        pulled = (G if weight is None else G * weight) * self.tape.value(cast(int, call.outputs[2]))
        return [pulled - pulled.mean(tuple(range(-len(shape), 0)), keepdim=True)]

    def _group_norm(self, call: Call, messages: Sequence[Tensor | None]) -> Sequence[Message | None]:
        """The standard deviation of each group is held constant."""
        x, weight, *_ = call.args
        n, _, _, groups = call.args[3:7]
        G = cast(Tensor, messages[0])
        scaled = (G if weight is None else G * weight.reshape(1, -1, *[1] * (G.ndim - 2))).reshape(n, groups, -1)
        pulled = scaled * self.tape.value(cast(int, call.outputs[2])).reshape(n, groups, 1)
        return [(pulled - pulled.mean(2, keepdim=True)).reshape(self.tape.value(x.node).shape)]

    def _add(self, call: Call, messages: Sequence[Tensor | None]) -> Sequence[Message | None]:
        """The gamma rule with all weights one."""
        if not self.recipe.add or len(call.inputs) < 2 or call.kwargs:
            return gradient(self.tape, call, messages)
        # A term of the sum's sign counts 1 + gamma, one against it counts 1: so `1 + half` plus or minus `half`.
        half = self.recipe.add / 2
        terms, y = [self.tape.value(node) for node in call.inputs], self.tape.value(cast(int, call.outputs[0]))
        below = (1 + half) * y.abs() + half * sum(term.abs() for term in terms)
        q = torch.where(below > 0, cast(Tensor, messages[0]) * y.abs() / below, 0.0)
        return [
            (q * (1 + half + torch.where((term < 0) == (y < 0), half, -half))).sum_to_size(term.shape)
            for term in terms
        ]


LINEAR = (
    "_adaptive_avg_pool3d", "_conj", "_fft_c2c", "_fft_c2r", "_fft_r2c", "adaptive_max_pool3d", "as_strided_scatter",
    "avg_pool3d", "col2im", "cumsum", "im2col", "index_add",
    "masked_fill", "max", "max_pool3d_with_indices", "maximum", "min", "minimum", "reflection_pad1d",
    "reflection_pad2d", "replication_pad2d", "scatter", "scatter_add", "select_scatter", "slice_scatter",
    "upsample_bicubic2d", "upsample_linear1d", "upsample_nearest1d", "upsample_nearest3d", "upsample_trilinear3d",
    "view_as_complex", "view_as_real", "where",
)  # fmt: skip
"""Operations that sum, weigh by constants or choose among what they read: their gradient shares all relevance out."""

RULES: dict[str, Callable[[Rules, Call, Sequence[Tensor | None]], Sequence[Message | None]]] = {
    **dict.fromkeys(MOVING | POOLING, Rules._gradient),
    **dict.fromkeys(
        ("sub", "neg", "addmm", "as_strided_scatter", "upsample_bilinear2d", "upsample_nearest2d"), Rules._gradient
    ),
    **dict.fromkeys(("max", "topk", "sort", "torchvision.roi_align"), Rules._gradient),  # chosen or averaged
    **dict.fromkeys(("sigmoid", "hardsigmoid", "softplus"), Rules._gradient),
    **dict.fromkeys(LINEAR, Rules._gradient),
    **dict.fromkeys(("_softmax", "_safe_softmax"), Rules._gradient),  # no message comes where attention is constant
    **dict.fromkeys(ACTIVATIONS, Rules._activation),
    **dict.fromkeys(("mul", "bmm", "mm", "baddbmm"), Rules._product),
    "add": Rules._add,
    "addcmul": Rules._scaled_sum,
    "div": Rules._quotient,
    "pow": Rules._power,
    "native_layer_norm": Rules._layer_norm,
    "native_group_norm": Rules._group_norm,
}
"""The rule of each operation that is no affine map, by its name."""
