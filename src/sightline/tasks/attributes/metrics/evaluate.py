"""What a trained attribute network can do, measured on pictures that it never saw. Figures only, no words.

Every figure has a control beside it: the most frequent value, the share of pictures, the class alone, the
object's area.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.common.statistics.bootstrap import Interval, ratio
from sightline.common.statistics.intervals import wilson
from sightline.tasks.attributes.data.examples import Examples, object_shares
from sightline.tasks.attributes.explain.speaking import PictureOutput, SpeakingAttributeNet
from sightline.tasks.attributes.metrics.distance import Distance, distances
from sightline.tasks.attributes.metrics.energy import NOTHING, Energy, energy_of
from sightline.tasks.attributes.metrics.scores import (
    Choice,
    Ranking,
    attribute_calibration_error,
    choices_of,
    rankings,
    within_classes,
)
from sightline.tasks.attributes.metrics.speech import TextReport, text_report, texts_of
from sightline.tasks.attributes.network.net import AttributeNet
from sightline.tasks.attributes.train.calibrate import Predictions, normalised
from sightline.tasks.attributes.train.guidance import class_maps

SPOKEN = 500
"""Most pictures whose texts are judged."""


@dataclass(frozen=True)
class TestReport:
    """Figures of a trained network.

    Args:
        pictures: how many have a class.
        hits: how many of them were classified right.
        chance: how many are of the class that is most frequent there.
        choices: every exclusive group, read by the network.
        by_class: the same, said from the true class's prototype by somebody who never looks.
        rankings: every other attribute, read by the network.
        ranked_by_class: the same, said from the true class's prototype.
        within: share of pairs of pictures of one class, of which one has an attribute, that are ranked right; half
            for whoever knows the class alone. None where no such pair exists.
        pairs: how many pairs.
        calibration: expected calibration error of the calibrated attributes.
        uncalibrated: calibration error of the network's own probabilities.
        energy: None where nobody marked the object.
        texts: how true the texts are.
        right: for each picture with a class, whether it was classified right.
        distances: every ordinal and continuous attribute: how far readings are from the truth.
    """

    pictures: int
    hits: int
    chance: int
    choices: tuple[Choice, ...]
    by_class: tuple[Choice, ...]
    rankings: tuple[Ranking, ...]
    ranked_by_class: tuple[Ranking, ...]
    within: Interval | None
    pairs: int
    calibration: float
    uncalibrated: float
    energy: Energy | None
    texts: TextReport
    right: tuple[bool, ...] = field(default=(), repr=False)
    distances: tuple[Distance, ...] = ()

    @property
    def accuracy(self) -> float:
        """Share of pictures that were classified right."""
        return self.hits / self.pictures if self.pictures else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the accuracy."""
        return wilson(self.hits, self.pictures)


def judge(net: AttributeNet, pictures: Examples) -> TestReport:
    """Measure a network that is calibrated.

    Args:
        net: calibrated network in eval mode.
        pictures: pictures that the network was not trained on.
    """
    predictions, where = read_with_maps(net, pictures)
    known = pictures.labels >= 0
    labels = pictures.labels[known]
    hits = predictions.classes[known].argmax(1) == labels
    attributes = attribute_figures(net, predictions, pictures, _from_class(net, pictures), pictures.labels)
    return TestReport(
        pictures=len(labels),
        hits=int(hits.sum()),
        chance=int(torch.bincount(labels, minlength=1).max()),
        energy=where,
        texts=texts(net, pictures),
        right=tuple(hits.tolist()),
        **attributes,
    )


