"""What one step of training an encoder does: augment, InfoNCE, optimiser, schedule."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as fn

from sightline.models.zoo.encoder import BirdEncoder
from sightline.tasks.contrastive.recipe import ContrastiveRecipe
from sightline.training.augmentation import augmented
from sightline.training.module import TrainedModule
from sightline.training.optim import one_cycle


def info_nce(embeddings: Float[Tensor, "n d"], temperature: float) -> Float[Tensor, ""]:
    """Mean of `-log( exp(cos(e_i, e_p)/T) / sum_{j != i} exp(cos(e_i, e_j)/T) )` where rows 2i and 2i + 1 are a pair.

    [oord2018cpc; chen2020simclr]

    Example:
        >>> float(info_nce(torch.eye(2).repeat_interleave(2, 0), 0.1)) < 0.001
        True
    """
    directions = fn.normalize(embeddings, dim=1)
    logits = (directions @ directions.T / temperature).fill_diagonal_(-torch.inf)
    partner = torch.arange(len(logits), device=logits.device) ^ 1
    return fn.cross_entropy(logits, partner)


class ContrastiveTask(TrainedModule):
    """InfoNCE over a batch of pairs; AdamW on one cosine cycle.

    Args:
        net: the encoder.
        recipe: rates and temperature.
        steps: steps of all epochs together.
    """

    def __init__(self, net: BirdEncoder, recipe: ContrastiveRecipe, steps: int) -> None:
        super().__init__(net, recipe.machine.seed, net.spec.mean, net.spec.std)
        self.recipe, self.steps = recipe, steps

    def training_step(self, batch: tuple[Tensor, ...], index: int) -> Tensor:
        """Loss of one batch of pairs."""
        images, _, parts = batch
        x, _ = augmented(images, parts, self.get_buffer("mean"), self.get_buffer("std"), self.draw(index))
        embeddings = self.net(x.contiguous(memory_format=torch.channels_last))
        loss = info_nce(embeddings.float(), self.recipe.loss.temperature)
        self.check_loss(loss, index)
        self.log("loss", loss, prog_bar=True)
        self.log("train/loss", loss.detach(), on_step=False, on_epoch=True, batch_size=len(images))
        return loss

    def configure_optimizers(self) -> Any:
        """AdamW, one cycle."""
        return one_cycle(self.parameters(), self.recipe.optim, self.steps, fused=False)
