"""Logistic regressions of attributes on features: a soft-max for each choice, a logistic function for every other.

All questions at once. Pure functions of tensors; knows no network.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as fn

STEPS = 40
"""Of L-BFGS."""


class Question(Protocol):
    """What has one answer: an exclusive group, or one attribute that is there or not."""

    @property
    def members(self) -> tuple[int, ...]:
        """Positions of its attributes."""

    @property
    def exclusive(self) -> bool:
        """Whether exactly one of them is right."""


def fitted(
    table: Float[Tensor, "n d"],
    targets: Float[Tensor, "n k"],
    weights: Float[Tensor, "n k"],
    questions: Sequence[Question],
    penalty: float | Float[Tensor, "d 1"],
    *,
    steps: int = STEPS,
    start: Float[Tensor, "e k"] | None = None,
) -> Float[Tensor, "e k"]:
    """Weights and, in the last row, offset that minimise sum_q m_q l_q / n + penalty * sum of squared weights.

    The loss is convex and its gradient is written out: X^T (m (sum(t) p - t)) / n, p the probabilities, t the targets
    and m how sure they are, one number per question.

    Args:
        table: features.
        targets: t, 0..1.
        weights: how sure they are; 0 is left out.
        questions: what has one answer.
        penalty: factor of the squared weights, one for all or one for each feature; the offset has none.
        steps: most steps of L-BFGS, in double precision.
        start: where it begins; None begins at 0.
    """
    inputs, goal, sure = with_one(table), targets.double(), _sureness(weights.double(), questions)
    zeros = torch.zeros(inputs.shape[1], targets.shape[1], dtype=torch.float64)
    head = zeros if start is None else start.clone()
    optimiser = torch.optim.LBFGS([head], max_iter=steps, history_size=10, line_search_fn="strong_wolfe")
    belongs, alone = _belonging(questions, targets.shape[1])
    total = torch.where(alone, 1.0, goal @ belongs @ belongs.T)

    def loss() -> Tensor:
        logits = inputs @ head
        logs = _log_probabilities(logits, belongs, alone)
        predicted = logs.exp()
        absent = torch.where(alone, (1 - goal) * (logs - logits), 0.0)
        slope = head.clone()
        # the offset is not penalised
        slope[-1] = 0
        slope[:-1] *= penalty
        head.grad = inputs.T @ (sure * (total * predicted - goal)) / len(inputs) + 2 * slope
        return -(sure * (goal * logs + absent)).sum() / len(inputs) + (slope * head).sum()

    with torch.no_grad():
        optimiser.step(loss)  # type: ignore[no-untyped-call]
    return head


def probabilities(logits: Float[Tensor, "n k"], questions: Sequence[Question]) -> Float[Tensor, "n k"]:
    """A soft-max in each choice, a logistic function elsewhere."""
    return _log_probabilities(logits, *_belonging(questions, logits.shape[1])).exp()


def _belonging(questions: Sequence[Question], attributes: int) -> tuple[Float[Tensor, "k q"], Bool[Tensor, " k"]]:
    """Which attribute is of which choice, and which stand alone."""
    table = torch.zeros(attributes, len(questions), dtype=torch.float64)
    for at, question in enumerate(questions):
        if question.exclusive:
            table[list(question.members), at] = 1
    return table, table.sum(1) == 0


def _log_probabilities(
    logits: Float[Tensor, "n k"], belongs: Float[Tensor, "k q"], alone: Bool[Tensor, " k"]
) -> Float[Tensor, "n k"]:
    """Log soft-max in each choice, log of the logistic function elsewhere; all choices in one product."""
    top = logits.amax(1, keepdim=True)
    # a question of one attribute sums to 0 here; the bounds keep every logarithm finite
    sums = (logits - top).exp().clamp(min=1e-250) @ belongs
    choices = logits - top - sums.clamp(min=1e-250).log() @ belongs.T
    return torch.where(alone, fn.logsigmoid(logits), choices)


def _sureness(weights: Float[Tensor, "n k"], questions: Sequence[Question]) -> Float[Tensor, "n k"]:
    """One weight per question: the mean over the values of a choice."""
    out = weights.clone()
    for question in questions:
        if question.exclusive:
            at = list(question.members)
            out[:, at] = weights[:, at].mean(1, keepdim=True)
    return out


def with_one(table: Tensor) -> Tensor:
    """A column of ones behind the features, for the offset."""
    return torch.cat([table, torch.ones(len(table), 1, dtype=table.dtype)], dim=1)
