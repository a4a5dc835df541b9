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
from lightning.pytorch.callbacks import Callback, RichProgressBar
from torch.utils.data import DataLoader, TensorDataset

from sightline.attributes.losses import imbalance
from sightline.attributes.net import AttributeNet
from sightline.training.eat.examples import Examples
from sightline.training.eat.task import EatTask, Rates
from sightline.training.going_on import begin_or_go_on
from sightline.training.keep import Keeper, Patience
from sightline.training.order import SharedOrder


@dataclass(frozen=True)
class Loop:
    """How long and on what.

    Args:
        epochs: passes over the training pictures.
        batch: pictures per step, over all devices together.
        precision: of Lightning, such as `32` or `bf16-mixed`.
        balance: how strongly rare attributes count more, 0 to 1.
        accelerator: of Lightning: `auto`, `cpu`, `gpu`.
        devices: how many of them.
        seed: of the order of pictures.
        strategy: of Lightning.
        best: figure of the validation by which the best epoch is kept, `accuracy` or `loss`.
        patience: epochs without a better one after which training stops; 0 for never.
    """

    epochs: int = 20
    batch: int = 32
    precision: str = "bf16-mixed"
    balance: float = 0.5
    accelerator: str = "auto"
    devices: int | str = 1
    seed: int = 0
    strategy: str = "auto"
    best: str = "accuracy"
    patience: int = 0


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
        work: folder of checkpoints, the last epoch's and, with validation pictures, the best one's; a run that finds
            `last.ckpt` there goes on with it; None keeps nothing.
        callbacks: further callbacks of Lightning.
        loggers: of Lightning.
        quiet: no progress bar.

    Returns:
        The net after its last epoch in eval mode, in float32, on the CPU.

    Raises:
        TrainingError: the loss is not finite, or the devices cannot share a batch.
        KeyboardInterrupt: as it came; what the last whole epoch left stays in the work folder.
    """
    order = SharedOrder(len(train), min(loop.batch, len(train)), loop.seed)
    words = net.spec.vocabulary
    balance = imbalance(train.targets, train.weights, words, loop.balance)
    net = net.train().to(memory_format=torch.channels_last)
    task = EatTask(net, rates, len(order) * loop.epochs, balance, train.part_names)
    trainer = lightning.Trainer(
        max_epochs=loop.epochs,
        precision=loop.precision,
        accelerator=loop.accelerator,
        devices=loop.devices,
        strategy=_strategy(loop, net, rates),
        use_distributed_sampler=False,
        logger=loggers,
        callbacks=[*callbacks, *_keepers(loop, work, judged=validation is not None), *_bar(quiet)],
        enable_checkpointing=work is not None,
        enable_progress_bar=not quiet,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    judged = None if validation is None else _loader(validation, _in_turn(len(validation)))
    begin_or_go_on(trainer, task, _loader(train, order), judged, work)
    return net.float().eval().cpu().to(memory_format=torch.contiguous_format)


def restored(net: AttributeNet, path: Path) -> AttributeNet:
    """The net with the weights of a checkpoint, in eval mode."""
    held = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    net.load_state_dict({name.removeprefix("net."): value for name, value in held.items() if name.startswith("net.")})
    return net.eval()


def _keepers(loop: Loop, work: Path | None, *, judged: bool) -> list[Callback]:
    """The best checkpoint is written before the last, which then knows of it."""
    kept: list[Callback] = [Patience(loop.best, loop.patience)] if loop.patience and judged else []
    if work is not None:
        kept += [Keeper(work / "checkpoints", "best", loop.best)] if judged else []
        kept += [Keeper(work / "checkpoints", "last")]
    return kept


def _strategy(loop: Loop, net: AttributeNet, rates: Rates) -> str:
    """Without lambda and without a way to the class, the attribute head is idle, which plain DDP does not allow."""
    idle = not rates.attributes and net.spec.join == "parallel"
    return "ddp_find_unused_parameters_true" if idle and loop.strategy == "ddp" else loop.strategy


def _bar(quiet: bool) -> list[Callback]:
    return [] if quiet else [RichProgressBar(console_kwargs={"stderr": True})]


def _in_turn(count: int, batch: int = 100) -> list[list[int]]:
    return [list(range(at, min(at + batch, count))) for at in range(0, count, batch)]


def _loader(examples: Examples, order: Any) -> DataLoader[Any]:
    table = TensorDataset(*examples.tensors())
    return DataLoader(table, batch_size=None, sampler=order)
