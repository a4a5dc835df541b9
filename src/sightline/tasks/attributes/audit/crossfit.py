"""Out-of-fold answers: linear heads on frozen features, fitted on all pictures but those that they answer for.

So a label is judged by a head that has not seen it. Knows no network.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sightline.tasks.attributes.audit.observed import Question
from sightline.tasks.attributes.network.regression import fitted, probabilities, with_one

FOLDS = 5
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
            answers[out] = probabilities(with_one(features[out]).double() @ head, questions).to(answers.dtype)
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


def readable(
    predicted: Float[Tensor, "n m"], answers: Int[Tensor, " n"], rows: Bool[Tensor, " n"]
) -> tuple[float, float, int]:
    """Accuracy of out-of-fold answers, that of always saying the most frequent one, and how many were judged."""
    true = answers[rows]
    if not len(true):
        return 0.0, 0.0, 0
    base = float(torch.bincount(true).max()) / len(true)
    return float((predicted[rows].argmax(1) == true).float().mean()), base, len(true)
