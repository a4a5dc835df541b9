"""What one step of training a classifier does: augment, loss, optimiser, schedule.

A Lightning module around any network of class logits. It stops at a loss that is no number, and tests after every
epoch.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional as fn

from sightline.tasks.classification.recipe import ClassifyRecipe
from sightline.training.augmentation import cropped, normalised
from sightline.training.module import TrainedModule


class ClassifyTask(TrainedModule):
    """Cross-entropy; SGD whose rate falls in steps.

    Args:
        net: the network.
        recipe: rates, augmentation and seed.
        mean: mean of each channel of the pictures, in units of 0..1.
        std: standard deviation of each channel.

    Raises:
        TrainingError: in training, at a loss or at weights that are not finite; the text names epoch and batch.
    """

    def __init__(
        self, net: nn.Module, recipe: ClassifyRecipe, mean: tuple[float, ...], std: tuple[float, ...]
    ) -> None:
        super().__init__(net, recipe.machine.seed, mean, std)
        self.recipe = recipe
        self.outputs: list[tuple[Tensor, Tensor]] = []

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        """Loss of one batch."""
        images, labels = batch
        torch.manual_seed(self.step_seed(index))  # dropout must not depend on what was drawn before an interruption
        logits = self.net(self.prepared(images, self.draw(index)))
        loss = fn.cross_entropy(logits.float(), labels)
        self.check_loss(loss, index)
        figures = {"train/loss": loss.detach(), "train/accuracy": (logits.argmax(1) == labels).float().mean()}
        self.log_dict(figures, on_step=False, on_epoch=True, batch_size=len(images), sync_dist=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        """What the network says of one batch, as it is."""
        logits = self.net(self._ready(batch[0]))
        self.outputs.append((logits.detach().float().cpu(), batch[1].cpu()))

    def on_validation_epoch_end(self) -> None:
        """Loss and accuracy over all test pictures."""
        logits, labels = (torch.cat(part) for part in zip(*self.outputs, strict=True))
        self.outputs.clear()
        figures = {
            "val/loss": fn.cross_entropy(logits, labels),
            "val/accuracy": (logits.argmax(1) == labels).float().mean(),
        }
        self.log_dict(figures, sync_dist=True)

    def configure_optimizers(self) -> Any:
        """One group of all weights, gates included."""
        own = self.recipe.optim
        optimiser = torch.optim.SGD(
            self.net.parameters(), lr=own.lr, momentum=own.momentum, weight_decay=own.weight_decay
        )
        milestones = list(own.milestones(self.recipe.loop.epochs))
        schedule = torch.optim.lr_scheduler.MultiStepLR(optimiser, milestones, gamma=own.lr_gamma)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "epoch"}}

    def prepared(self, images: UInt8[Tensor, "b 3 h w"], draw: torch.Generator) -> Float[Tensor, "b 3 h w"]:
        """Pictures as they are learnt from."""
        return self._ready(cropped(images, draw) if self.recipe.data.augment == "crop-flip" else images)

    def _ready(self, images: Tensor) -> Tensor:
        x = normalised(images, self.get_buffer("mean"), self.get_buffer("std"))
        return x.contiguous(memory_format=torch.channels_last)
