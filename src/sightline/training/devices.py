"""Lightning's trainer on the devices that a machine has: asked before it starts a process for each.

It knows nothing of what is trained.
"""

from __future__ import annotations

import os
from typing import Any

import lightning
import torch

from sightline.common.numbers import whole
from sightline.common.text import clipped
from sightline.errors import TrainingError


def trainer_on(accelerator: str, devices: str, **settings: Any) -> lightning.Trainer:
    """Lightning's trainer.

    Args:
        accelerator: `auto`, `cpu`, `gpu`, `cuda` or `mps`.
        devices: number or list of devices, as `check_devices` takes it.
        settings: settings of the trainer.

    Raises:
        TrainingError: this machine has no such devices, or cannot train so on them.
    """
    check_devices(accelerator, devices)
    try:
        return lightning.Trainer(accelerator=accelerator, devices=devices, **settings)
    except Exception as problem:  # Lightning and torch refuse what a machine lacks by errors of many kinds
        reason = " ".join(str(problem).split())[:300]
        raise TrainingError(f"this machine cannot train on {devices} of {accelerator}: {reason}") from problem


def check_devices(accelerator: str, devices: str) -> None:
    """Refuse devices that are not there.

    Args:
        accelerator: Lightning's name of the kind of device.
        devices: how many, `auto` or -1 for all, or numbers of GPUs with commas: `0,2`.

    Raises:
        TrainingError: the accelerator is not known, or there are fewer devices.
    """
    kind, total = _device_count(accelerator)
    if not total:
        raise TrainingError(f"--device {accelerator} was asked for, but there is none here; try --device cpu")
    if devices.strip() in ("auto", "-1"):
        return
    numbers = [whole(part) for part in devices.strip().rstrip(",").split(",")]
    listed = "," in devices
    good = all(number is not None and (0 <= number < total if listed else 1 <= number <= total) for number in numbers)
    if not good or (listed and kind == "cpu"):
        raise TrainingError(
            f"--devices {clipped(devices)} was asked for, but there are {total} of the kind {kind}; give a number "
            f"from 1 to {total}, or auto"
        )


def _device_count(accelerator: str) -> tuple[str, int]:
    """The kind of device that Lightning takes, and how many of them are there; of the CPU, its cores."""
    gpus = torch.cuda.device_count()
    apple = int(torch.backends.mps.is_available())
    if accelerator in ("gpu", "cuda") or (accelerator == "auto" and gpus):
        return ("gpu", gpus) if gpus or accelerator == "cuda" else ("mps", apple)
    if accelerator == "mps" or (accelerator == "auto" and apple):
        return "mps", apple
    return "cpu", os.cpu_count() or 1
