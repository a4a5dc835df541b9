"""`Message`: what NAFlow hands back along a tape, and how the demands of several readers are joined."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Message:
    """A message at a node.

    Args:
        G: gradient of the decision.
        delta: sum of the changes that were demanded; None is a change of zero.
        claims: number of readers that demanded a change; one for each element where that number differs.
        frozen: whether it comes through a gate or attention weights, which are held constant and demand nothing.
    """

    G: Tensor
    delta: Tensor | None = None
    claims: float | Tensor = 0.0
    frozen: bool = False

    @property
    def claimed(self) -> bool:
        """Whether any reader demanded something, be it no change."""
        return isinstance(self.claims, Tensor) or self.claims > 0


def join(a: Message, b: Message) -> Message:
    """Gradients add up; demands too, and are divided by their number when the node is reached."""
    return Message(a.G + b.G, total(a.delta, b.delta), a.claims + b.claims, a.frozen and b.frozen)


def total(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    """Sum of two changes, None being zero."""
    if a is None or b is None:
        return b if a is None else a
    return a + b


def mean(message: Message) -> Tensor | None:
    """The change at a node: the mean of what its readers demanded, zero where none did."""
    if message.delta is None or not message.claimed:
        return None
    if isinstance(message.claims, Tensor):
        return message.delta / message.claims.clamp_min(1.0)
    return message.delta if message.claims == 1 else message.delta / message.claims
