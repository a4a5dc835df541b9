"""What one step of training the bundled model does: augment, three losses, optimiser, schedule.

A Lightning module around any net with `read(x) -> (class logits, attribute logits, places)`.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor, nn
from torch.nn import functional as fn

from sightline.models.zoo.birdnet import BirdNet
from sightline.tasks.bird.recipe import BirdRecipe
from sightline.training.augmentation import augmented
from sightline.training.module import TrainedModule
from sightline.training.optim import one_cycle
from sightline.worlds.aviary.attributes import GROUPS, offsets, part_id

Step = tuple[
    UInt8[Tensor, "b 3 h w"], Int[Tensor, " b"], Int[Tensor, "b g"], Bool[Tensor, "b g"], UInt8[Tensor, "b m n"]
]


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


def place_loss(
    places: Float[Tensor, "b g h w"], parts: UInt8[Tensor, "b m n"], visible: Bool[Tensor, "b g"]
) -> Float[Tensor, ""]:
    """Mean cross-entropy between where a group is read and where its part is, over the groups that can be seen.

    -sum_p t_p log w_p, t the part's share of cell p, scaled to sum to 1; w what the net weighs the cell with.
    """
    shares = fn.adaptive_avg_pool2d(group_masks(parts), (places.shape[-2], places.shape[-1])).flatten(2)
    total = shares.sum(2)
    counts = visible & (total > 0)
    target = shares / total.clamp(min=1e-6)[..., None]
    losses = -(target * places.flatten(2).clamp(min=1e-8).log()).sum(2)
    return (losses * counts).sum() / counts.sum().clamp(min=1)


def group_masks(parts: UInt8[Tensor, "b m n"]) -> Float[Tensor, "b g m n"]:
    """For every attribute group where its part is; the size is seen on all of the bird."""
    masks = [parts > 0 if group.part == "body" else parts == part_id(group.part) for group in GROUPS]
    return torch.stack(masks, dim=1).float()


class BirdTask(TrainedModule):
    """Cross-entropy of class, attributes and places; AdamW on one cosine cycle.

    -log p_y - w mean_g log p_g + v place loss.

    A scene with the label -100 has no class: it teaches attributes only.

    Args:
        net: the network.
        recipe: weights of the losses, rates, epochs.
        steps: steps of all epochs together.
    """

    def __init__(self, net: BirdNet, recipe: BirdRecipe, steps: int) -> None:
        super().__init__(net, recipe.machine.seed, net.spec.mean, net.spec.std)
        self.recipe, self.steps = recipe, steps
        self.classes = nn.CrossEntropyLoss(label_smoothing=0.05)

    def training_step(self, batch: Step, index: int) -> Tensor:
        """Loss of one batch; the bar shows it with the batch's accuracy."""
        images, labels, values, visible, parts = batch
        x, parts = augmented(images, parts, self.get_buffer("mean"), self.get_buffer("std"), self.draw(index))
        if self.current_epoch < self.recipe.loop.small_epochs:
            x = fn.interpolate(x, size=self.recipe.data.size * 5 // 8, mode="bilinear", antialias=True)
        scores, attributes, places = self.net.read(x.contiguous(memory_format=torch.channels_last))
        words = attribute_loss(attributes.float(), values, visible)
        looks = place_loss(places.float(), parts, visible)
        own = self.recipe.loss
        loss: Tensor = self.classes(scores.float(), labels) + own.attribute_weight * words + own.place_weight * looks
        self.check_loss(loss, index)
        hits = (scores.argmax(1) == labels)[labels >= 0].float().mean()
        figures = {"loss": loss.detach(), "accuracy": hits, "attributes": words.detach(), "places": looks.detach()}
        self.log_dict(figures, prog_bar=True)
        epoch = {f"train/{name}": value for name, value in figures.items()}
        self.log_dict(epoch, on_step=False, on_epoch=True, batch_size=len(images))
        return loss

    def configure_optimizers(self) -> Any:
        """AdamW, one cycle."""
        return one_cycle(self.parameters(), self.recipe.optim, self.steps)
