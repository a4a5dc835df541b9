"""What one step of training a classifier does: augment, mix, loss, optimiser, schedule.

A Lightning module around any network of class logits. It stops at a loss that is no number, and tests after every
epoch.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as fn

from sightline.tasks.classification.heads import logits_of
from sightline.tasks.classification.recipe import ClassifyRecipe
from sightline.training.augmentation import cropped, normalised
from sightline.training.module import TrainedModule
from sightline.training.photos import mixed, photo_views
from sightline.training.probe import scores_of
from sightline.training.tuner import Tuning


class ClassifyTask(TrainedModule):
    """Cross-entropy; AdamW on a cosine, or SGD whose rate falls in steps.

    Args:
        net: the network.
        recipe: rates, augmentation and seed; settled.
        colours: mean of each channel of the pictures, in units of 0..1, and its standard deviation.
        tuning: which weights learn, and when.
        head: the only layer that learns, where batches are features rather than pictures.

    Raises:
        TrainingError: in training, at a loss or at weights that are not finite; the text names epoch and batch.
    """

    def __init__(
        self,
        net: nn.Module,
        recipe: ClassifyRecipe,
        colours: tuple[tuple[float, ...], tuple[float, ...]],
        *,
        tuning: Tuning,
        head: nn.Module | None = None,
    ) -> None:
        super().__init__(net, recipe.machine.seed, *colours)
        self.recipe, self.tuning = recipe, tuning
        self._head = (head,)  # in a tuple, so that its weights are saved once
        self.on_features = head is not None
        self.outputs: list[tuple[Tensor, Tensor]] = []

    def begin(self, labels: Tensor) -> None:
        """Take note of the labels of all training pictures."""

    def answer(self, x: Tensor) -> Tensor:
        """Class logits of pictures, or of features."""
        head = self._head[0]
        return logits_of(self.net, x) if head is None else scores_of(head, x)

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        """Loss of one batch."""
        images, labels = batch
        torch.manual_seed(self.step_seed(index))  # dropout must not depend on what was drawn before an interruption
        draw = self.draw(index)
        x = self.prepared(images, draw)
        other, share = None, 1.0
        if strength := self.recipe.augmentation.mixup:
            x, other, share = mixed(x, strength, draw)
        logits = self.answer(x)
        loss = self.learnt_loss(logits, labels)
        if other is not None:
            loss = share * loss + (1 - share) * self.learnt_loss(logits, labels[other])
        self.check_loss(loss, index)
        figures = {"train/loss": loss.detach(), **self.scored("train", logits.detach(), labels)}
        self.log_dict(figures, on_step=False, on_epoch=True, batch_size=len(images), sync_dist=True)
        return loss

    def scored(self, part: str, logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Figures of a batch or a part of the pictures beside its loss, by name."""
        return {f"{part}/accuracy": (logits.argmax(1) == labels).float().mean()}

    def judged_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Loss on pictures that are not learnt from, without what only helps to learn."""
        return fn.cross_entropy(logits, labels)

    def learnt_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Loss that is learnt from."""
        return fn.cross_entropy(logits.float(), labels, label_smoothing=self.recipe.optim.label_smoothing or 0.0)

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        """What the network says of one batch, as it is."""
        logits = self.answer(self._ready(batch[0]))
        self.outputs.append((logits.detach().float().cpu(), batch[1].cpu()))

    def on_validation_epoch_end(self) -> None:
        """Loss and accuracy over all test pictures."""
        logits, labels = (torch.cat(part) for part in zip(*self.outputs, strict=True))
        self.outputs.clear()
        figures = {"val/loss": self.judged_loss(logits, labels), **self.scored("val", logits, labels)}
        self.log_dict(figures, sync_dist=True)

    def configure_optimizers(self) -> Any:
        """The weights by their rates, the gates' among the heads'."""
        own, recipe = self.recipe.optim, self.recipe
        if own.optimizer == "adamw":
            return self.tuning.adamw(self.net, own)
        plain = self.tuning.plain and recipe.tuning.trunk_lr_factor == 1
        parts = self.net.parameters() if plain else self.tuning.groups(self.net, own)
        optimiser = torch.optim.SGD(
            parts, lr=own.lr or 0.1, momentum=own.momentum, weight_decay=own.weight_decay or 0.0
        )
        milestones = list(own.milestones(recipe.loop.epochs))
        schedule = torch.optim.lr_scheduler.MultiStepLR(optimiser, milestones, gamma=own.lr_gamma)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "epoch"}}

    def prepared(self, images: Tensor, draw: torch.Generator) -> Float[Tensor, "b ..."]:
        """Pictures as they are learnt from, or features as they are."""
        how = "none" if self.on_features else self.recipe.data.augment
        if how == "crop-flip":
            return self._ready(cropped(images, draw))
        return self._ready(photo_views(images, self.recipe.augmentation, draw)[0] if how == "photo" else images)

    def _ready(self, images: Tensor) -> Tensor:
        if self.on_features:
            return images
        x = normalised(images, self.get_buffer("mean"), self.get_buffer("std"))
        return x.contiguous(memory_format=torch.channels_last)
