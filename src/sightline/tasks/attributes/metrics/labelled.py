"""What a network of several labels reads and says of attributes, beside controls that know its labels only.

As `evaluate` measures it for one class. Figures of the labels themselves are `training.labels.scores`.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch

from sightline.tasks.attributes.data.examples import Examples
from sightline.tasks.attributes.explain.labelled import label_analyses
from sightline.tasks.attributes.explain.speaking import PictureOutput, SpeakingModel
from sightline.tasks.attributes.metrics.evaluate import TestReport, attribute_figures, spoken
from sightline.tasks.attributes.metrics.speech import SEEN_ROLES, TextReport, Texts, named, text_report
from sightline.tasks.attributes.metrics.texts import mention_table
from sightline.tasks.attributes.network.labelled import LabelledAttributeNet
from sightline.tasks.attributes.train.calibrate import predict
from sightline.tasks.attributes.train.labelled import LabelControl, flagged


def judge_labels(net: LabelledAttributeNet, pictures: Examples, control: LabelControl) -> TestReport:
    """Measure how a network that is calibrated, and has operating points, reads attributes and speaks of them.

    Args:
        net: network in eval mode.
        pictures: pictures that the network was not trained on.
        control: what labels alone imply of attributes.

    Returns:
        The report; it counts no picture by its class.
    """
    kinds = torch.unique(pictures.labels.nan_to_num(-1), dim=0, return_inverse=True)[1]
    oracle = control.of(pictures.labels)
    return TestReport(
        pictures=0,
        hits=0,
        chance=0,
        energy=None,
        texts=label_texts(net, pictures, control),
        **attribute_figures(net, predict(net, pictures), pictures, oracle, kinds),
    )


def label_texts(net: LabelledAttributeNet, pictures: Examples, control: LabelControl) -> TextReport:
    """How true the texts are that `explain` gives of every label that is flagged, beside both controls.

    Args:
        net: calibrated network with operating points, in eval mode.
        pictures: pictures that the network was not trained on.
        control: what labels alone imply of attributes.
    """
    model, outputs, some = spoken(net, pictures)
    every = list(outputs)
    implied = control.of(flagged(torch.stack([one.scores for one in every]), net.points))
    texts = texts_of_labels(model, every, net)
    return text_report(model, texts, some.targets, some.weights > 0, control.frequency, implied)


def texts_of_labels(model: SpeakingModel, outputs: Iterable[PictureOutput], net: LabelledAttributeNet) -> Texts:
    """What a network says of all labels that it flags, picture by picture; nothing where it flags none."""
    seen: list[set[int]] = []
    typical: list[set[int]] = []
    for output in outputs:
        statements = [one for analysis in label_analyses(model, output, net.points) for one in analysis.statements]
        seen.append(named(statements, SEEN_ROLES))
        typical.append(named(statements, ("typical",)))
    count = len(model.vocabulary)
    return Texts(mention_table(seen, count), mention_table(typical, count), torch.zeros(len(seen), dtype=torch.long))
