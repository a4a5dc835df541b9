"""Fit a classifier to pictures, and read its scores.

Knows pictures and tasks; nothing of files of data sets, of the command line, or of what is reported afterwards.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sightline.tasks.classification.data.pictures import Pictures
from sightline.tasks.classification.module import ClassifyTask
from sightline.tasks.classification.recipe import ClassifyRecipe
from sightline.training.augmentation import normalised
from sightline.training.loop import Feeds, Watch, batches, in_turn, run_loop
from sightline.training.sampling import EpochOrder

JUDGED = 250
"""Pictures per batch where nothing is learnt."""


def fit(
    net: nn.Module, pictures: Pictures, recipe: ClassifyRecipe, *, work: Path | None = None, watch: Watch = Watch()
) -> nn.Module:
    """Train, or go on training.

    Args:
        net: the network; changed in place.
        pictures: data to learn from and to test on.
        recipe: how, how long and on what.
        work: folder of the last epoch's checkpoint; a run that finds it goes on with it; None keeps nothing.
        watch: who looks on.

    Returns:
        The net after its last epoch in eval mode, in float32, on the CPU.

    Raises:
        TrainingError: the loss is not finite, or the devices cannot share a batch.
        KeyboardInterrupt: as it came; what the last whole epoch left stays in the work folder.
    """
    order = EpochOrder(len(pictures.train), min(recipe.loop.batch_size, len(pictures.train)), recipe.machine.seed)
    module = ClassifyTask(net, recipe, pictures.mean, pictures.std)
    tested = batches(Rows(pictures, pictures.test), in_turn(len(pictures.test), JUDGED))
    feeds = Feeds(batches(Rows(pictures, pictures.train), order), tested)
    run_loop(module, feeds, loop=recipe.loop, device=recipe.machine, work=work, watch=watch)
    return net


def scores(net: nn.Module, pictures: Pictures, rows: Int[Tensor, " n"] | None = None) -> Float[Tensor, "n k"]:
    """Class logits of some pictures, of the test pictures by default, as they are."""
    rows = pictures.test if rows is None else rows
    mean, std = (torch.tensor(value).view(1, -1, 1, 1) for value in (pictures.mean, pictures.std))
    with torch.no_grad():
        logits = [net(normalised(pictures.images[part], mean, std)) for part in torch.split(rows, JUDGED)]
    return torch.cat(logits).float()


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
