"""The loop: fit an attribute network to examples, on Lightning, so that it can stop and go on.

Knows examples and tasks; nothing of files of data sets, of the command line, or of what is reported afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch.utils.data import DataLoader, TensorDataset

from sightline.attributes.losses import imbalance
from sightline.attributes.net import AttributeNet
from sightline.training.birdnet import EpochOrder
from sightline.training.eat.examples import Examples
from sightline.training.eat.task import EatTask, Rates


@dataclass(frozen=True)
class Loop:
    """How long and on what.

    Args:
        epochs: passes over the training pictures.
        batch: pictures per step.
        precision: of Lightning, such as `32` or `bf16-mixed`.
        balance: how strongly rare attributes count more, 0 to 1.
        accelerator: of Lightning: `auto`, `cpu`, `gpu`.
        devices: how many of them.
        seed: of the order of pictures.
    """

    epochs: int = 20
    batch: int = 32
    precision: str = "bf16-mixed"
    balance: float = 0.5
    accelerator: str = "auto"
    devices: int | str = 1
    seed: int = 0


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
    quiet: bool = True,
) -> AttributeNet:
    """Train, or go on training.

    Args:
        net: the network; changed in place.
        train: pictures to learn from.
        rates: weights and rates.
        loop: how long and on what.
        validation: pictures that are only looked at after every epoch.
        work: folder of checkpoints; a run that finds `last.ckpt` there goes on with it; None keeps nothing.
        callbacks: further callbacks of Lightning.
        loggers: of Lightning.
        quiet: no progress bar.

    Returns:
        The net in eval mode, in float32, on the CPU.

    Raises:
        TrainingError: the loss is not finite.
    """
    order = EpochOrder(len(train), min(loop.batch, len(train)), loop.seed)
    words = net.spec.vocabulary
    balance = imbalance(train.targets, train.weights, words, loop.balance)
    net = net.train().to(memory_format=torch.channels_last)
    task = EatTask(net, rates, len(order) * loop.epochs, balance, train.part_names)
    keep = [] if work is None else [_keeper(work)]
    trainer = lightning.Trainer(
        max_epochs=loop.epochs,
        precision=loop.precision,
        accelerator=loop.accelerator,
        devices=loop.devices,
        logger=loggers,
        callbacks=[*keep, *callbacks],
        enable_checkpointing=work is not None,
        enable_progress_bar=not quiet,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    last = None if work is None else work / "checkpoints" / "last.ckpt"
    trainer.fit(
        task,
        _loader(train, order),
        None if validation is None else _loader(validation, _in_turn(len(validation))),
        ckpt_path=last if last is not None and last.exists() else None,
        weights_only=True,
    )
    return net.float().eval().cpu().to(memory_format=torch.contiguous_format)


def _keeper(work: Path) -> ModelCheckpoint:
    return ModelCheckpoint(
        work / "checkpoints", "last", save_top_k=1, save_on_train_epoch_end=True, enable_version_counter=False
    )


def _in_turn(count: int, batch: int = 100) -> list[list[int]]:
    return [list(range(at, min(at + batch, count))) for at in range(0, count, batch)]


def _loader(examples: Examples, order: Any) -> DataLoader[Any]:
    table = TensorDataset(*examples.tensors())
    return DataLoader(table, batch_size=None, sampler=order)
