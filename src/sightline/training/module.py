"""`TrainedModule`: what every step of every training shares: seeds of steps, and the stop at what is no number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lightning
import torch
from torch import Tensor, nn

from sightline.errors import TrainingError


class TrainedModule(lightning.LightningModule):  # type: ignore[misc]
    """A network while it learns.

    Args:
        net: the network.
        seed: seed of all that a step draws.
        mean: mean of each channel of the pictures, in units of 0..1; a buffer of the same name.
        std: standard deviation of each channel, likewise.

    Raises:
        TrainingError: in training, at a loss or at weights that are not finite; the text names epoch and batch.
    """

    net: Any

    def __init__(self, net: nn.Module, seed: int, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.net, self.seed = net, seed
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)

    def step_seed(self, index: int) -> int:
        """Another number for every batch of every epoch, seed and process."""
        step = (self.seed * 1009 + int(self.current_epoch)) * 100_003 + index
        return step + 7_919_000_003 * int(self.global_rank)

    def draw(self, index: int) -> torch.Generator:
        """Chance of one batch of one process."""
        return torch.Generator().manual_seed(self.step_seed(index))

    def check_loss(self, loss: Tensor, index: int) -> None:
        """Stop at a loss that is no number."""
        if not torch.isfinite(loss):
            raise TrainingError(
                f"the loss is {float(loss.detach())} in epoch {self.current_epoch + 1}, batch {index + 1}; "
                f"{self._progress()}. Lower the learning rate (--lr), try --precision 32, or look at that batch"
            )

    def on_train_epoch_end(self) -> None:
        """Weights that are no numbers are never kept."""
        if not all(bool(torch.isfinite(v).all()) for v in self.net.state_dict().values() if v.is_floating_point()):
            raise TrainingError(
                f"the weights are not finite after epoch {self.current_epoch + 1}; {self._progress()}. Lower the "
                "learning rate (--lr)"
            )

    def _progress(self) -> str:
        return "the checkpoint of the epoch before is kept" if self.current_epoch else "no epoch was finished"
