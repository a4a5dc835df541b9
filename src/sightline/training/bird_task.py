"""What one step of training the bundled model does: augment, two losses, optimiser, schedule.

A Lightning module around any net with `both(x) -> (class logits, attribute logits)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import lightning
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor, nn
from torch.nn import functional as fn

from sightline.backbones.birdnet import BirdNet
from sightline.data.aviary.attributes import offsets

Step = tuple[UInt8[Tensor, "b 3 h w"], Int[Tensor, " b"], Int[Tensor, "b g"], Bool[Tensor, "b g"]]


def attribute_loss(
    logits: Float[Tensor, "b a"], values: Int[Tensor, "b g"], visible: Bool[Tensor, "b g"]
) -> Float[Tensor, ""]:
    """Mean cross-entropy over the groups that can be seen: -sum_g m_g log softmax_g(z)[v_g] / sum_g m_g."""
    starts = offsets()
    losses = [
        fn.cross_entropy(logits[:, low:high], values[:, g], reduction="none")
        for g, (low, high) in enumerate(pairwise(starts))
    ]
    weight = visible.to(logits.dtype)
    return (torch.stack(losses, dim=1) * weight).sum() / weight.sum().clamp(min=1)


def augmented(
    images: UInt8[Tensor, "b 3 h w"], mean: Tensor, std: Tensor, generator: torch.Generator
) -> Float[Tensor, "b 3 h w"]:
    """Mirror half of the batch, shift by up to a sixteenth, vary gain per image and channel, normalise."""
    count, side = len(images), images.shape[-1]
    reach = side // 16
    dx, dy = (int(v) for v in torch.randint(0, 2 * reach + 1, (2,), generator=generator))
    mirror, gain, tint = (torch.rand(count, n, 1, 1, generator=generator).to(images.device) for n in (1, 1, 3))
    x = fn.pad(images.float() / 255, (reach,) * 4, mode="reflect")[..., dy : dy + side, dx : dx + side]
    x = torch.where(mirror < 0.5, x.flip(-1), x)
    x = x * (1 + 0.12 * (2 * gain - 1)) * (1 + 0.04 * (2 * tint - 1))
    return (x.clamp(0, 1) - mean) / std


@dataclass(frozen=True)
class Schedule:
    """How steps change over the training.

    Args:
        rate: highest learning rate.
        decay: weight decay.
        seed: of the augmentation.
        small_epochs: epochs at the beginning in which scenes are shrunk, which costs a third.
        small_size: their side then.
        attribute_weight: weight of the attribute loss beside the class loss.
    """

    rate: float
    decay: float
    seed: int
    small_epochs: int = 0
    small_size: int = 80
    attribute_weight: float = 4.0


class BirdTask(lightning.LightningModule):  # type: ignore[misc]
    """Cross-entropy of class and attributes, -log p_y - w mean_g log p_g; AdamW on one cosine cycle.

    A scene with the label -100 has no class: it teaches attributes only.

    Args:
        net: the network.
        schedule: rates and epochs.
        steps: steps of all epochs together.
    """

    def __init__(self, net: BirdNet, schedule: Schedule, steps: int) -> None:
        super().__init__()
        self.net = net
        self.schedule = schedule
        self.steps = steps
        self.register_buffer("mean", torch.tensor(net.spec.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(net.spec.std).view(1, 3, 1, 1), persistent=False)
        self.classes = nn.CrossEntropyLoss(label_smoothing=0.05)

    def training_step(self, batch: Step, index: int) -> Tensor:
        """Loss of one batch; the bar shows it with the batch's accuracy."""
        images, labels, values, visible = batch
        generator = torch.Generator().manual_seed((self.schedule.seed * 1009 + self.current_epoch) * 100_003 + index)
        x = augmented(images, self.get_buffer("mean"), self.get_buffer("std"), generator)
        if self.current_epoch < self.schedule.small_epochs:
            x = fn.interpolate(x, size=self.schedule.small_size, mode="bilinear", antialias=True)
        scores, attributes = self.net.both(x.contiguous(memory_format=torch.channels_last))
        words = attribute_loss(attributes.float(), values, visible)
        loss: Tensor = self.classes(scores.float(), labels) + self.schedule.attribute_weight * words
        hits = (scores.argmax(1) == labels)[labels >= 0].float().mean()
        self.log_dict({"loss": loss, "accuracy": hits}, prog_bar=True)
        return loss

    def configure_optimizers(self) -> Any:
        """AdamW, one cycle."""
        rate, decay = self.schedule.rate, self.schedule.decay
        optimiser = torch.optim.AdamW(self.parameters(), lr=rate, weight_decay=decay, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=self.steps, pct_start=0.15)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
