"""The loop of every training here, on Lightning: it stops, goes on, and leaves its net at rest.

Knows a task and its batches, nothing of data sets, of the command line, or of what is reported afterwards.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, RichProgressBar
from torch import nn
from torch.utils.data import DataLoader, Dataset

from sightline.training.callbacks import Keeper, Row
from sightline.training.resume import checkpoint

Report = Callable[[int], None]
"""Told how many more pictures are there."""


@dataclass(frozen=True)
class Loop:
    """How long and on what.

    Args:
        epochs: passes over the training pictures.
        batch: pictures per step, over all devices together.
        precision: of Lightning, such as `32` or `bf16-mixed`.
        accelerator: of Lightning: `auto`, `cpu`, `gpu`.
        devices: how many of them.
        strategy: of Lightning.
        seed: of the order of pictures.
        every: epochs between two looks at the pictures that are not learnt from; 0 never looks.
    """

    epochs: int
    batch: int
    precision: str = "32"
    accelerator: str = "auto"
    devices: int | str = 1
    strategy: str = "auto"
    seed: int = 0
    every: int = 1


@dataclass(frozen=True)
class Telling:
    """What a training says while it runs; nothing by default.

    Args:
        reading: opened while pictures are read or drawn; what it gives is told of every one.
        epoch: told the number of every epoch, from 1, and its figures.
        bar: whether to show how far an epoch is.
        command: what the card says that the network was made by; the bare verb where it is empty.
    """

    reading: Callable[[], AbstractContextManager[Report]] = lambda: nullcontext(lambda done: None)
    epoch: Callable[[int, Row], None] = lambda number, row: None
    bar: bool = False
    command: str = ""


def run_loop(
    task: lightning.LightningModule,
    loop: Loop,
    train: Any,
    judged: Any = None,
    *,
    work: Path | None = None,
    callbacks: Sequence[Callback] = (),
    loggers: Any = False,
    bar: bool = False,
) -> None:
    """Train `task.net`, or go on training it; afterwards it is in eval mode, in float32, on the CPU.

    Args:
        task: what is trained; its `net` is changed in place.
        loop: how long and on what.
        train: batches to learn from.
        judged: batches that are only looked at; None for none.
        work: folder of checkpoints; a run that finds `last.ckpt` there goes on with it; None keeps nothing.
        callbacks: further ones of Lightning; those that keep a better epoch come before the one that keeps the last,
            which then knows of it.
        loggers: of Lightning.
        bar: whether to show progress.

    Raises:
        TrainingError: the loss is not finite, or the devices cannot share a batch.
        KeyboardInterrupt: as it came; what the last whole epoch left stays in the work folder.
    """
    net: nn.Module = task.net.train().to(memory_format=torch.channels_last)
    shown = [RichProgressBar(console_kwargs={"stderr": True})] if bar else []
    kept = [] if work is None else [Keeper(work / "checkpoints", "last")]
    last = None if work is None else checkpoint(work, "last")
    with _calm():
        trainer = lightning.Trainer(
            max_epochs=loop.epochs,
            precision=loop.precision,
            accelerator=loop.accelerator,
            devices=loop.devices,
            strategy=loop.strategy,
            use_distributed_sampler=False,
            logger=loggers,
            callbacks=[*callbacks, *kept, *shown],
            enable_checkpointing=work is not None,
            enable_progress_bar=bar,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            check_val_every_n_epoch=loop.every or 1,
        )
        try:
            trainer.fit(
                task,
                train,
                judged if loop.every else None,
                ckpt_path=last if last is not None and last.exists() else None,
                weights_only=True,
            )
        except SystemExit as stop:  # what Lightning makes of Ctrl-C
            raise KeyboardInterrupt from stop
    net.float().eval().cpu().to(memory_format=torch.contiguous_format)


def batches(table: Dataset[Any], order: Any) -> DataLoader[Any]:
    """A table's rows, a batch at a time, in an order of whole batches."""
    return DataLoader(table, batch_size=None, sampler=order)


def in_turn(count: int, batch: int = 100) -> list[list[int]]:
    """The order of what is only looked at."""
    return [list(range(at, min(at + batch, count))) for at in range(0, count, batch)]


@contextmanager
def _calm() -> Iterator[None]:
    """Without Lightning's advice on loaders, loggers and machines."""
    log = logging.getLogger("lightning.pytorch")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning.*")
            yield
    finally:
        log.setLevel(before)
