"""Class and attribute heads on frozen features of photos, for the study of texts: ridge regressions, no network."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sightline.tasks.attributes.network.calibration import log_odds

FOLDS, SMOOTH = 10, 2.0
CLASS_RIDGE = 300.0


@dataclass(frozen=True)
class Photos:
    """Frozen features of photos, and what is known of them."""

    features: Tensor
    labels: Tensor
    targets: Tensor
    weights: Tensor
    sentences: Tensor  # how many of the ten say it

    def take(self, rows: Tensor) -> Photos:
        """Some of them."""
        return Photos(
            self.features[rows], self.labels[rows], self.targets[rows], self.weights[rows], self.sentences[rows]
        )


@dataclass(frozen=True)
class Kind:
    """A kind of heads.

    Args:
        anchored: whether an attribute's logit starts from what the class probabilities imply, so that only what the
            class does not say is learnt; False learns it from the features alone.
        ridge: penalty on the attributes' weights.
    """

    anchored: bool
    ridge: float


class Heads:
    """Class and attribute heads, fitted to frozen features."""

    def __init__(self, photos: Photos, kind: Kind, classes: int) -> None:
        self.kind, self.classes = kind, classes
        self.mean, self.std = photos.features.mean(0), photos.features.std(0) + 1e-6
        scaled = (photos.features - self.mean) / self.std
        # as many directions as photos: a ridge finds the same heads in them, several times faster
        self.directions = torch.linalg.svd(scaled, full_matrices=False).Vh.T
        x = self._scaled(photos)
        self.class_weights = class_head(x, photos.labels, classes)
        sums, counts = _sums(photos, classes)
        self.base = (photos.targets * photos.weights).sum(0) / photos.weights.sum(0)
        self.table = (sums + SMOOTH * self.base) / (counts + SMOOTH)
        offset = (
            self._anchor_of_training(x, photos, sums, counts) if kind.anchored else torch.zeros_like(photos.targets)
        )
        parts = [
            logistic(x, photos.targets[:, k], photos.weights[:, k], offset[:, k], kind.ridge)
            for k in range(photos.targets.shape[1])
        ]
        self.attribute_weights = torch.stack([weight for weight, _ in parts])
        self.bias = torch.stack([bias for _, bias in parts])

    def read(self, photos: Photos) -> tuple[Tensor, Tensor, Tensor]:
        """Class logits, attribute logits, and what the predicted class alone implies."""
        x = self._scaled(photos)
        classes = _with_bias(x) @ self.class_weights.T
        anchor = log_odds(classes.softmax(1) @ self.table) if self.kind.anchored else 0
        return classes, anchor + x @ self.attribute_weights.T + self.bias, self.table[classes.argmax(1)]

    def _anchor_of_training(self, x: Tensor, photos: Photos, sums: Tensor, counts: Tensor) -> Tensor:
        """What the class implies of training photos: by classes read in cross-fit, and without the photo itself."""
        likely = torch.zeros(len(x), self.classes)
        fold = folds_of(len(x), 1)
        for one in range(FOLDS):
            rest, own = fold != one, fold == one
            weights = class_head(x[rest], photos.labels[rest], self.classes)
            likely[own] = (_with_bias(x[own]) @ weights.T).softmax(1)
        own_class = torch.nn.functional.one_hot(photos.labels, self.classes).float()[:, :, None]
        known = photos.weights[:, None]
        less, fewer = sums - own_class * (photos.targets * photos.weights)[:, None], counts - own_class * known
        return log_odds((likely[:, :, None] * (less + SMOOTH * self.base) / (fewer + SMOOTH)).sum(1))

    def _scaled(self, photos: Photos) -> Tensor:
        return ((photos.features - self.mean) / self.std) @ self.directions


def _sums(photos: Photos, classes: int) -> tuple[Tensor, Tensor]:
    """Weighted positives and weights of each class and attribute."""
    hot = torch.nn.functional.one_hot(photos.labels, classes).float().T
    return hot @ (photos.targets * photos.weights), hot @ photos.weights


def class_head(x: Tensor, labels: Tensor, classes: int) -> Tensor:
    """A soft-max on features with a ridge, [y, c + 1]; the last column is the bias."""
    weights = torch.zeros(classes, x.shape[1] + 1, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=60, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(_with_bias(x) @ weights.T, labels, reduction="sum")
        loss = loss + CLASS_RIDGE / 2 * weights[:, :-1].square().sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    return weights.detach()


def logistic(x: Tensor, truth: Tensor, weight: Tensor, offset: Tensor, ridge: float) -> tuple[Tensor, Tensor]:
    """Weights and bias of a ridge logistic regression with an offset, by Newton's method on the photos' kernel."""
    kernel, one = (x @ x.T / ridge).double(), torch.ones(len(x), 1, dtype=torch.float64)
    alpha, bias = torch.zeros(len(x), dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    for _ in range(12):
        eta = kernel @ alpha + bias
        p = (eta + offset).sigmoid()
        bend = (weight * p * (1 - p)).clamp(min=1e-3)
        goal = eta + weight * (truth - p) / bend
        solved = torch.linalg.solve(kernel + torch.diag(1 / bend), torch.cat([goal[:, None], one], 1))
        bias = (solved[:, 0].sum() / solved[:, 1].sum())[None]
        alpha = solved[:, 0] - bias * solved[:, 1]
    return (x.double().T @ alpha / ridge).float(), bias[0].float()


def folds_of(count: int, seed: int) -> Tensor:
    """Number of the fold of each photo."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed)) % FOLDS


def _with_bias(x: Tensor) -> Tensor:
    return torch.cat([x, torch.ones(len(x), 1)], 1)
