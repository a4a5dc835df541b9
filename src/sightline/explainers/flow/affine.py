"""Affine maps: convolutions, linear layers and batch norms, alone or fused, as `z = W x + b`.

Rules of both flows need the same three things of such a layer: its weights (perhaps changed), the map with them, and
its transpose. Weights are those of the model; nothing is copied but what a rule changes for the moment.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.explainers.flow.tape import Call, Node, Ref, Tape


@dataclass(frozen=True, eq=False)
class Affine(ABC):
    """`z = W x + b`, linear in the node `input`.

    Args:
        input: node that it reads.
        output: node that it makes; the second map's node where two are fused.
        weight: `W`, as the operation takes it.
        bias: `b`, one for each output channel.
        scale: factor of a batch norm fused behind the map, one for each output channel.
    """

    input: Node
    output: Node
    weight: Tensor
    bias: Float[Tensor, " o"] | None
    scale: Float[Tensor, " o"] | None = None

    @property
    def W(self) -> Tensor:
        """The weights, with a fused batch norm's factor in them."""
        return self.weight if self.scale is None else self.weight * self._by_output(self.scale)

    @abstractmethod
    def _by_output(self, x: Float[Tensor, " o"]) -> Tensor:
        """A vector over output channels, shaped to multiply the weights."""

    @abstractmethod
    def on_outputs(self, x: Float[Tensor, " o"], like: Tensor) -> Tensor:
        """A vector over output channels, shaped to work on outputs `like` these."""

    def factors(self, z: Tensor) -> tuple[Tensor, Tensor | None]:
        """`W` as weights and a factor for outputs `like` z: whichever is smaller takes the batch norm's factor."""
        outside = self.scale is not None and self.weight.numel() > z.numel()
        return (self.weight, self.on_outputs(self.scale, z)) if outside and self.scale is not None else (self.W, None)

    @abstractmethod
    def apply(self, x: Tensor, W: Tensor, bias: Tensor | None = None) -> Tensor:
        """`W x`, or with a bias `W x + b`."""

    @abstractmethod
    def transpose(self, q: Tensor, W: Tensor, like: Tensor) -> Tensor:
        """`W^T q`, of the shape of `like`."""

    def plus_bias(self, z: Tensor, bias: Tensor | None) -> Tensor:
        """`z + b`."""
        return z if bias is None else z + self.on_outputs(bias, z)

    def fused(self, scale: Float[Tensor, " o"], shift: Float[Tensor, " o"], output: Node) -> Affine:
        """This map with `scale z + shift` behind it."""
        bias = shift if self.bias is None else self.bias * scale + shift
        return replace(self, bias=bias, scale=scale if self.scale is None else self.scale * scale, output=output)


