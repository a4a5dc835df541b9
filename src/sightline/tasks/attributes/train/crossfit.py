"""What heads on frozen features say of pictures that they have not learnt from: fitted again without each fold.

Where pictures are few, a tenth of them shows nothing of what a network reads; so all of them calibrate it and measure
its skill, each judged by heads that had not seen it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.tasks.attributes.data.examples import Examples
from sightline.tasks.attributes.network.activations import activations
from sightline.tasks.attributes.network.skill import Answers, implied_by
from sightline.tasks.attributes.train.calibrate import prototypes_of
from sightline.tasks.attributes.train.labelled import LabelControl, flagged
from sightline.tasks.attributes.train.start import Taught, attribute_probe
from sightline.training.labels.probe import label_probe
from sightline.training.operating import OperatingPoint
from sightline.training.probe import chosen_strength, fitted, span

FOLDS = 5
Rows: TypeAlias = Int[Tensor, " m"]
LeftOut: TypeAlias = Callable[[Rows, Rows], tuple[Int[Tensor, " m"], Float[Tensor, "m k"]]]
"""From rows to learn from and rows to answer for: the classes of the latter, and what these alone imply."""


def all_features(known: Examples) -> Float[Tensor, "n c"]:
    """The pooled features of pictures whose features are known."""
    table: Tensor = known.features[torch.arange(len(known))]
    return table


def folds_of(count: int, families: Sequence[str] = ()) -> Int[Tensor, " n"]:
    """The fold of every picture; those of one family, such as a patient's, are in one.

    Args:
        count: how many pictures there are.
        families: family of every picture; empty where each is its own.
    """
    member = np.unique(np.array(families), return_inverse=True)[1] if families else np.arange(count)
    order = torch.randperm(int(member.max()) + 1, generator=torch.Generator().manual_seed(0))
    return order[torch.from_numpy(member)] % FOLDS


def out_of_fold(
    features: Float[Tensor, "n c"], taught: Taught, strength: float, fold: Int[Tensor, " n"]
) -> Float[Tensor, "n k"]:
    """Attribute logits of training pictures by heads that were fitted without each picture's fold.

    Args:
        features: of the training pictures.
        taught: their attributes.
        strength: strength of the heads' penalty.
        fold: number of each picture's fold.

    Source:
        wolpert1992stacked (a class head that learns from such logits).
    """
    logits = torch.zeros_like(taught.targets)
    for own, rest in _parts(fold):
        head, _ = attribute_probe(features[rest], taught.take(rest), strength)
        logits[own] = features[own] @ head.weight.T + head.bias
    return logits


def unseen(logits: Float[Tensor, "n k"], taught: Taught, control: LeftOut, fold: Int[Tensor, " n"]) -> Answers:
    """What is said of training pictures by heads, and implied by a control, that have not seen them.

    Args:
        logits: as `out_of_fold` gives them.
        taught: attributes of the pictures.
        control: what classes imply.
        fold: number of each picture's fold.
    """
    predicted, implied = torch.zeros(len(logits), dtype=torch.long), torch.zeros_like(logits)
    for own, rest in _parts(fold):
        predicted[own], implied[own] = control(rest, own)
    return Answers(activations(logits, taught.words), predicted, taught.targets, taught.weights, implied)


def _parts(fold: Int[Tensor, " n"]) -> list[tuple[Rows, Rows]]:
    """Rows of each fold, and all others."""
    return [(torch.nonzero(fold == one)[:, 0], torch.nonzero(fold != one)[:, 0]) for one in range(FOLDS)]


def class_control(
    features: Float[Tensor, "n c"], labels: Int[Tensor, " n"], taught: Taught, classes: int, strength: float | None
) -> LeftOut:
    """The control of one class per picture: prototypes of the class that a linear probe names.

    Args:
        features: of the training pictures.
        labels: their classes, negative for none.
        taught: their attributes.
        classes: number of classes.
        strength: strength of the probe's penalty; None chooses it here.
    """
    mean, scale = features.double().mean(0), features.double().std(0).clamp(min=1e-6)
    x, named = (features.double() - mean) / scale, labels >= 0
    if (directions := span(x)) is not None:
        x = x @ directions.T
    chosen = chosen_strength(x[named], labels[named], classes) if strength is None else strength

    def control(rest: Rows, own: Rows) -> tuple[Int[Tensor, " m"], Float[Tensor, "m k"]]:
        learnt = rest[named[rest]]
        weight, bias = fitted(x[learnt], labels[learnt], classes, chosen)
        predicted = (x[own] @ weight.T + bias).argmax(1)
        table = prototypes_of(taught.targets[learnt], taught.weights[learnt], labels[learnt], classes)
        return predicted, implied_by(table, predicted)

    return control


def label_control(
    features: Float[Tensor, "n c"],
    labels: Float[Tensor, "n y"],
    taught: Taught,
    points: Sequence[OperatingPoint],
    strengths: tuple[float | None, float | None] = (None, None),
) -> LeftOut:
    """The control of several labels per picture: what those imply that a probe of each flags.

    Args:
        features: of the training pictures.
        labels: their labels, NaN for unknown.
        taught: their attributes.
        points: thresholds of the labels.
        strengths: of the penalties of the labels' probe and of the control; None chooses them here.
    """

    def control(rest: Rows, own: Rows) -> tuple[Int[Tensor, " m"], Float[Tensor, "m k"]]:
        logits = label_probe(features[rest], labels[rest], strengths[0]).logits(features[own])
        known = LabelControl(labels[rest], taught.targets[rest], taught.weights[rest], strengths[1])
        return logits.argmax(1), known.of(flagged(logits, points))

    return control
