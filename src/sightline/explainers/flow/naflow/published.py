"""The mode `published`: what the released code of NAFlow means to do, for chains and small inputs only.

Dense Jacobians, the first rows of each (as many as there are unknowns), the offset `f(0)`, and the solution of the
smallest norm; where a convolution has fewer outputs than inputs it is made one with what comes before it. All of it
is kept as it is meant, also where it is not well founded [liao2026naflow]: for reproduction, not for use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sightline.errors import MethodError
from sightline.explainers.flow.affine import Affine, Convolution, Diagonal, Step
from sightline.explainers.flow.naflow.calls import max_pool
from sightline.explainers.flow.naflow.inverse import Setting
from sightline.explainers.flow.naflow.maps import diagonal
from sightline.explainers.flow.naflow.message import Message
from sightline.explainers.flow.read import Reading
from sightline.explainers.flow.tape import Call, Node
from sightline.explainers.flow.vjp import gradient
from sightline.explainers.flow.walk import inputs_of, outputs_of, plus, walk

LARGEST = 12_000_000
"""Entries of the largest Jacobian that is built."""


@dataclass(eq=False)
class Chain:
    """The part of a network that is a chain of convolutions, ReLUs, max-pools and batch norms.

    Args:
        reading: the forward pass.
        steps: steps of the chain in forward order.
    """

    reading: Reading
    steps: list[Step]

    @classmethod
    def of(cls, reading: Reading) -> Chain:
        """The chain from the input to the last place with space.

        Raises:
            MethodError: the network is none up to there.
        """
        steps: list[Step] = []
        node = 0
        while True:
            readers = reading.facts.readers.get(node, [])
            if len(readers) != 1 or not _is_supported(readers[0]):
                return cls._checked(reading, steps, node, readers)
            steps.append(readers[0])
            node = next(n for n in outputs_of(readers[0]) if n is not None)

    @classmethod
    def _checked(cls, reading: Reading, steps: list[Step], node: Node, readers: Sequence[Step]) -> Chain:
        if not set(reading.nodes) <= {0} | {n for step in steps for n in outputs_of(step) if n is not None}:
            names = ", ".join(sorted({s.name if isinstance(s, Call) else type(s).__name__ for s in readers}))
            raise MethodError(
                "the mode 'published' knows chains of convolutions, ReLUs, max-pools and batch norms, such as "
                f"AlexNet; this network goes on with {names or 'nothing'} before its last layer; use anchored"
            )
        return cls(reading, steps)

    def groups(self, start: int) -> list[list[Step]]:
        """Steps to be undone together, last ones first; steps up to the first module's are left alone."""
        rest, groups = list(self.steps[:start]), []
        while rest:
            step = rest.pop()
            group = [step]
            q = self._size(outputs_of(step)[0])
            if isinstance(step, Convolution) and q < self._size(step.input):
                while rest and not (isinstance(group[0], Convolution) and self._size(group[0].input) <= q):
                    group.insert(0, rest.pop())
            groups.append(group)
        return groups

    def _size(self, node: Node | None) -> int:
        return 0 if node is None else self.reading.tape.value(node)[0].numel()

    def undone(self, group: list[Step], B: Tensor, G: Tensor, at: Setting) -> tuple[Tensor, Tensor]:
        """`B` and `G` at the input of a group."""
        x, z = self.reading.tape.value(inputs_of(group[0])[0]), self.reading.tape.value(outputs_of(group[-1])[0] or 0)
        for step in reversed(group):
            pulled = at.gradients(step, [Message(G), *[None] * (len(outputs_of(step)) - 1)])[0]
            G_in = torch.zeros_like(self.reading.tape.value(inputs_of(step)[0])) if pulled is None else pulled
            G_out, G = G, G_in  # after the loop `G_out` is the gradient behind the group's first step
        step = group[0]
        if len(group) > 1 or isinstance(step, Convolution):
            return _smallest_solution(group, x, B), G
        if isinstance(step, Diagonal):
            back = diagonal(at, step, [Message(G_out, B - z, 1.0)])[0]
        elif isinstance(step, Call) and step.name == "max_pool2d_with_indices":
            back = max_pool(at, step, [Message(G_out, B, 1.0), *[None] * (len(step.outputs) - 1)])[0]
            return (B if back is None or back.delta is None else back.delta), G
        else:
            return B, G
        return (x if back is None or back.delta is None else x + back.delta), G


def _is_supported(step: Step) -> bool:
    return isinstance(step, Convolution | Diagonal) or (
        isinstance(step, Call) and step.name in ("relu", "max_pool2d_with_indices")
    )


def _run(steps: Sequence[Step], x: Tensor) -> Tensor:
    """The steps, forward, on another value."""
    for step in steps:
        if isinstance(step, Affine):
            x = step.plus_bias(step.apply(x, step.W), step.bias)
        else:
            result = step.run([x])
            x = result if isinstance(result, Tensor) else result[0]
    return x


def _smallest_solution(steps: Sequence[Step], x: Tensor, B: Tensor) -> Tensor:
    """The smallest `x` with `J x = B - f(0)` in the first rows, for each sample.

    Raises:
        MethodError: the Jacobian would be too large.
    """
    p, q = x[0].numel(), B[0].numel()
    rows = min(p, q)
    if p * rows > LARGEST:
        raise MethodError(
            f"the mode 'published' builds dense Jacobians, and one of them would have {rows} x {p} entries at this "
            f"input size, of at most {LARGEST}; take a smaller input, or the mode anchored"
        )
    offset = _run(steps, torch.zeros_like(x[:1]))
    solutions = []
    for sample, features in zip(x, B, strict=True):
        with torch.enable_grad():
            J = torch.autograd.functional.jacobian(  # type: ignore[no-untyped-call]
                lambda v: _run(steps, v.view_as(x[:1])).flatten()[:rows], sample.flatten(), vectorize=True
            )
        demand = (features - offset[0]).flatten()[:rows]
        solution = torch.linalg.pinv(J.double()) @ demand.double()
        solutions.append(solution.to(x.dtype).view_as(sample))
    return torch.stack(solutions)


def walk_published(reading: Reading, at: Setting, k: int) -> dict[Node, Message]:
    """Messages at the nodes between the groups of the chain, for decision `k`."""
    chain = Chain.of(reading)
    G, node = _gradient_at(reading, at, chain, k)
    B = reading.tape.value(node)
    messages = {node: Message(G, B - B, 1.0)}
    for group in chain.groups(len(chain.steps)):
        B, G = chain.undone(group, B, G, at)
        node = inputs_of(group[0])[0]
        B = B * (G != 0)  # the published rule: a neuron without gradient is abandoned
        messages[node] = Message(G, B - reading.tape.value(node), 1.0)
    return messages


def _gradient_at(reading: Reading, at: Setting, chain: Chain, k: int) -> tuple[Tensor, Node]:
    """Gradient at the chain's end, by the ordinary walk."""
    end = next(n for n in outputs_of(chain.steps[-1]) if n is not None)
    gradients: dict[Node, Tensor] = {}
    rest = [step for step in reading.steps if step not in chain.steps]
    walk(reading.tape, rest, reading.starts[k], lambda step, grads: gradient(reading.tape, step, grads),
         gradients.__setitem__, add=plus, last=False)  # fmt: skip
    return gradients[end], end
