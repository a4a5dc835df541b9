"""The registry of inverses, and what each of them may ask for.

An inverse takes one step and the messages at its outputs, already settled, and returns those at its inputs. It is
kept by the name of the operation, or by the name of the affine map's class, and users add their own:

    @inverse("my_operation")
    def my_inverse(at: Setting, step: Step, given: Given) -> Given: ...
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

Given = Sequence[Message | None]
Anchor = Literal["anchored", "lsq"]


@dataclass(eq=False)
class Setting:
    """What an inverse may ask for.

    Args:
        tape: the forward pass.
        facts: what is known of its nodes.
        anchor: `anchored` solves for the change of what was there, `lsq` for the activation itself.
        damping: relative to the mean eigenvalue of the map.
        iterations: at most so many of the solver.
        tolerance: residual at which a sample is done.
        shelf: where inverses of weights are kept.
        unknown: names of operations that no inverse knew.
        made: iterations and residual of each solve since somebody last looked.
    """

    tape: Tape
    facts: Facts
    anchor: Anchor = "anchored"
    damping: float = 1.0
    iterations: int = 4
    tolerance: float = 1e-5
    shelf: InverseCache = field(default_factory=InverseCache)
    unknown: set[str] = field(default_factory=set)
    made: list[tuple[int, Tensor]] = field(default_factory=list)

    def value(self, x: Ref | Node) -> Tensor:
        """Value of a node."""
        return self.tape.value(x.node if isinstance(x, Ref) else x)

    def gradients(self, step: Step, given: Given) -> list[Tensor | None]:
        """The plain gradient at each input."""
        return gradient(self.tape, step, [None if message is None else message.G for message in given])

    def pulled(self, step: Step, changes: Sequence[Tensor | None]) -> list[Tensor | None]:
        """The transpose of a step, applied to changes."""
        return gradient(self.tape, step, changes)


Inverse = Callable[[Setting, Any, Given], Given]

INVERSES: dict[str, Inverse] = {}
"""By name of the operation, or of the affine map's class."""


def inverse(*names: str) -> Callable[[Inverse], Inverse]:
    """Register the inverse of operations, or of affine maps by their class; the last one registered counts.

    Example:
        >>> @inverse("my_identity")
        ... def same(at, step, given):
        ...     return given
        >>> "my_identity" in INVERSES
        True
        >>> del INVERSES["my_identity"]
    """

    def add(function: Inverse) -> Inverse:
        INVERSES.update(dict.fromkeys(names, function))
        return function

    return add


def inverted(at: Setting, step: Step, given: Given) -> Given:
    """Messages at a step's inputs: by its inverse, and by the gradient alone where nothing is demanded."""
    if all(message is None or not message.claimed for message in given):
        return unclaimed(at, step, given)
    found = INVERSES.get(type(step).__name__ if isinstance(step, Affine) else step.name)
    if found is None:
        at.unknown.add(step.name if isinstance(step, Call) else type(step).__name__)
        found = INVERSES["composite"]
    return found(at, step, given)


def unclaimed(at: Setting, step: Step, given: Given) -> Given:
    """The gradient alone: before the cascade starts, and inside gates."""
    return messages(at.gradients(step, given), frozen=all(m is None or m.frozen for m in given))


def messages(
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


def one(given: Given) -> Message:
    """The message at a step's first output."""
    message = given[0]
    if message is None:
        raise RuntimeError("an inverse was asked for without a message at the step's first output")
    return message


def without_small(gain: Tensor, change: Tensor, floor: float) -> Tensor:
    """`change / gain`, and no change where the gain's size is at or below `floor`."""
    small = gain.abs() <= floor
    return torch.where(small, 0.0, change / torch.where(small, 1.0, gain))
