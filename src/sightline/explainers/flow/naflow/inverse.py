"""The registry of inverses, and what each of them may ask for.

An inverse takes one step and the messages at its outputs, already settled, and returns those at its inputs. It is
kept by the name of the operation, or by the name of the affine map's class, and users add their own:

    @inverse("my_operation")
    def my_inverse(at: Setting, step: Step, messages: Messages) -> Messages: ...
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from sightline.explainers.flow.affine import Affine, Step
from sightline.explainers.flow.facts import Facts
from sightline.explainers.flow.naflow.message import Message
from sightline.explainers.flow.naflow.tikhonov import InverseCache
from sightline.explainers.flow.tape import Call, Node, Ref, Tape
from sightline.explainers.flow.vjp import gradient

Messages = Sequence[Message | None]
"""One for each output, or each input, of a step; None where no message flows."""

Anchor = Literal["anchored", "lsq"]


@dataclass(eq=False)
class Setting:
    """What an inverse may ask for.

    Args:
        tape: the forward pass.
        facts: what is known of its nodes.
        anchor: `anchored` solves for the change of what was there, `lsq` for the activation itself.
        damping: strength of the Tikhonov term, relative to the mean eigenvalue of the map.
        iterations: largest number of the solver's iterations.
        tolerance: relative residual at which a sample is solved.
        shelf: cache of the inverses of weights.
        unknown: names of operations that no inverse knew.
        solves: iterations and residual of each solve since the list was last cleared.
    """

    tape: Tape
    facts: Facts
    anchor: Anchor = "anchored"
    damping: float = 1.0
    iterations: int = 4
    tolerance: float = 1e-5
    shelf: InverseCache = field(default_factory=InverseCache)
    unknown: set[str] = field(default_factory=set)
    solves: list[tuple[int, Tensor]] = field(default_factory=list)

    def value(self, x: Ref | Node) -> Tensor:
        """Value of a node."""
        return self.tape.value(x.node if isinstance(x, Ref) else x)

    def gradients(self, step: Step, messages: Messages) -> list[Tensor | None]:
        """The plain gradient at each input."""
        return gradient(self.tape, step, [None if message is None else message.G for message in messages])

    def pulled(self, step: Step, changes: Sequence[Tensor | None]) -> list[Tensor | None]:
        """The transpose of a step, applied to changes."""
        return gradient(self.tape, step, changes)


Inverse = Callable[[Setting, Any, Messages], Messages]

INVERSES: dict[str, Inverse] = {}
"""Inverses by the name of the operation, or of the affine map's class."""


def inverse(*names: str) -> Callable[[Inverse], Inverse]:
    """Register the inverse of operations, or of affine maps by their class; the last one registered counts.

    Example:
        >>> @inverse("my_identity")
        ... def same(at, step, messages):
        ...     return messages
        >>> "my_identity" in INVERSES
        True
        >>> del INVERSES["my_identity"]
    """

    def add(function: Inverse) -> Inverse:
        INVERSES.update(dict.fromkeys(names, function))
        return function

    return add


def inverted(at: Setting, step: Step, messages: Messages) -> Messages:
    """Messages at a step's inputs: by its inverse, and by the gradient alone where nothing is demanded."""
    if all(message is None or not message.claimed for message in messages):
        return unclaimed(at, step, messages)
    rule = INVERSES.get(type(step).__name__ if isinstance(step, Affine) else step.name)
    if rule is None:
        at.unknown.add(step.name if isinstance(step, Call) else type(step).__name__)
        rule = INVERSES["composite"]
    return rule(at, step, messages)


def unclaimed(at: Setting, step: Step, messages: Messages) -> Messages:
    """The gradient alone: before the cascade starts, and inside gates."""
    return as_messages(at.gradients(step, messages), frozen=all(m is None or m.frozen for m in messages))


def as_messages(
    gradients: Sequence[Tensor | None],
    changes: Sequence[Tensor | None] | None = None,
    claims: float | Tensor = 0.0,
    *,
    frozen: bool = False,
) -> list[Message | None]:
    """Messages of gradients and changes; where there is no gradient there is none."""
    changes = changes or [None] * len(gradients)
    return [
        None if G is None else Message(G, delta, claims, frozen) for G, delta in zip(gradients, changes, strict=True)
    ]


def one(messages: Messages) -> Message:
    """The message at a step's first output."""
    message = messages[0]
    if message is None:
        raise RuntimeError("an inverse was asked for without a message at the step's first output")
    return message


def without_small(gain: Tensor, change: Tensor, floor: float) -> Tensor:
    """`change / gain`, and no change where the gain's size is at or below `floor`."""
    small = gain.abs() <= floor
    return torch.where(small, 0.0, change / torch.where(small, 1.0, gain))
