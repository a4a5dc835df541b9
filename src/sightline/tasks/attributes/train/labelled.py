"""What training differs in where a picture may have several labels: the loss, and what labels imply of attributes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.tasks.attributes.train.module import EatTask
from sightline.training.labels.objective import label_loss, positive_weights
from sightline.training.labels.probe import LabelProbe, label_probe
from sightline.training.labels.scores import mean_auroc
from sightline.training.operating import OperatingPoint


class LabelEatTask(EatTask):
    """As `EatTask`, with the binary cross-entropy of each label; unknown entries do not count."""

    positives: Tensor | None = None

    def begin(self, labels: Tensor) -> None:
        """Weigh positives by how rare they are, where balance is asked for."""
        if self.recipe.tuning.balanced:
            self.register_buffer("positives", positive_weights(labels), persistent=False)

    def class_loss(self, classes: Tensor, labels: Tensor) -> Tensor:
        """Loss that is learnt from."""
        return label_loss(classes, labels, self.positives)

    def judged_loss(self, classes: Tensor, labels: Tensor) -> Tensor:
        """Loss of pictures that are not learnt from."""
        return label_loss(classes, labels)

    def figures(self, classes: Tensor, labels: Tensor, *, whole: bool = False) -> dict[str, Tensor]:
        """Mean AUROC over the labels, of whole parts; a batch has too few pictures."""
        return {"mean AUROC": mean_auroc(classes, labels)} if whole else {}


class LabelControl:
    """What labels alone imply of attributes: logistic regression of each attribute on the labels of a picture.

    It never looks at the picture. An attribute that a network reads no better than this is known from its labels.

    Args:
        labels: labels of training pictures, NaN for unknown.
        targets: their attributes, 0..1.
        weights: how sure these are; 0 for unknown.
        strength: strength of the penalty; None chooses it by cross-validation.
    """

    def __init__(
        self,
        labels: Float[Tensor, "n y"],
        targets: Float[Tensor, "n k"],
        weights: Float[Tensor, "n k"],
        strength: float | None = None,
    ) -> None:
        self.mean = labels.nanmean(0).nan_to_num(0.5)
        total: Tensor = (targets * weights).sum(0)
        self.frequency = total / weights.sum(0).clamp(min=1e-6)
        truth = torch.where(weights > 0, targets, torch.nan)
        self.own: LabelProbe = label_probe(self._filled(labels), truth, strength)

    def of(self, labels: Float[Tensor, "n y"]) -> Float[Tensor, "n k"]:
        """Probabilities of all attributes.

        Args:
            labels: 1 or 0 for each label; NaN for unknown, which counts as the mean.
        """
        return self.own.logits(self._filled(labels)).sigmoid().float()

    def _filled(self, labels: Float[Tensor, "n y"]) -> Float[Tensor, "n y"]:
        return torch.where(labels.isnan(), self.mean, labels.float())


def flagged(logits: Float[Tensor, "n y"], points: Sequence[OperatingPoint]) -> Float[Tensor, "n y"]:
    """1 for each label that reaches its threshold, else 0.

    Args:
        logits: of the labels.
        points: operating points.
    """
    thresholds = torch.tensor([point.threshold for point in points], dtype=torch.float64)
    return (logits.double().sigmoid() >= thresholds).float()
