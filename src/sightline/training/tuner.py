"""`Tuner`: keeps norms at rest and weights frozen while Lightning trains; `Averager`: the running mean of weights.

Both knit into the loop as callbacks. What they do follows from epoch and step alone, so a run that goes on is one
that never stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, WeightAveraging
from torch import Tensor, nn

from sightline.training.anatomy import Anatomy, frozen_names, groups, warm_cosine
from sightline.training.norms import AT_REST, rest
from sightline.training.recipe import OptimConfig, TuningConfig


@dataclass(frozen=True)
class Tuning:
    """How a network that a task has described is tuned.

    Args:
        config: options, nothing left open.
        anatomy: the network's weights by depth.
        steps: steps of an epoch.
        epochs: how many of them.
    """

    config: TuningConfig
    anatomy: Anatomy
    steps: int
    epochs: int

    @property
    def plain(self) -> bool:
        """Whether all weights learn alike from the first step on, as from random weights."""
        own = self.config
        held = own.frozen or own.freeze or own.freeze_depth or own.warm_up or own.head_lr_factor not in (None, 1.0)
        return not held and own.layer_decay == 1 and own.norms != AT_REST

    @property
    def first(self) -> int:
        """Step from which the backbone learns; 0 where there is no head to go first."""
        return min(self.config.warm_up or 0, self.epochs - 1) * self.steps if self.anatomy.heads else 0

    def groups(self, net: nn.Module, optim: OptimConfig) -> list[dict[str, Any]]:
        """The network's weights by learning rate, as `sightline.training.anatomy.groups` has them."""
        return groups(net, self.anatomy, self.config, optim.lr)

    def adamw(self, net: nn.Module, optim: OptimConfig) -> dict[str, Any]:
        """AdamW whose rates rise and fall on a cosine; the backbone's begin when it begins to learn.

        Args:
            net: the network.
            optim: highest learning rate of the heads, and weight decay.

        Returns:
            Optimiser and schedule as Lightning takes them.
        """
        parts = self.groups(net, optim)
        optimiser = torch.optim.AdamW(parts, lr=optim.lr, weight_decay=optim.weight_decay, fused=True)
        total = self.steps * self.epochs
        factors = [self._factor(0 if part["part"] == "heads" else self.first, total) for part in parts]
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, factors)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    @staticmethod
    def _factor(first: int, total: int) -> Callable[[int], float]:
        return lambda step: warm_cosine(step, first, total)


class Tuner(Callback):  # type: ignore[misc]
    """Sets modes and `requires_grad` at the start of every epoch, as the epoch's number asks; undoes it at the end.

    Args:
        tuning: what is to be kept.
    """

    def __init__(self, tuning: Tuning) -> None:
        self.tuning = tuning
        self._before: dict[str, bool] = {}

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Norms at rest, and only those weights that learn in this epoch ask for gradients."""
        own, net = self.tuning.config, pl_module.net
        if own.norms == AT_REST:
            rest(net, self.tuning.anatomy.new)
        held = set(frozen_names(self.tuning.anatomy, own))
        if trainer.world_size == 1 and trainer.current_epoch < self.tuning.first // max(1, self.tuning.steps):
            held |= set(self.tuning.anatomy.depths)  # several devices wait for every gradient; their rates are 0
        for name, parameter in net.named_parameters():
            self._before.setdefault(name, parameter.requires_grad)
            parameter.requires_grad_(self._before[name] and name not in held)

    def on_train_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Every weight asks for gradients again as it did."""
        for name, parameter in pl_module.net.named_parameters():
            parameter.requires_grad_(self._before.get(name, parameter.requires_grad))


class Averager(WeightAveraging):  # type: ignore[misc]
    """Exponential moving average of the weights, from which validation, checkpoints and the result are taken.

    m <- d m + (1 - d) w after every step, with d = min(decay, (1 + t) / (10 + t)) at step t, so that a short training
    is not held back by its start.

    Args:
        decay: share of the mean that a step keeps.
    """

    def __init__(self, decay: float) -> None:
        super().__init__(avg_fn=_averaged(decay))

    def on_fit_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """The mean is the result, also of a run that finds all its epochs done and trains no more."""
        self._copy_average_to_current(pl_module)


def _averaged(decay: float) -> Callable[[Tensor, Tensor, Any], Tensor]:
    def update(mean: Tensor, weight: Tensor, count: Any) -> Tensor:
        kept = min(decay, (1 + float(count)) / (10 + float(count)))
        # written so that what does not change is not rounded
        return mean + (1 - kept) * (weight - mean) if mean.is_floating_point() else weight

    return update
