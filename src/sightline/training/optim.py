"""AdamW on one cycle, as most of our trainings have it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from sightline.training.recipe import OptimConfig

RISE = 0.15
"""Share of all steps in which the learning rate rises."""


def one_cycle(parameters: Iterable[Any], optim: OptimConfig, steps: int, *, fused: bool = True) -> dict[str, Any]:
    """Optimiser and schedule as Lightning takes them.

    Args:
        parameters: parameters, or groups of them; a group may have a highest learning rate of its own as `lr`.
        optim: highest learning rate and weight decay.
        steps: steps of all epochs together.
        fused: whether all parameters are changed by one kernel, which rounds otherwise than one by one.
    """
    optimiser = torch.optim.AdamW(parameters, lr=optim.lr, weight_decay=optim.weight_decay, fused=fused)
    highest = [group["lr"] for group in optimiser.param_groups]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, highest, total_steps=max(2, steps), pct_start=RISE)
    return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
