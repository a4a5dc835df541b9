"""The walk back along a tape: messages start at the output and are handed from call to call by rules.

What a message is - a gradient, a changed gradient, a pair of tensors - is the business of the rules. A node's message
is complete when the walk reaches the call that made it; then whoever asked for it gets it, and the node's value and
message are let go.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor

from sightline.explainers.flow.affine import Affine, Step
from sightline.explainers.flow.tape import Node, Tape

M = TypeVar("M")

Rule = Callable[[Step, Sequence[M | None]], Sequence[M | None]]
"""From a step and the messages at its outputs to those at its inputs; None is no message."""

Arrival = Callable[[Node, M], None]


def walk(
    tape: Tape,
    steps: Sequence[Step],
    start: Mapping[Node, M],
    rule: Rule[M],
    arrive: Arrival[M],
    *,
    add: Callable[[M, M], M],
    last: bool = True,
    destinations: Collection[Node] | None = None,
) -> None:
    """Hand messages from the output to the input.

    Args:
        tape: the forward pass.
        steps: its calls in forward order, affine maps fused where the rules need them so.
        start: messages at nodes where the walk starts.
        rule: function that hands messages from a step's outputs to its inputs.
        arrive: called with each node and its complete message, output first.
        add: function that joins two messages to the same node.
        last: whether values can be let go behind the walk.
        destinations: nodes whose messages are needed; steps that lead to none of them are left out. None is all.
    """
    leads = None if destinations is None else leading_to(destinations, steps)
    with plainly(tape.device):
        pending = dict(start)
        # In reverse order every reader of a node comes before the step that made it, so its message is complete then.
        for step in reversed(steps):
            outputs = outputs_of(step)
            messages = [pending.pop(node, None) if node is not None else None for node in outputs]
            for node, message in zip(outputs, messages, strict=True):
                if node is not None and message is not None:
                    arrive(node, message)
            needed = leads is None or any(node in leads for node in inputs_of(step))
            if needed and any(message is not None for message in messages):
                for node, message in zip(inputs_of(step), rule(step, messages), strict=True):
                    if message is not None:
                        pending[node] = message if node not in pending else add(pending[node], message)
            if last:
                for node in outputs:
                    if node is not None:
                        tape.values[node] = None
        for node, message in pending.items():
            arrive(node, message)


@contextmanager
def plainly(device: torch.device) -> Iterator[None]:
    """Outside inference mode and autocast, whatever the caller is inside of; nothing is differentiated."""
    with torch.inference_mode(False), torch.no_grad(), torch.autocast(device.type, enabled=False):
        yield


def leading_to(destinations: Collection[Node], steps: Sequence[Step]) -> set[Node]:
    """Nodes from which a walk back comes to one of these: these, and what was computed from them."""
    nodes = set(destinations)
    for step in steps:
        if any(node in nodes for node in inputs_of(step)):
            nodes.update(node for node in outputs_of(step) if node is not None)
    return nodes


def inputs_of(step: Step) -> tuple[Node, ...]:
    """Nodes that a step reads."""
    return (step.input,) if isinstance(step, Affine) else step.inputs


def outputs_of(step: Step) -> tuple[Node | None, ...]:
    """Nodes that a step makes."""
    return (step.output,) if isinstance(step, Affine) else step.outputs


def plus(a: Tensor, b: Tensor) -> Tensor:
    """Messages that are tensors add up."""
    return a + b
