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

from sightline.attributes.audit.observed import Question

FOLDS = 5
WIDTH = 128
"""More features than this are replaced by their leading principal components."""


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
    asked: Sequence[Question],
    fold: Int[Tensor, " n"],
    *,
    penalty: float = 1e-3,
    bagged: int | None = None,
) -> Float[Tensor, "n k"]:
    """Probabilities of attributes by heads that were fitted without the picture's fold.

    A soft-max for each choice, a logistic function for each other attribute.

    Args:
        features: of the pictures, from a network that stays as it is; `narrowed`, so that one penalty suits all.
        targets: the labels, 0..1.
        weights: how sure they are; 0 is left out.
        asked: what has one answer.
        fold: of each picture.
        penalty: on the squared weights.
        bagged: seed of a resampling of the pictures that are fitted on; None fits on all.
    """
    said = torch.full_like(targets, torch.nan)
    for at in sorted(set(fold.tolist())):
        out, rest = fold == at, torch.nonzero(fold != at)[:, 0]
        if bagged is not None and len(rest):
            generator = torch.Generator().manual_seed(1000 * bagged + at)
            rest = rest[torch.randint(len(rest), (len(rest),), generator=generator)]
        if len(rest):
            head = fitted(features[rest], targets[rest], weights[rest], asked, penalty)
            said[out] = probabilities(_with_one(features[out]) @ head, asked).to(said.dtype)
    return said


def narrowed(features: Float[Tensor, "n c"]) -> Float[Tensor, "n d"]:
    """Centred and scaled; the leading components where there are many. No label is looked at."""
    table = features.double() - features.double().mean(0)
    table = table / table.std(0).clamp(min=1e-6)
    if table.shape[1] > WIDTH:
        basis = torch.linalg.eigh(table.T @ table).eigenvectors[:, -WIDTH:]
        table = table @ basis
        table = table / table.std(0).clamp(min=1e-6)
    return table


def fitted(
    table: Float[Tensor, "n d"], targets: Tensor, weights: Tensor, asked: Sequence[Question], penalty: float
) -> Float[Tensor, "e k"]:
    """The heads of all questions at once, by L-BFGS in double precision; the last row is the offset."""
    inputs, goal, sure = _with_one(table), targets.double(), weights.double()
    head = torch.zeros(inputs.shape[1], targets.shape[1], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([head], max_iter=60, history_size=10, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = _loss(inputs @ head, goal, sure, asked) / len(inputs) + penalty * head[:-1].square().sum()
        (head.grad,) = torch.autograd.grad(value, head)
        return value

    with torch.enable_grad():
        optimiser.step(loss)  # type: ignore[no-untyped-call]
    return head.detach()


def probabilities(logits: Float[Tensor, "n k"], asked: Sequence[Question]) -> Float[Tensor, "n k"]:
    """A soft-max in each choice, a logistic function elsewhere."""
    out = logits.sigmoid()
    for question in asked:
        if question.exclusive:
            out[:, list(question.members)] = logits[:, list(question.members)].softmax(1)
    return out


def readable(
    said: Float[Tensor, "n m"], answers: Int[Tensor, " n"], rows: Bool[Tensor, " n"]
) -> tuple[float, float, int]:
    """Accuracy of out-of-fold answers, that of always saying the most frequent one, and how many were judged."""
    true = answers[rows]
    if not len(true):
        return 0.0, 0.0, 0
    base = float(torch.bincount(true).max()) / len(true)
    return float((said[rows].argmax(1) == true).float().mean()), base, len(true)


def _loss(logits: Tensor, goal: Tensor, sure: Tensor, asked: Sequence[Question]) -> Tensor:
    total = logits.new_zeros(())
    alone = [at for question in asked if not question.exclusive for at in question.members]
    if alone:
        each = fn.binary_cross_entropy_with_logits(logits[:, alone], goal[:, alone], reduction="none")
        total = total + (each * sure[:, alone]).sum()
    for question in asked:
        if question.exclusive:
            at = list(question.members)
            each = -(goal[:, at] * logits[:, at].log_softmax(1)).sum(1)
            total = total + (each * sure[:, at].mean(1)).sum()
    return total


def _with_one(table: Tensor) -> Tensor:
    return torch.cat([table, torch.ones(len(table), 1, dtype=table.dtype)], dim=1)
