"""The loop of every training here, on Lightning: it stops, goes on, and leaves its net at rest.

Knows a module and its batches, nothing of data sets, of the command line, or of what is reported afterwards.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, RichProgressBar
from torch import nn
from torch.utils.data import DataLoader, Dataset

from sightline.common.files import cannot_write
from sightline.errors import TrainingError
from sightline.training.callbacks import Keeper
from sightline.training.devices import trainer_on
from sightline.training.recipe import DeviceConfig, EpochConfig
from sightline.training.resume import WholeCheckpoints, last_readable
from sightline.training.tuner import Averager, Tuner, Tuning


@dataclass(frozen=True)
class Feeds:
    """Batches of a training.

    Args:
        train: batches to learn from.
        validation: batches that are only looked at; None for none.
    """

    train: Any
    validation: Any = None


@dataclass(frozen=True)
class Watch:
    """Who looks on while a network learns.

    Args:
        callbacks: Lightning's callbacks; those that keep a better epoch come before the one that keeps the last,
            which then knows of it.
        loggers: Lightning's loggers.
        bar: whether to show progress.
    """

    callbacks: Sequence[Callback] = ()
    loggers: Any = False
    bar: bool = False


def run_loop(
    module: lightning.LightningModule,
    feeds: Feeds,
    *,
    loop: EpochConfig,
    device: DeviceConfig,
    work: Path | None = None,
    watch: Watch = Watch(),
    tuning: Tuning | None = None,
) -> None:
    """Train `module.net`, or go on training it; afterwards it is in eval mode, in float32, on the CPU.

    Args:
        module: what is trained; its `net` is changed in place.
        feeds: batches.
        loop: how long.
        device: on what.
        work: folder of checkpoints; a run that finds `last.ckpt` there goes on with it; None keeps nothing.
        watch: who looks on.
        tuning: what learns when; None lets everything learn from the first step on.

    Raises:
        TrainingError: the loss is not finite, the devices cannot share a batch, or a log cannot be written.
        ResultError: a checkpoint cannot be written; the former one is still there.
        KeyboardInterrupt: as it came; what the last whole epoch left stays in the work folder.
    """
    net: nn.Module = module.net.train().to(memory_format=torch.channels_last)
    bars = [RichProgressBar(console_kwargs={"stderr": True})] if watch.bar else []
    keepers = [] if work is None else [Keeper(work / "checkpoints", "last")]
    last = None if work is None else last_readable(work)
    with _calm():
        trainer = trainer_on(
            device.device,
            device.devices,
            max_epochs=loop.epochs,
            precision=device.precision,
            strategy=device.strategy,
            use_distributed_sampler=False,
            logger=watch.loggers,
            callbacks=[*_tuners(tuning), *watch.callbacks, *keepers, *bars],
            plugins=[] if work is None else [WholeCheckpoints()],
            enable_checkpointing=work is not None,
            enable_progress_bar=watch.bar,
            enable_model_summary=False,
            accumulate_grad_batches=1 if tuning is None else tuning.config.accumulate,
            num_sanity_val_steps=-1 if last is None and _keeps_start(watch.callbacks) else 0,
            check_val_every_n_epoch=loop.check_every or 1,
        )
        try:
            trainer.fit(
                module,
                feeds.train,
                feeds.validation if loop.check_every else None,
                ckpt_path=last,
                weights_only=True,
            )
        except SystemExit as stop:  # what Lightning makes of Ctrl-C
            raise KeyboardInterrupt from stop
        except OSError as problem:  # of a logger
            raise TrainingError(cannot_write(problem.filename or work or "the disk", problem)) from problem
    net.float().eval().cpu().to(memory_format=torch.contiguous_format)


def _keeps_start(callbacks: Sequence[Callback]) -> bool:
    """Whether the network before its first step may be the one that is kept; Lightning then validates it."""
    return any(isinstance(one, Keeper) and one.start for one in callbacks)


def _tuners(tuning: Tuning | None) -> list[Callback]:
    """What keeps a tuning; nothing where all weights learn alike, as they always did."""
    if tuning is None:
        return []
    tuner = [] if tuning.plain else [Tuner(tuning)]
    return [*tuner, *([Averager(tuning.config.ema)] if tuning.config.ema else [])]


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
