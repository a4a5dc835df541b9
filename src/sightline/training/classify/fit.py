"""The loop: fit a classifier to pictures, on Lightning, so that it can stop and go on.

Knows pictures and tasks; nothing of files of data sets, of the command line, or of what is reported afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from jaxtyping import Float, Int
from lightning.pytorch.callbacks import Callback, RichProgressBar
from torch import Tensor, nn
from torch.utils.data import DataLoader

from sightline.training.classify.augment import normalised
from sightline.training.classify.pictures import Pictures
from sightline.training.classify.task import ClassifyTask, Descent
from sightline.training.going_on import begin_or_go_on
from sightline.training.keep import Keeper
from sightline.training.order import SharedOrder

JUDGED = 250
"""Pictures per batch where nothing is learnt."""


@dataclass(frozen=True)
class Loop:
    """How long and on what.

    Args:
        epochs: passes over the training pictures.
        batch: pictures per step, over all devices together.
        precision: of Lightning, such as `32` or `bf16-mixed`.
        accelerator: of Lightning: `auto`, `cpu`, `gpu`.
        devices: how many of them.
        seed: of the order of pictures.
        every: epochs between two looks at the test pictures; 0 never looks.
    """

    epochs: int = 30
    batch: int = 64
    precision: str = "32"
    accelerator: str = "auto"
    devices: int | str = 1
    seed: int = 0
    every: int = 1


def fit(
    net: nn.Module,
    pictures: Pictures,
    descent: Descent,
    loop: Loop,
    *,
    work: Path | None = None,
    callbacks: Sequence[Callback] = (),
    loggers: Any = False,
    quiet: bool = True,
) -> nn.Module:
    """Train, or go on training.

    Args:
        net: the network; changed in place.
        pictures: to learn from and to test on.
        descent: rates.
        loop: how long and on what.
        work: folder of the last epoch's checkpoint; a run that finds it goes on with it; None keeps nothing.
        callbacks: further callbacks of Lightning.
        loggers: of Lightning.
        quiet: no progress bar.

    Returns:
        The net after its last epoch in eval mode, in float32, on the CPU.

    Raises:
        TrainingError: the loss is not finite, or the devices cannot share a batch.
        KeyboardInterrupt: as it came; what the last whole epoch left stays in the work folder.
    """
    order = SharedOrder(len(pictures.train), min(loop.batch, len(pictures.train)), loop.seed)
    net = net.train().to(memory_format=torch.channels_last)
    task = ClassifyTask(net, descent, pictures.mean, pictures.std)
    keepers = [] if work is None else [Keeper(work / "checkpoints", "last")]
    bar = [] if quiet else [RichProgressBar(console_kwargs={"stderr": True})]
    trainer = lightning.Trainer(
        max_epochs=loop.epochs,
        precision=loop.precision,
        accelerator=loop.accelerator,
        devices=loop.devices,
        use_distributed_sampler=False,
        logger=loggers,
        callbacks=[*callbacks, *keepers, *bar],
        enable_checkpointing=work is not None,
        enable_progress_bar=not quiet,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        check_val_every_n_epoch=loop.every or 1,
    )
    judged = _loader(pictures, pictures.test, _in_turn(len(pictures.test))) if loop.every else None
    begin_or_go_on(trainer, task, _loader(pictures, pictures.train, order), judged, work)
    return net.float().eval().cpu().to(memory_format=torch.contiguous_format)


def scores(net: nn.Module, pictures: Pictures, rows: Int[Tensor, " n"] | None = None) -> Float[Tensor, "n k"]:
    """Class logits of some pictures, of the test pictures by default, as they are."""
    rows = pictures.test if rows is None else rows
    mean, std = (torch.tensor(value).view(1, -1, 1, 1) for value in (pictures.mean, pictures.std))
    with torch.no_grad():
        said = [net(normalised(pictures.images[part], mean, std)) for part in torch.split(rows, JUDGED)]
    return torch.cat(said).float()


class Rows(torch.utils.data.Dataset[tuple[Tensor, Tensor]]):
    """Some pictures, taken a batch at a time.

    Args:
        pictures: all of them.
        rows: which.
    """

    def __init__(self, pictures: Pictures, rows: Int[Tensor, " n"]) -> None:
        self.pictures, self.rows = pictures, rows

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self.rows)

    def __getitem__(self, at: Any) -> tuple[Tensor, Tensor]:
        """Bytes and classes of a batch."""
        rows = self.rows[at]
        return self.pictures.images[rows], self.pictures.labels[rows]


def _in_turn(count: int) -> list[list[int]]:
    return [list(range(at, min(at + JUDGED, count))) for at in range(0, count, JUDGED)]


def _loader(pictures: Pictures, rows: Tensor, order: Any) -> DataLoader[Any]:
    return DataLoader(Rows(pictures, rows), batch_size=None, sampler=order)
