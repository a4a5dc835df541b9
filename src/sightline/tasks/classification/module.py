"""What one step of training a classifier does: augment, loss, optimiser, schedule.

A Lightning module around any network of class logits. It stops at a loss that is no number, and tests after every
epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import lightning
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional as fn

from sightline.errors import TrainingError
from sightline.training.augmentation import cropped, normalised


@dataclass(frozen=True)
class Descent:
    """Stochastic gradient descent with momentum, and where its rate falls.

    Args:
        rate: at the start.
        drops: epochs after which it falls.
        factor: by which.
        decay: weight decay.
        momentum: without Nesterov's correction, as published.
        augment: whether pictures are shifted and mirrored.
        seed: of the augmentation.
    """

    rate: float = 0.1
    drops: tuple[int, ...] = ()
    factor: float = 0.1
    decay: float = 1e-4
    momentum: float = 0.9
    augment: bool = True
    seed: int = 0


class ClassifyTask(lightning.LightningModule):  # type: ignore[misc]
    """Cross-entropy; SGD whose rate falls in steps.

    Args:
        net: the network.
        descent: its rates.
        mean: of each channel of the pictures, in units of 0..1.
        std: of each channel.

    Raises:
        TrainingError: in training, at a loss or at weights that are not finite; the text names epoch and batch.
    """

    def __init__(self, net: nn.Module, descent: Descent, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.net, self.descent = net, descent
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)
        self.heard: list[tuple[Tensor, Tensor]] = []

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        """Loss of one batch."""
        images, labels = batch
        step = self._step(index)
        torch.manual_seed(step)  # dropout must not depend on what was drawn before an interruption
        logits = self.net(self.prepared(images, torch.Generator().manual_seed(step)))
        loss = fn.cross_entropy(logits.float(), labels)
        self._check(loss, index)
        told = {"train/loss": loss.detach(), "train/accuracy": (logits.argmax(1) == labels).float().mean()}
        self.log_dict(told, on_step=False, on_epoch=True, batch_size=len(images), sync_dist=True)
        return loss

    def on_train_epoch_end(self) -> None:
        """Weights that are no numbers are never kept."""
        if not all(bool(torch.isfinite(v).all()) for v in self.net.state_dict().values() if v.is_floating_point()):
            raise TrainingError(
                f"the weights are not finite after epoch {self.current_epoch + 1}; {self._left()}. Lower the "
                "learning rate (--rate)"
            )

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        """What the network says of one batch, as it is."""
        logits = self.net(self._ready(batch[0]))
        self.heard.append((logits.detach().float().cpu(), batch[1].cpu()))

    def on_validation_epoch_end(self) -> None:
        """Loss and accuracy over all test pictures."""
        logits, labels = (torch.cat(part) for part in zip(*self.heard, strict=True))
        self.heard.clear()
        told = {
            "val/loss": fn.cross_entropy(logits, labels),
            "val/accuracy": (logits.argmax(1) == labels).float().mean(),
        }
        self.log_dict(told, sync_dist=True)

    def configure_optimizers(self) -> Any:
        """One group of all weights, gates included."""
        own = self.descent
        optimiser = torch.optim.SGD(self.net.parameters(), lr=own.rate, momentum=own.momentum, weight_decay=own.decay)
        schedule = torch.optim.lr_scheduler.MultiStepLR(optimiser, list(own.drops), gamma=own.factor)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "epoch"}}

    def prepared(self, images: UInt8[Tensor, "b 3 h w"], draw: torch.Generator) -> Float[Tensor, "b 3 h w"]:
        """Pictures as they are learnt from."""
        return self._ready(cropped(images, draw) if self.descent.augment else images)

    def _ready(self, images: Tensor) -> Tensor:
        x = normalised(images, self.get_buffer("mean"), self.get_buffer("std"))
        return x.contiguous(memory_format=torch.channels_last)

    def _step(self, index: int) -> int:
        """Another number for every batch of every epoch, seed and process."""
        step = (self.descent.seed * 1009 + self.current_epoch) * 100_003 + index
        return int(step + 7_919_000_003 * self.global_rank)

    def _check(self, loss: Tensor, index: int) -> None:
        if not torch.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss.item()} in epoch {self.current_epoch + 1}, batch {index + 1}; {self._left()}. "
                "Lower the learning rate (--rate), try --precision 32, or look at that batch"
            )

    def _left(self) -> str:
        return "the checkpoint of the epoch before is kept" if self.current_epoch else "no epoch was finished"
