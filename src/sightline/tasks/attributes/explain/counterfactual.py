"""What would have to be different: the fewest changes of attributes after which another class beats this one.

For a linear head from attributes to classes. Pure functions; knows nothing of words or pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from sightline.errors import InputError
from sightline.tasks.attributes.data.vocabulary import Vocabulary

SURE = 0.5
"""An attribute from it on counts as there."""


@dataclass(frozen=True)
class Change:
    """One answer changed.

    Args:
        group: the question.
        before: attribute that is there now; None where none is.
        after: attribute that would be there; None where none would.
        from_value: value of `before`, empty where none is.
        to_value: value of `after`, empty where none would be.
        gain: by how much the change moves class B's score relative to class A's.
    """

    group: str
    before: int | None
    after: int | None
    from_value: str
    to_value: str
    gain: float


@dataclass(frozen=True)
class Counterfactual:
    """The changes after which B beats A.

    Args:
        target: class A.
        against: class B.
        changes: greatest gain first; where it is not feasible, all changes that help.
        feasible: whether B beats A after them.
        margin: B's score less A's after the changes; not above zero where it is not feasible.
        winner: the class with the highest score after the changes: another class may be above both.
    """

    target: int
    against: int
    changes: tuple[Change, ...]
    feasible: bool
    margin: float
    winner: int

    @property
    def wins(self) -> bool:
        """Whether B is the decision after the changes; only then "it would be a B" is true."""
        return self.feasible and self.winner == self.against


def counterfactual(
    weights: Float[Tensor, "c k"],
    bias: Float[Tensor, "c"],
    activations: Float[Tensor, "k"],
    vocabulary: Vocabulary,
    *,
    target: int,
    against: int,
    prototypes: Float[Tensor, "c k"] | None = None,
    present: Float[Tensor, "k"] | None = None,
) -> Counterfactual:
    """The smallest set of changes after which class B beats class A.

    In an exclusive group the answer moves to one other value, wholly; an attribute on its own is switched on or off.
    The head is linear, so gains of different groups add up: per group only the best change can matter, and taking the
    greatest gains first is optimal in the number of changes.

    Args:
        weights: weights of the head from attributes to classes.
        bias: bias of the head.
        activations: probabilities of the attributes, 0..1, as the head reads them.
        vocabulary: vocabulary of the attributes.
        target: class A, which has to be beaten.
        against: class B.
        prototypes: per class the share of its pictures that have an attribute; where given only changes towards what
            most pictures of B have are made, which is the plausible variant. NaN where nobody knows.
        present: calibrated probabilities, which decide what is there now; None takes the activations.

    Raises:
        InputError: shapes do not fit, an activation lies outside 0..1, or A is B.

    Example:
        >>> import torch
        >>> from sightline.tasks.attributes.data.vocabulary import Attribute
        >>> bill = Vocabulary(tuple(Attribute(f"bill::{v}", "bill", v) for v in ("red", "blue")), ("bill",))
        >>> head, seen = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0.9, 0.1])
        >>> results = counterfactual(head, torch.zeros(2), seen, bill, target=0, against=1)
        >>> results.changes[0].to_value, round(results.margin, 3), results.wins
        ('blue', 1.0, True)
    """
    _check(weights, bias, activations, vocabulary, target=target, against=against)
    state = activations.detach().double().cpu()
    head, offset = weights.detach().double().cpu(), bias.detach().double().cpu()
    towards = head[against] - head[target]
    wished = None if prototypes is None else prototypes[against].detach().double().cpu()
    now = state if present is None else present.detach().double().cpu()
    at_start = _Now(vocabulary, state, now, towards)
    best = [change for options in _options(at_start, wished) if (change := _best(options))]
    margin = float(towards @ state + offset[against] - offset[target])
    changes: list[Change] = []
    for change in sorted(best, key=lambda one: -one.gain):
        if margin > 0:
            break
        changes.append(change)
        margin += change.gain
    after = applied(state, changes, vocabulary)
    # from the state itself: added gains would differ in the last digits
    margin = float(towards @ after + offset[against] - offset[target])
    winner = int((head @ after + offset).argmax())
    return Counterfactual(target, against, tuple(changes), margin > 0, margin, winner)


def applied(activations: Float[Tensor, "k"], changes: Sequence[Change], vocabulary: Vocabulary) -> Float[Tensor, "k"]:
    """The activations after changes."""
    after = activations.clone()
    for change in changes:
        at = change.after if change.after is not None else change.before
        if at is None:
            raise InputError(f"a change of {change.group!r} names no attribute; it needs one before or after it")
        group = vocabulary.groups[vocabulary.group_of[at]]
        if group.exclusive:
            after[list(group.members)] = 0
        after[at] = 0 if change.after is None else 1
    return after


@dataclass(frozen=True, eq=False)
class _Now:
    """A picture as it is: what the head reads, what is there, and how every attribute moves the decision."""

    vocabulary: Vocabulary
    state: Tensor
    present: Tensor
    towards: Tensor


def _options(now: _Now, wished: Tensor | None) -> list[tuple[Change, ...]]:
    """For each question that can be changed on its own, the changes that there are."""
    options: list[tuple[Change, ...]] = []
    for group in now.vocabulary.groups:
        if group.exclusive:
            options.append(_moves(now, group.members, wished))
        else:
            options += [_switch(now, at, wished) for at in group.members]
    return options


def _moves(now: _Now, members: tuple[int, ...], wished: Tensor | None) -> tuple[Change, ...]:
    first = max(members, key=lambda at: float(now.present[at]))
    others = [at for at in members if at != first]
    if wished is not None:
        candidates = [at for at in members if not bool(wished[at].isnan())]
        others = [at for at in others if candidates and at == max(candidates, key=lambda k: float(wished[k]))]
    current = float(now.towards[list(members)] @ now.state[list(members)])
    return tuple(_change(now.vocabulary, first, at, float(now.towards[at]) - current) for at in others)


def _switch(now: _Now, at: int, wished: Tensor | None) -> tuple[Change, ...]:
    on = float(now.present[at]) < SURE
    if wished is not None and not (float(wished[at]) >= SURE if on else float(wished[at]) < SURE):
        return ()
    gain = float(now.towards[at]) * ((1.0 if on else 0.0) - float(now.state[at]))
    return (_change(now.vocabulary, None if on else at, at if on else None, gain),)


def _change(vocabulary: Vocabulary, before: int | None, after: int | None, gain: float) -> Change:
    first, then = (None if at is None else vocabulary.attributes[at] for at in (before, after))
    group = (then or first or vocabulary.attributes[0]).group
    return Change(group, before, after, first.value if first else "", then.value if then else "", gain)


def _best(options: Sequence[Change]) -> Change | None:
    best = max(options, key=lambda one: one.gain, default=None)
    return best if best is not None and best.gain > 0 else None


def _check(
    weights: Tensor, bias: Tensor, activations: Tensor, vocabulary: Vocabulary, *, target: int, against: int
) -> None:
    classes = len(weights)
    if weights.shape != (len(bias), len(vocabulary)) or activations.shape != (len(vocabulary),):
        raise InputError(
            f"a head of {len(bias)} classes over {len(vocabulary)} attributes and the activations of one sample were "
            f"asked for; got weights {tuple(weights.shape)} and activations {tuple(activations.shape)}"
        )
    if target == against or not (0 <= target < classes and 0 <= against < classes):
        raise InputError(f"a change from one class to another of {classes} was asked for; got {target} and {against}")
    if not bool(((activations >= 0) & (activations <= 1)).all()):
        raise InputError(
            "attributes are changed between 0 and 1; got activations from "
            f"{float(activations.min()):.3g} to {float(activations.max()):.3g}. Try: probabilities, not logits"
        )