@dataclass(frozen=True, eq=False)
class Convolution(Affine):
    """`aten.convolution`: strided, dilated, grouped, depthwise or transposed, in one to three dimensions."""

    options: tuple[Any, ...] = ()

    @property
    def transposed(self) -> bool:
        """Whether it is a transposed convolution."""
        return bool(self.options[3])

    @property
    def groups(self) -> int:
        """Groups of channels."""
        return int(self.options[5])

    def _by_output(self, x: Float[Tensor, " o"]) -> Tensor:
        rest = [1] * (self.weight.ndim - 2)
        if not self.transposed:
            return x.reshape(-1, 1, *rest)
        return (
            x.reshape(self.groups, 1, -1)
            .expand(-1, self.weight.shape[0] // self.groups, -1)
            .reshape(self.weight.shape[0], -1, *rest)
        )

    def on_outputs(self, x: Float[Tensor, " o"], like: Tensor) -> Tensor:
        """Along the axis of channels."""
        return _per_channel(x, like)

    def apply(self, x: Tensor, W: Tensor, bias: Tensor | None = None) -> Tensor:
        """`W x`, or with a bias `W x + b`."""
        bias = None if bias is None else bias.to(x.dtype)
        z: Tensor = torch.ops.aten.convolution(x, W.to(x.dtype), bias, *self.options)
        return z

    @property
    def joins(self) -> bool:
        """Whether the weights of two such maps can stand beside one another as those of one."""
        return self.groups == 1 and not self.transposed

    def transpose(self, q: Tensor, W: Tensor, like: Tensor) -> Tensor:
        """`W^T q`."""
        output_mask = [True, False, False]
        q, W = q.to(like.dtype), W.to(like.dtype)
        pulled: Tensor = torch.ops.aten.convolution_backward(q, like, W, None, *self.options, output_mask)[0]
        return pulled


@dataclass(frozen=True, eq=False)
class Linear(Affine):
    """`x @ weight`, the weight `[i, o]`."""

    def _by_output(self, x: Float[Tensor, " o"]) -> Tensor:
        return x

    def on_outputs(self, x: Float[Tensor, " o"], like: Tensor) -> Tensor:
        """Along the axis of channels."""
        return x

    def apply(self, x: Tensor, W: Tensor, bias: Tensor | None = None) -> Tensor:
        """`W x`, or with a bias `W x + b`."""
        z = x @ W.to(x.dtype)
        return z if bias is None else z.add_(bias)

    def transpose(self, q: Tensor, W: Tensor, like: Tensor) -> Tensor:
        """`W^T q`."""
        return q.to(like.dtype) @ W.t().to(like.dtype)


@dataclass(frozen=True, eq=False)
class Diagonal(Affine):
    """A factor for each channel: a batch norm that stands alone."""

    def _by_output(self, x: Float[Tensor, " o"]) -> Tensor:
        return x

    def on_outputs(self, x: Float[Tensor, " o"], like: Tensor) -> Tensor:
        """Along the axis of channels."""
        return _per_channel(x, like)

    def apply(self, x: Tensor, W: Tensor, bias: Tensor | None = None) -> Tensor:
        """`W x`, or with a bias `W x + b`."""
        z = x * _per_channel(W, x)
        return z if bias is None else z.add_(_per_channel(bias, x))

    def transpose(self, q: Tensor, W: Tensor, like: Tensor) -> Tensor:
        """`W^T q`."""
        return q * _per_channel(W, q)


def _per_channel(v: Float[Tensor, " c"], x: Tensor) -> Tensor:
    """A vector over channels, shaped to work on `[b, c, ...]`."""
    return v.reshape(-1, *[1] * (x.ndim - 2))


def affine_of(call: Call) -> Affine | None:
    """The call as an affine map of its one input; None where it is something else, complex weights among it."""
    step = _PARSERS[call.name](call) if call.name in _PARSERS else None
    return None if step is None or step.weight.is_complex() else step


def _convolution(call: Call) -> Affine | None:
    x, weight, bias, *options = call.args
    if not isinstance(x, Ref) or isinstance(weight, Ref):
        return None
    return Convolution(x.node, _first(call), weight, bias, options=tuple(options))


def _addmm(call: Call) -> Affine | None:
    bias, x, weight = call.args
    if not isinstance(x, Ref) or isinstance(weight, Ref) or isinstance(bias, Ref) or bias.ndim != 1 or call.kwargs:
        return None
    return Linear(x.node, _first(call), weight, bias)


def _mm(call: Call) -> Affine | None:
    x, weight = call.args
    return Linear(x.node, _first(call), weight, None) if isinstance(x, Ref) and not isinstance(weight, Ref) else None


def _batch_norm(call: Call) -> Affine | None:
    x, weight, bias, mean, variance, *rest = call.args
    training, eps = (False, rest[-1]) if len(rest) == 2 else (rest[0], rest[2])
    if training or mean is None or isinstance(mean, Ref):
        return None
    scale = (variance + eps).rsqrt()
    scale = scale if weight is None else scale * weight
    shift = -mean * scale if bias is None else bias - mean * scale
    return Diagonal(x.node, _first(call), scale, shift)


_PARSERS = {
    "convolution": _convolution,
    "addmm": _addmm,
    "mm": _mm,
    "native_batch_norm": _batch_norm,
    "cudnn_batch_norm": _batch_norm,
    "miopen_batch_norm": _batch_norm,
    "_native_batch_norm_legit_no_training": _batch_norm,
}


def _first(call: Call) -> Node:
    node = call.outputs[0]
    if node is None:
        raise RuntimeError(f"{call.name} made no float")
    return node


Step = Call | Affine
"""What a walk goes through."""


def fused(tape: Tape) -> tuple[list[Step], dict[Node, Node]]:
    """The calls with every affine map as such, and a batch norm made one with the layer that alone feeds it.

    Returns:
        The steps in forward order; and, for each node inside a fused pair, the node behind it.
    """
    readers = tape.consumers()
    steps: list[Step] = []
    maps: dict[Node, tuple[int, Affine]] = {}
    inside: dict[Node, Node] = {}
    for call in tape.calls:
        step: Step = affine_of(call) or call
        alone = isinstance(step, Diagonal) and len(readers[step.input]) == 1
        previous = maps.get(step.input) if isinstance(step, Affine) and alone else None
        if isinstance(step, Affine) and previous is not None and step.bias is not None:
            inside[step.input] = step.output
            steps[previous[0]] = previous[1].fused(step.weight, step.bias, step.output)
            continue
        if isinstance(step, Affine) and not isinstance(step, Diagonal):
            maps[step.output] = len(steps), step
        steps.append(step)
    return steps, inside
