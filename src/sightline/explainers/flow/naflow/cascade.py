"""The cascade: a walk from the decision to the input in which every node is settled and cut when reached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.explainers.flow.affine import Step
from sightline.explainers.flow.naflow.abandoning import Abandoning
from sightline.explainers.flow.naflow.inverse import Messages, Setting, inverted
from sightline.explainers.flow.naflow.message import Message, join, mean
from sightline.explainers.flow.read import Reading
from sightline.explainers.flow.tape import Node
from sightline.explainers.flow.walk import inputs_of, outputs_of, walk


@dataclass(eq=False)
class DropStats:
    """What was abandoned since the tally was last cleared.

    Args:
        size: size of all activations at nodes where neurons can be abandoned, for each sample.
        lost: size of the activations that were abandoned, for each sample.
        kept_count: number of neurons that were kept, for each sample.
        neurons: number of neurons of one sample at these nodes.
    """

    size: Tensor | float = 0.0
    lost: Tensor | float = 0.0
    kept_count: Tensor | float = 0.0
    neurons: int = 0

    def add(self, x: Float[Tensor, "b n"], count: Tensor, lost: Float[Tensor, "b n"] | None) -> None:
        """One more node, and what it loses."""
        self.size = self.size + x.abs().sum(1)
        self.lost = self.lost + (0.0 if lost is None else lost.abs().sum(1))
        self.kept_count = self.kept_count + count
        self.neurons += x[0].numel()

    def clear(self) -> None:
        """Begin anew."""
        self.size = self.lost = self.kept_count = 0.0
        self.neurons = 0


Arrival = Callable[[Node, Message, DropStats], None]
"""Called with every node, output first, its settled message, and the tally of what was abandoned."""


@dataclass(eq=False)
class Cascade:
    """One walk back.

    Args:
        reading: the forward pass.
        at: what the inverses may ask for.
        abandoning: where and how neurons are abandoned.
        arrive: called with every node's settled message.
    """

    reading: Reading
    at: Setting
    abandoning: Abandoning
    arrive: Arrival
    tally: DropStats = field(default_factory=DropStats)
    _settled: dict[Node, Message] = field(default_factory=dict)
    _live: set[Node] = field(default_factory=set)

    def run(self, k: int, *, last: bool = True) -> None:
        """Walk back from decision `k`, no further than to the first layer."""
        self._live = set(self.reading.nodes)
        steps = []
        for step in self.reading.steps:
            if any(node in self._live for node in inputs_of(step)):
                self._live.update(node for node in outputs_of(step) if node is not None)
                steps.append(step)
        start = {node: Message(G) for node, G in self.reading.starts[k].items()}
        walk(self.reading.tape, steps, start, self._rule, self._arrive, add=join, last=last)

    def _arrive(self, node: Node, message: Message) -> None:
        if node in self._live:
            settled = self._cut(node, message)
            self._settled[node] = settled
            self.arrive(node, settled, self.tally)

    def _rule(self, step: Step, messages: Messages) -> Messages:
        # Not the messages of the walk: those are from before demands were joined and neurons abandoned.
        settled = [self._settled.pop(node, None) if node is not None else None for node in outputs_of(step)]
        return inverted(self.at, step, settled)

    def _cut(self, node: Node, message: Message) -> Message:
        """The message with demands joined, and with what is abandoned demanded to be zero."""
        delta, claims = mean(message), 1.0 if message.claimed else 0.0
        if node not in self.abandoning.nodes or message.frozen:
            return Message(message.G, delta, claims, message.frozen)
        x = self.at.value(node)
        keep = self.abandoning.keep_mask(node, x, delta, message.G)
        flat = self.abandoning.samples.flat
        own, count = flat(x), flat(keep).sum(1)
        if float(count.min()) == own.shape[1]:
            self.tally.add(own, count, None)
            return Message(message.G, delta, 1.0)
        lost = (keep * x).sub_(x)
        self.tally.add(own, count, flat(lost))
        return Message(message.G, lost if delta is None else torch.addcmul(lost, delta, keep), 1.0)


def fed_back(A: Tensor, message: Message) -> Tensor:
    """The back-projected feature map `B = A + delta`."""
    return A if message.delta is None else A + message.delta
