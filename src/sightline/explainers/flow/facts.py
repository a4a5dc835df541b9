"""What can be known of a tape's nodes without looking at numbers: which are gates, which cannot be negative."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from sightline.explainers.flow.affine import Step
from sightline.explainers.flow.tape import Call, Node, Ref
from sightline.explainers.flow.walk import inputs_of, outputs_of

ACTIVATIONS = frozenset(
    {
        "_prelu_kernel", "celu", "elu", "gelu", "hardswish", "hardtanh",
        "leaky_relu", "mish", "relu", "relu6", "selu", "silu",
        "tanh",
    }
)  # fmt: skip
"""Functions of one number that pass through, or near, zero."""

SQUASHING = frozenset(
    {
        "_safe_softmax", "_softmax", "hardsigmoid", "sigmoid", "softmax",
    }
)  # fmt: skip
"""Functions whose result is a share: what is multiplied by them is gated."""

SCALES = frozenset({"linalg_vector_norm", "rsqrt", "std", "var"})
"""Operations whose result is the size of many numbers: what is multiplied by it is normalised."""

MOVING = frozenset(
    {
        "_reshape_alias", "_to_copy", "_unsafe_view", "alias", "as_strided", "cat",
        "channel_shuffle", "chunk", "clone", "constant_pad_nd", "contiguous", "copy", "diagonal",
        "expand", "flatten", "flip", "gather", "im2col", "index", "index_select", "lift",
        "movedim", "narrow", "native_dropout", "permute", "pixel_shuffle", "pixel_unshuffle",
        "reflection_pad1d", "reflection_pad2d", "reflection_pad3d", "repeat", "replication_pad1d",
        "replication_pad2d", "replication_pad3d", "reshape", "roll", "select", "slice", "split",
        "split_with_sizes", "squeeze", "squeeze_", "stack", "t", "transpose", "unbind", "unfold",
        "unsafe_split", "unsqueeze", "view", "view_copy",
    }
)  # fmt: skip
"""Operations that move numbers and do not change them."""

MAX_POOLS = frozenset({"max_pool2d_with_indices", "max_pool3d_with_indices"})
"""Max-pools that choose within windows."""

POOLING = MAX_POOLS | {
    "_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_max_pool2d", "adaptive_max_pool3d", "amax",
    "avg_pool2d", "avg_pool3d", "mean", "sum",
}  # fmt: skip
"""Operations whose result lies between the numbers that they read, or is a sum of them."""


@dataclass(eq=False)
class Facts:
    """Facts of the nodes between a walk's steps.

    Args:
        steps: the walk's steps in forward order.
        batch: number of samples.
    """

    steps: list[Step]
    batch: int

    @cached_property
    def readers(self) -> dict[Node, list[Step]]:
        """By node, the steps that read it."""
        readers: dict[Node, list[Step]] = {}
        for step in self.steps:
            for node in inputs_of(step):
                readers.setdefault(node, []).append(step)
        return readers

    @cached_property
    def makers(self) -> dict[Node, Step]:
        """By node, the step that made it."""
        return {node: step for step in self.steps for node in outputs_of(step) if node is not None}

    @cached_property
    def gates(self) -> frozenset[Node]:
        """Nodes that are shares between 0 and 1, and what is made of them by moving and scaling."""
        gates: set[Node] = set()
        for step in self.steps:
            if isinstance(step, Call) and (step.name in SQUASHING or self._keeps(step, gates)):
                gates.update(node for node in step.outputs if node is not None)
        return frozenset(gates)

    @staticmethod
    def _keeps(call: Call, gates: set[Node]) -> bool:
        # By a constant: scaled shares, or the means that attention takes of what does not depend on the input.
        moves = call.name in MOVING or (call.name in ("mul", "div", "bmm") and len(call.inputs) == 1)
        return moves and bool(call.inputs) and all(node in gates for node in call.inputs)

    @cached_property
    def scales(self) -> frozenset[Node]:
        """Nodes that are sizes of other nodes or made of such alone: scales of norms that are written out by hand."""
        scales: set[Node] = set()
        for step in self.steps:
            if not isinstance(step, Call):
                continue
            made = step.name in (*MOVING, "add", "clamp", "clamp_min", "div", "mean", "mul", "reciprocal", "sqrt")
            if step.name in SCALES or (made and step.inputs and all(node in scales for node in step.inputs)):
                scales.update(node for node in step.outputs if node is not None)
        return frozenset(scales)

    @cached_property
    def not_negative(self) -> frozenset[Node]:
        """Nodes that cannot hold a negative number."""
        nodes: set[Node] = set()
        for step in self.steps:
            if isinstance(step, Call) and self._rectifies(step, nodes):
                nodes.update(node for node in step.outputs if node is not None)
        return frozenset(nodes)

    @staticmethod
    def _rectifies(call: Call, nodes: set[Node]) -> bool:
        if call.name in SQUASHING or is_relu(call):
            return True
        if not call.inputs or not all(node in nodes for node in call.inputs):
            return False
        if call.name in ("add", "mul", "cat", "stack"):
            terms = call.args[0] if isinstance(call.args[0], list | tuple) else call.args[:2]
            return all(isinstance(x, Ref) for x in terms) and not call.kwargs
        if call.name == "constant_pad_nd":
            return len(call.args) < 3 or call.args[2] >= 0
        return call.name in MOVING | POOLING | {"upsample_bilinear2d", "upsample_nearest2d"}

    def rectified_after(self, node: Node) -> bool:
        """Whether a ReLU alone reads this node, so that no message comes back where it is not positive."""
        readers = self.readers.get(node, [])
        return bool(readers) and all(isinstance(step, Call) and is_relu(step) for step in readers)


def is_relu(call: Call) -> bool:
    """Whether it is a ReLU, or one with a ceiling such as ReLU6."""
    return call.name == "relu" or (call.name == "hardtanh" and len(call.args) > 1 and call.args[1] == 0)
