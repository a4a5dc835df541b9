"""Out-of-fold answers: linear heads on frozen features, fitted on all pictures but those that they answer for.

So a label is judged by a head that has not seen it. Knows no network.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as fn

from sightline.tasks.attributes.audit.observed import Question

FOLDS = 5
STEPS = 40
"""Of L-BFGS."""
WIDTH = 128
"""More features than this are replaced by their leading principal components."""
PICTURES = 3
"""Pictures for each component, at least: as many components as pictures, each of unit spread, put all pictures as far
from one another, and a head then knows nothing of those it has not seen."""


def folds(names: Sequence[str], count: int = FOLDS, salt: int = 0) -> Int[Tensor, " n"]:
    """The fold of every picture, by a hash of its name: it does not move with the order of a list.

    Example:
        >>> folds(["a.jpg", "b.jpg"]).tolist() == folds(["b.jpg", "a.jpg"]).tolist()[::-1]
        True
    """
    digests = [sha256(f"{salt}/{name}".encode()).digest() for name in names]
    return torch.tensor([int.from_bytes(digest[:4], "big") % count for digest in digests], dtype=torch.long)


def out_of_fold(
    features: Float[Tensor, "n c"],
    targets: Float[Tensor, "n k"],
    weights: Float[Tensor, "n k"],
    questions: Sequence[Question],
    fold: Int[Tensor, " n"],
    *,
    penalty: float = 1e-3,
    bagged: int | None = None,
) -> Float[Tensor, "n k"]:
    """Probabilities of attributes by heads that were fitted without the picture's fold.

    A soft-max for each choice, a logistic function for each other attribute.

    Args:
        features: features of the pictures, from a network that stays as it is; `narrowed`, so that one penalty suits
            all.
        targets: the labels, 0..1.
        weights: how sure they are; 0 is left out.
        questions: what has one answer.
        fold: number of each picture's fold.
        penalty: factor of the squared weights in the loss.
        bagged: seed of a resampling of the pictures that are fitted on; None fits on all.
    """
    answers = torch.full_like(targets, torch.nan)
    for at in sorted(set(fold.tolist())):
        out, rest = fold == at, torch.nonzero(fold != at)[:, 0]
        if bagged is not None and len(rest):
            # every refit and every fold has a resampling of its own
            generator = torch.Generator().manual_seed(1000 * bagged + at)
            rest = rest[torch.randint(len(rest), (len(rest),), generator=generator)]
        if len(rest):
            head = fitted(features[rest], targets[rest], weights[rest], questions, penalty)
            answers[out] = probabilities(_with_one(features[out]).double() @ head, questions).to(answers.dtype)
    return answers


def narrowed(features: Float[Tensor, "n c"]) -> Float[Tensor, "n d"]:
    """Centred and scaled; the leading components where there are many. No label is looked at."""
    table = features.double() - features.double().mean(0)
    table = table / table.std(0).clamp(min=1e-6)
    if table.shape[1] > WIDTH:
        count = min(WIDTH, max(1, len(table) // PICTURES))
        basis = torch.linalg.eigh(table.T @ table).eigenvectors[:, -count:]
        table = table @ basis
        table = table / table.std(0).clamp(min=1e-6)
    return table


def fitted(
    table: Float[Tensor, "n d"], targets: Tensor, weights: Tensor, questions: Sequence[Question], penalty: float
) -> Float[Tensor, "e k"]:
    """The heads of all questions at once, by L-BFGS in double precision; the last row is the offset.

    The loss is convex and its gradient is written out: X^T (m (sum(t) p - t)), p the probabilities, t the targets and
    m how sure they are, one number per question.
    """
    inputs, goal, sure = _with_one(table), targets.double(), _sureness(weights.double(), questions)
    head = torch.zeros(inputs.shape[1], targets.shape[1], dtype=torch.float64)
    optimiser = torch.optim.LBFGS([head], max_iter=STEPS, history_size=10, line_search_fn="strong_wolfe")
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
        head.grad = inputs.T @ (sure * (total * predicted - goal)) / len(inputs) + 2 * penalty * slope
        return -(sure * (goal * logs + absent)).sum() / len(inputs) + penalty * slope.square().sum()

    with torch.no_grad():
        optimiser.step(loss)  # type: ignore[no-untyped-call]
    return head


def probabilities(logits: Float[Tensor, "n k"], questions: Sequence[Question]) -> Float[Tensor, "n k"]:
    """A soft-max in each choice, a logistic function elsewhere."""
    return _log_probabilities(logits, *_belonging(questions, logits.shape[1])).exp()


def readable(
    predicted: Float[Tensor, "n m"], answers: Int[Tensor, " n"], rows: Bool[Tensor, " n"]
) -> tuple[float, float, int]:
    """Accuracy of out-of-fold answers, that of always saying the most frequent one, and how many were judged."""
    true = answers[rows]
    if not len(true):
        return 0.0, 0.0, 0
    base = float(torch.bincount(true).max()) / len(true)
    return float((predicted[rows].argmax(1) == true).float().mean()), base, len(true)


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


def _with_one(table: Tensor) -> Tensor:
    return torch.cat([table, torch.ones(len(table), 1, dtype=table.dtype)], dim=1)
