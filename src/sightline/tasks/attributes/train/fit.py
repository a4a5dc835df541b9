"""Fit an attribute network to examples.

Knows examples and tasks; nothing of files of data sets, of the command line, or of what is reported afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback
from torch.utils.data import TensorDataset

from sightline.tasks.attributes.data.examples import Examples
from sightline.tasks.attributes.network.net import AttributeNet
from sightline.tasks.attributes.train.losses import imbalance
from sightline.tasks.attributes.train.module import EatTask, Rates
from sightline.training.loop import Loop, batches, in_turn, run_loop
from sightline.training.sampling import EpochOrder


def fit(
    net: AttributeNet,
    train: Examples,
    rates: Rates,
    loop: Loop,
    *,
    validation: Examples | None = None,
    work: Path | None = None,
    callbacks: Sequence[Callback] = (),
    loggers: Any = False,
    bar: bool = False,
) -> AttributeNet:
    """Train, or go on training.

    Args:
        net: the network; changed in place.
        train: pictures to learn from.
        rates: weights and rates.
        loop: how long and on what.
        validation: pictures that are only looked at after every epoch.
        work: folder of the last epoch's checkpoint; a run that finds it goes on with it; None keeps nothing.
        callbacks: further callbacks of Lightning.
        loggers: of Lightning.
        bar: whether to show progress.

    Returns:
        The net after its last epoch in eval mode, in float32, on the CPU.

    Raises:
        TrainingError: the loss is not finite, or the devices cannot share a batch.
        KeyboardInterrupt: as it came; what the last whole epoch left stays in the work folder.
    """
    order = EpochOrder(len(train), min(loop.batch, len(train)), loop.seed)
    balance = imbalance(train.targets, train.weights, net.spec.vocabulary, rates.balance)
    task = EatTask(net, rates, len(order) * loop.epochs, balance, train.part_names)
    judged = None if validation is None else batches(_table(validation), in_turn(len(validation)))
    loop = replace(loop, strategy=_strategy(loop, net, rates))
    taught = batches(_table(train), order)
    run_loop(task, loop, taught, judged, work=work, callbacks=callbacks, loggers=loggers, bar=bar)
    return net


def restored(net: AttributeNet, path: Path) -> AttributeNet:
    """The net with the weights of a checkpoint, in eval mode."""
    held = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    net.load_state_dict({name.removeprefix("net."): value for name, value in held.items() if name.startswith("net.")})
    return net.eval()


def _table(examples: Examples) -> TensorDataset:
    return TensorDataset(*examples.tensors())


def _strategy(loop: Loop, net: AttributeNet, rates: Rates) -> str:
    """Without lambda and without a way to the class, the attribute head is idle, which plain DDP does not allow."""
    idle = not rates.attributes and net.spec.join == "parallel"
    return "ddp_find_unused_parameters_true" if idle and loop.strategy == "ddp" else loop.strategy
