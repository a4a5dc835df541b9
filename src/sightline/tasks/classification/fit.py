"""Fit a classifier to pictures, and read its scores.

Knows pictures and tasks; nothing of files of data sets, of the command line, or of what is reported afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

from sightline.tasks.classification.data.pictures import Pictures
from sightline.tasks.classification.module import ClassifyTask, Descent
from sightline.training.augmentation import normalised
from sightline.training.loop import Loop, batches, in_turn, run_loop
from sightline.training.sampling import EpochOrder

JUDGED = 250
"""Pictures per batch where nothing is learnt."""


def fit(
    net: nn.Module,
    pictures: Pictures,
    descent: Descent,
    loop: Loop,
    *,
    work: Path | None = None,
    callbacks: Sequence[Callback] = (),
    loggers: Any = False,
    bar: bool = False,
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
        bar: whether to show progress.

    Returns:
        The net after its last epoch in eval mode, in float32, on the CPU.

    Raises:
        TrainingError: the loss is not finite, or the devices cannot share a batch.
        KeyboardInterrupt: as it came; what the last whole epoch left stays in the work folder.
    """
    order = EpochOrder(len(pictures.train), min(loop.batch, len(pictures.train)), loop.seed)
    task = ClassifyTask(net, descent, pictures.mean, pictures.std)
    taught = batches(Rows(pictures, pictures.train), order)
    judged = batches(Rows(pictures, pictures.test), in_turn(len(pictures.test), JUDGED))
    run_loop(task, loop, taught, judged, work=work, callbacks=callbacks, loggers=loggers, bar=bar)
    return net


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