def attribute_figures(
    net: AttributeNet,
    predictions: Predictions,
    pictures: Examples,
    oracle: Float[Tensor, "n k"],
    kinds: Int[Tensor, " n"],
) -> dict[str, Any]:
    """How attributes are read, beside controls: fields of a `TestReport`.

    Args:
        net: calibrated network in eval mode.
        predictions: what it says of the pictures.
        pictures: the pictures.
        oracle: what somebody says who knows the true class, or labels, and does not look.
        kinds: the class of each picture, or a number for its set of labels; negative for none.
    """
    truth, words = (pictures.targets, pictures.weights), net.spec.vocabulary
    calibrated = net.calibration.calibrated(predictions.probabilities)
    own = kinds >= 0
    right, pairs = within_classes(
        predictions.probabilities[own], pictures.targets[own], pictures.weights[own], kinds[own]
    )
    some = pairs > 0
    return {
        "choices": choices_of(predictions.probabilities, *truth, words),
        "by_class": choices_of(oracle, *truth, words),
        "rankings": rankings(predictions.probabilities, *truth, words),
        "ranked_by_class": rankings(oracle, *truth, words),
        "within": ratio(right[some].double(), pairs[some].double()) if bool(some.any()) else None,
        "pairs": int(pairs.sum()),
        "calibration": attribute_calibration_error(calibrated, *truth),
        "uncalibrated": attribute_calibration_error(predictions.probabilities, *truth),
        "distances": distances(predictions.probabilities, oracle, *truth, words),
    }


def texts(net: AttributeNet, pictures: Examples, most: int = SPOKEN) -> TextReport:
    """How true the texts are that `explain` gives of pictures, beside both controls.

    Args:
        net: calibrated network in eval mode.
        pictures: pictures that the network was not trained on.
        most: at most so many of them are spoken of, drawn with a fixed seed: each takes a pass of its own.
    """
    model, outputs, some = spoken(net, pictures, most)
    frequency = model.calibration.prototypes.nanmean(0)
    return text_report(model, texts_of(model, outputs), some.targets, some.weights > 0, frequency)


def spoken(
    net: AttributeNet, pictures: Examples, most: int = SPOKEN
) -> tuple[SpeakingAttributeNet, Iterator[PictureOutput], Examples]:
    """A network as one that speaks, what it says of some pictures one by one, and these pictures.

    Args:
        net: calibrated network in eval mode.
        pictures: pictures that the network was not trained on.
        most: at most so many of them, drawn with a fixed seed.
    """
    order = torch.randperm(len(pictures), generator=torch.Generator().manual_seed(0))
    some = pictures.take(order[:most].sort().values)
    model = SpeakingAttributeNet(net)
    device = next(net.parameters()).device
    outputs = (model.read(normalised(net, some.images[row : row + 1]).to(device)) for row in range(len(some)))
    return model, outputs, some


def _from_class(net: AttributeNet, pictures: Examples) -> Float[Tensor, "n k"]:
    """What the prototype of the true class says; the mean over classes where a class or an attribute is not known."""
    table = net.calibration.prototypes
    table = torch.where(table.isnan(), table.nanmean(0), table).nan_to_num(0.5)
    at = pictures.labels.clamp(min=0)
    return torch.where((pictures.labels >= 0)[:, None], table[at], table.mean(0))


def read_with_maps(net: AttributeNet, pictures: Examples, batch: int = 64) -> tuple[Predictions, Energy | None]:
    """What a network says of pictures, and how much of the decided class's map lies on the object: one forward.

    Args:
        net: network in eval mode.
        pictures: pictures, with or without what is known of the object.
        batch: pictures at a time.
    """
    said, scaled, objects = [], [], []
    for at in range(0, len(pictures), batch):
        with torch.no_grad():
            features, finer = net.trunk.levels(normalised(net, pictures.images[at : at + batch]), net.levels)
        reading = net.read_features(features.detach().requires_grad_(), finer)
        said.append(tuple(part.detach() for part in (reading.classes, reading.logits, reading.probabilities)))
        maps = class_maps(reading.classes.max(1).values, reading.features).detach().cpu()
        inside = object_shares(pictures.parts[at : at + batch], (maps.shape[1], maps.shape[2]))
        total, area = maps.sum((1, 2)), inside.mean((1, 2))
        measurable = (total > 0) & (area > 0)
        scaled.append((maps / total.clamp(min=NOTHING)[:, None, None])[measurable])
        objects.append(inside[measurable])
    predictions = Predictions(*(torch.cat(column) for column in zip(*said, strict=True)))
    own, inside = torch.cat(scaled), torch.cat(objects)
    return predictions, energy_of(own, inside) if len(own) else None
