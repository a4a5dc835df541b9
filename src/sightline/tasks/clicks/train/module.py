"""What one step of training on clicks does: log loss of a batch, AdamW; and the figures of every epoch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sightline.tasks.clicks.metrics.choices import CaseTally
from sightline.tasks.clicks.metrics.tally import Tally
from sightline.tasks.clicks.network.choice import batch_loss
from sightline.tasks.clicks.network.network import ClickNet
from sightline.tasks.clicks.recipe import ClickRecipe
from sightline.training.module import TrainedModule


class ClickTask(TrainedModule):
    """Log loss of clicks; AdamW at one learning rate.

    Args:
        net: the network.
        recipe: rates.
        outside: whether a case may end without a choice, where rows have cases.
    """

    def __init__(self, net: ClickNet, recipe: ClickRecipe, *, outside: bool = False) -> None:
        super().__init__(net, recipe.machine.seed, (0.0,), (1.0,))
        self.recipe = recipe
        self.outside = outside
        self._tally = Tally()
        self._cases = CaseTally()

    def training_step(self, batch: tuple[Tensor, ...], index: int) -> Tensor:
        """Loss of one batch."""
        ids, values, labels, *_ = batch
        torch.manual_seed(self.step_seed(index))  # dropout must not depend on what was drawn before an interruption
        loss = batch_loss(self.net(ids, values), batch, outside=self.outside)
        self.check_loss(loss, index)
        self.log("train/loss", loss.detach(), on_step=False, on_epoch=True, batch_size=len(labels))
        return loss

    def validation_step(self, batch: tuple[Tensor, ...], index: int) -> None:
        """Count logits and labels; every process looks at all of them."""
        ids, values, labels, *cases = batch
        utilities = self.net(ids, values).double().cpu()
        if cases:
            self._cases.add(utilities, labels.double().cpu(), cases[0].cpu(), outside=self.outside)
            return
        logits = utilities.numpy()
        self._tally.add(logits, labels.double().cpu().numpy())

    def on_validation_epoch_end(self) -> None:
        """Log loss, and AUC where there are clicks and non-clicks."""
        cases, self._cases = self._cases, CaseTally()
        if cases.cases:
            self.log("val/loss", cases.loss / cases.cases)
            return
        tally, self._tally = self._tally, Tally()
        self.log("val/loss", tally.loss / tally.rows)
        if tally.auc is not None:
            self.log("val/AUC", tally.auc)

    def configure_optimizers(self) -> Any:
        """AdamW; a row of an embedding table that a batch does not show decays all the same."""
        own = [parameter for parameter in self.net.parameters() if parameter.requires_grad]
        return torch.optim.AdamW(own, lr=self.recipe.optim.lr, weight_decay=self.recipe.optim.weight_decay)
