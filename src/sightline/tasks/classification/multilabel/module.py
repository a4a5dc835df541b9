"""What one step of training a network of several labels does: as for one class, with the loss of each label."""

from __future__ import annotations

from torch import Tensor

from sightline.tasks.classification.module import ClassifyTask
from sightline.training.labels.objective import label_loss, positive_weights
from sightline.training.labels.scores import mean_auroc


class LabelTask(ClassifyTask):
    """Binary cross-entropy of each label; unknown entries do not count."""

    weights: Tensor | None = None

    def begin(self, labels: Tensor) -> None:
        """Weigh positives by how rare they are, where balance is asked for."""
        if self.recipe.tuning.balanced:
            self.register_buffer("weights", positive_weights(labels), persistent=False)

    def learnt_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Loss that is learnt from."""
        return label_loss(logits, labels, self.weights)

    def judged_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Loss on pictures that are not learnt from."""
        return label_loss(logits, labels)

    def scored(self, part: str, logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Mean AUROC over the labels that have pictures of both kinds, of whole parts; a batch has too few."""
        if part == "train":
            return {}
        return {f"{part}/mean AUROC": mean_auroc(logits, labels)}
