"""What a trained network must know of its data before it may speak: calibration, thresholds, means, prototypes.

Means and prototypes come from the training pictures, calibration and thresholds from answers about pictures that were
not learnt from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from sightline.tasks.attributes.data import class_means
from sightline.tasks.attributes.data.examples import Examples
from sightline.tasks.attributes.network.calibration import Calibration, best_thresholds, platt
from sightline.tasks.attributes.network.net import AttributeNet, AttributeOutput
from sightline.tasks.attributes.network.skill import Answers
from sightline.tasks.attributes.train.losses import imbalance

Implied = Callable[[Float[Tensor, "n y"]], Float[Tensor, "n k"]]


class Predictions(NamedTuple):
    """What a network says of many pictures.

    Args:
        classes: class logits.
        logits: attribute logits z.
        probabilities: a, not calibrated.
    """

    classes: Float[Tensor, "n y"]
    logits: Float[Tensor, "n k"]
    probabilities: Float[Tensor, "n k"]


def fit_calibration(
    net: AttributeNet, train: Examples, unseen: Answers, *, beta: float = 1.0, balance: float = 0.0
) -> Calibration:
    """What the network must know to speak.

    Args:
        net: the trained network.
        train: its training pictures, as they are, without augmentation.
        unseen: what is said of pictures that were not learnt from, by the network or by heads fitted without them;
            it is not judged by them either.
        beta: beta of the F-score by which thresholds are chosen; below 1 the network says less and errs less.
        balance: how much more rare attributes counted in its loss; what that did to its probabilities is taken back.
    """
    on_train = predict(net, train)
    zero = torch.zeros(len(net.spec.vocabulary))
    provisional = Calibration(
        slope=zero + 1,
        offset=zero,
        threshold=zero + 0.5,
        mean=on_train.probabilities.mean(0),
        mean_logit=on_train.logits.mean(0),
        prototypes=prototypes_in(train, len(net.spec.classes)),
        **_correction(net, train, balance),
    )
    slope, offset = platt(provisional.corrected(unseen.probabilities), unseen.targets, unseen.weights)
    calibrated = replace(provisional, slope=slope, offset=offset)
    said = calibrated.calibrated(unseen.probabilities)
    return replace(calibrated, threshold=best_thresholds(said, unseen.targets, unseen.weights, beta))


def answers_of(net: AttributeNet, pictures: Examples, implied: Implied | None = None) -> Answers:
    """What a network says of pictures that it has not learnt from.

    Args:
        net: the trained network.
        pictures: pictures that it was not trained on and is not judged by.
        implied: what class logits alone imply of attributes; None leaves it to the prototypes of the predicted class.
    """
    said = predict(net, pictures)
    control = None if implied is None else implied(said.classes)
    return Answers(said.probabilities, said.classes.argmax(1), pictures.targets, pictures.weights, control)


def _correction(net: AttributeNet, train: Examples, balance: float) -> dict[str, Tensor]:
    """What the weights of the loss did to the odds, and which attributes form a choice."""
    words = net.spec.vocabulary
    if not balance:
        return {}
    choice = torch.full((len(words),), -1.0)
    for number, group in enumerate(words.groups):
        if group.exclusive:
            choice[list(group.members)] = float(number)
    prior = imbalance(train.targets, train.weights, words, balance).log()
    if net.ranks is not None:
        prior[list(net.ranks.positions)] = 0.0  # no rank counted more than another
    return {"prior": prior, "choice": choice}


def prototypes_in(train: Examples, classes: int) -> Float[Tensor, "y k"]:
    """For each class the share of its training pictures that have an attribute; NaN where unknown."""
    named = train if train.several else train.take(train.labels >= 0)
    return prototypes_of(named.targets, named.weights, named.labels, classes)


def prototypes_of(targets: Tensor, weights: Tensor, labels: Tensor, classes: int) -> Float[Tensor, "y k"]:
    """The same of tables.

    Args:
        targets: how much of each attribute, `[n, k]`.
        weights: how sure that is, `[n, k]`.
        labels: classes `[n]`, or labels `[n, y]`.
        classes: number of classes.
    """
    return torch.from_numpy(class_means(targets.numpy(), weights.numpy(), labels.numpy(), classes))


def predict(net: AttributeNet, examples: Examples, batch: int = 64) -> Predictions:
    """What a network says of pictures, without gradients."""
    parts = [(one.classes, one.logits, one.probabilities) for one in outputs(net, examples, batch)]
    return Predictions(*(torch.cat(column) for column in zip(*parts, strict=True)))


@torch.inference_mode()
def outputs(net: AttributeNet, examples: Examples, batch: int = 64) -> Iterator[AttributeOutput]:
    """What a network reads off pictures, or off their features, batch by batch, on its device."""
    for rows in torch.split(torch.arange(len(examples)), batch):
        if examples.features is None:
            yield net.read(normalised(net, examples.images[rows[0] : rows[-1] + 1]))
        else:
            own: Tensor = examples.features[rows]
            yield net.read_features(own if own.ndim == 4 else own[..., None, None])


def normalised(net: AttributeNet, images: UInt8[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
    """Bytes as the network takes them."""
    device = next(net.parameters()).device
    mean, std = (torch.tensor(net.spec.preprocess[key], device=device).view(1, 3, 1, 1) for key in ("mean", "std"))
    return (images.to(device).float() / 255 - mean) / std
