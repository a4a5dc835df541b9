"""The linear probe: logistic regression on features that nothing was done to, the control of every training.

What is below it has lost something that the weights knew. Pure functions of features and labels; where features come
from is the task's business.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as fn

from sightline.training.descent import lowest

STRENGTHS = (10.0, 1.0, 0.1, 0.01, 1e-3, 1e-4)
"""Strengths of the L2 penalty, strongest first, among which cross-validation chooses."""
FOLDS, FEW = 5, 1000
"""Parts for cross-validation; with more pictures than `FEW` one part is looked at and the others are learnt from."""
MOST = 4000
"""Most training pictures that a probe learns from."""
STEPS = 100


@dataclass(frozen=True, eq=False)
class Features:
    """Pooled features of a network in eval mode before it learns, with classes from 0.

    Args:
        train: features to fit the probe on.
        train_labels: their classes.
        test: features of the pictures that judge the training.
        test_labels: their classes.
    """

    train: Float[Tensor, "n c"]
    train_labels: Int[Tensor, " n"]
    test: Float[Tensor, "m c"]
    test_labels: Int[Tensor, " m"]


@dataclass(frozen=True, eq=False)
class LinearHead:
    """Logistic regression on features as they are, not standardised: what a network's last layer may start from.

    Args:
        weight: weights of each class.
        bias: bias of each class.
    """

    weight: Float[Tensor, "k c"]
    bias: Float[Tensor, " k"]

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor, mean: Tensor, scale: Tensor) -> LinearHead:
        """The same scores as those of a fit to features that were standardised: (x - mean) / scale.

        Args:
            weight: weights on standardised features, `[k, c]`.
            bias: bias, `[k]`.
            mean: mean of each feature, `[c]`.
            scale: spread of each feature, `[c]`.
        """
        plain = weight / scale
        return cls(plain.float(), (bias - plain @ mean).float())

    @torch.no_grad()
    def fill(self, layer: nn.Module | None) -> bool:
        """Let a layer start from here, where it is linear, or a 1 x 1 convolution, of this size with a bias.

        A linear layer without a bias starts from a probe without one.

        Args:
            layer: changed in place.

        Returns:
            Whether it does.
        """
        if not isinstance(layer, nn.Linear | nn.Conv2d):
            return False
        if layer.bias is None and (not isinstance(layer, nn.Linear) or bool(self.bias.any())):
            return False
        if layer.weight.numel() != self.weight.numel() or layer.weight.shape[:2] != self.weight.shape:
            return False
        layer.weight.copy_(self.weight.reshape(layer.weight.shape))
        if layer.bias is not None:
            layer.bias.copy_(self.bias)
        return True


def scores_of(layer: nn.Module, features: Float[Tensor, "n c"]) -> Float[Tensor, "n k"]:
    """What a last layer makes of pooled features; a convolution takes them as a single place.

    Args:
        layer: a linear layer, or a convolution.
        features: what it reads.
    """
    scores: Tensor = layer(features[..., None, None] if isinstance(layer, nn.Conv2d) else features)
    return scores.flatten(1)


@torch.no_grad()
def knows_classes(layer: nn.Module, features: Features) -> bool:
    """Whether a last layer that came with the weights tells these classes already.

    Its cross-entropy on the training pictures is then below half of that of guessing by their frequencies; that of a
    new layer, or of one that learnt other classes, is above it.

    Args:
        layer: takes features to scores.
        features: of a network before it learns.
    """
    labels = features.train_labels
    scores = scores_of(layer, features.train)
    if scores.ndim != 2 or scores.shape[1] <= int(labels.max()):
        return False
    shares = torch.bincount(labels).double() / len(labels)
    guess = -float((shares * shares.clamp(min=1e-12).log()).sum())
    return float(fn.cross_entropy(scores, labels)) < guess / 2


@dataclass(frozen=True)
class Probe:
    """What a linear probe reached.

    Args:
        right: for each test picture, whether its class was named.
        strength: strength of the penalty that cross-validation chose.
        pictures: training pictures that it was fitted to.
        seconds: time on the processor.
        head: the probe's weights; None where only its figures were kept.
    """

    right: tuple[bool, ...]
    strength: float
    pictures: int
    seconds: float
    head: LinearHead | None = field(default=None, compare=False, repr=False)


def linear_probe(features: Features) -> Probe:
    """Fit a probe and test it.

    Args:
        features: of a network before it learns.
    """
    begin = time.process_time()
    x, labels = features.train.double(), features.train_labels
    mean, scale = x.mean(0), x.std(0).clamp(min=1e-6)
    x, test = (x - mean) / scale, (features.test.double() - mean) / scale
    directions = span(x)
    x = x if directions is None else x @ directions.T
    classes = int(max(features.train_labels.max(), features.test_labels.max())) + 1
    strength = chosen_strength(x, labels, classes)
    weight, bias = fitted(x, labels, classes, strength)
    weight = weight if directions is None else weight @ directions
    right = (test @ weight.T + bias).argmax(1) == features.test_labels
    head = LinearHead.of(weight, bias, mean, scale)
    return Probe(tuple(right.tolist()), strength, len(x), time.process_time() - begin, head)


def head_from(features: Features) -> LinearHead:
    """The weights of a probe.

    Args:
        features: of a network before it learns.
    """
    return cast(LinearHead, linear_probe(features).head)


def head_without_bias(features: Features) -> LinearHead:
    """The weights of a probe whose bias is 0, for a last layer that has none: features are scaled, but not centred.

    Args:
        features: of a network before it learns.
    """
    x, labels = features.train.double(), features.train_labels
    scale = x.square().mean(0).sqrt().clamp(min=1e-6)
    x, classes = x / scale, int(max(features.train_labels.max(), features.test_labels.max())) + 1
    weight, bias = fitted(x, labels, classes, chosen_strength(x, labels, classes, offset=False), offset=False)
    return LinearHead.of(weight, bias, torch.zeros_like(scale), scale)


def span(x: Float[Tensor, "n c"]) -> Float[Tensor, "n c"] | None:
    """Orthonormal directions of few rows, in which all weights of a penalised fit lie; None where rows are many.

    What of the weights is orthogonal to every row changes no score and only adds to the penalty.

    Args:
        x: standardised features.
    """
    directions: Tensor | None = torch.linalg.svd(x, full_matrices=False).Vh if len(x) < x.shape[1] else None
    return directions


def fitted(
    x: Float[Tensor, "n c"],
    labels: Int[Tensor, " n"],
    classes: int,
    strength: float,
    start: tuple[Tensor, Tensor] | None = None,
    *,
    offset: bool = True,
) -> tuple[Float[Tensor, "k c"], Float[Tensor, " k"]]:
    """Weights and bias that minimise mean cross-entropy + strength / 2 * sum of squared weights.

    Args:
        x: standardised features.
        labels: classes from 0.
        classes: number of classes.
        strength: of the penalty; the bias has none.
        start: where the search begins; None begins at 0.
        offset: whether the bias is learnt; else it stays 0.
    """
    begin = x.new_zeros(classes, x.shape[1] + 1) if start is None else torch.cat((start[0], start[1][:, None]), 1)
    truth = fn.one_hot(labels, classes).to(x)

    def slope(head: Tensor) -> tuple[Tensor, Tensor]:
        logs = torch.addmm(head[:, -1], x, head[:, :-1].T).log_softmax(1)
        miss = (logs.exp() - truth) / len(x)
        of_bias = miss.sum(0)[:, None] if offset else head.new_zeros(classes, 1)
        gradient = torch.cat((miss.T @ x + strength * head[:, :-1], of_bias), 1)
        return -(truth * logs).sum() / len(x) + strength / 2 * head[:, :-1].square().sum(), gradient

    head = lowest(slope, begin, STEPS)
    return head[:, :-1], head[:, -1]


def chosen_strength(
    x: Float[Tensor, "n c"], labels: Int[Tensor, " n"], classes: int, *, offset: bool = True
) -> float:
    """The strength of the lowest cross-entropy on pictures that were left out; arguments are those of `fitted`."""
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    parts = [part for part in order.tensor_split(FOLDS) if len(part) and len(part) < len(x)]
    parts = parts[:1] if len(x) > FEW else parts
    losses = dict.fromkeys(STRENGTHS, 0.0)
    for part in parts:
        kept: Bool[Tensor, " n"] = torch.ones(len(x), dtype=torch.bool).index_fill(0, part, value=False)
        start = None  # each search begins where the one of the stronger penalty ended
        for strength in STRENGTHS:
            start = fitted(x[kept], labels[kept], classes, strength, start, offset=offset)
            losses[strength] += float(
                fn.cross_entropy(x[part] @ start[0].T + start[1], labels[part], reduction="sum")
            )
    return min(STRENGTHS, key=lambda strength: losses[strength])


def some(rows: Int[Tensor, " n"]) -> Int[Tensor, " m"]:
    """Rows for a probe to learn from: at most `MOST`, drawn with a fixed seed, in their order."""
    if len(rows) <= MOST:
        return rows
    return rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))[:MOST].sort().values]
