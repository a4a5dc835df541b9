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
from sightline.tasks.classification.heads import anatomy_of, features, head_of, logits_of
from sightline.tasks.classification.module import ClassifyTask
from sightline.tasks.classification.recipe import ClassifyRecipe
from sightline.training.anatomy import at_scale
from sightline.training.augmentation import normalised
from sightline.training.features import PASSES, FeatureTable, feature_table
from sightline.training.loop import Feeds, Watch, batches, in_turn, run_loop
from sightline.training.probe import Features, some
from sightline.training.sampling import EpochOrder
from sightline.training.tuner import Tuning

LOOKED_AT = 32
"""Training pictures whose scores are looked at."""
JUDGED = 250
"""Pictures per batch where nothing is learnt."""


def fit(
    net: nn.Module,
    pictures: Pictures,
    recipe: ClassifyRecipe,
    *,
    work: Path | None = None,
    watch: Watch = Watch(),
    task: type[ClassifyTask] = ClassifyTask,
) -> nn.Module:
    """Train, or go on training.

    Args:
        net: the network; changed in place.
        pictures: data to learn from and to test on.
        recipe: how, how long and on what.
        work: folder of the last epoch's checkpoint; a run that finds it goes on with it; None keeps nothing.
        watch: who looks on.
        task: what a step of training does.

    Returns:
        The net after its last epoch in eval mode, in float32, on the CPU.

    Raises:
        TrainingError: the loss is not finite, or the devices cannot share a batch.
        KeyboardInterrupt: as it came; what the last whole epoch left stays in the work folder.
    """
    recipe = recipe.settled()
    frozen, count = recipe.tuning.frozen, len(pictures.train)
    classes = None if pictures.labels.ndim > 1 else pictures.labels[pictures.train]
    order = EpochOrder(
        count,
        min(recipe.loop.batch_size, count),
        recipe.machine.seed,
        labels=classes if recipe.tuning.balanced else None,
        parts=recipe.tuning.accumulate,
        passes=PASSES if frozen else 1,
    )
    images = kept_features(net, pictures, work) if frozen else pictures.images
    if frozen and recipe.optim.optimizer == "adamw":
        recipe = at_scale(recipe, [head_of(net)], images[some(pictures.train)])
    tuning = Tuning(recipe.tuning, anatomy_of(net), order.steps, recipe.loop.epochs)
    colours = (pictures.mean, pictures.std)
    module = task(net, recipe, colours, tuning=tuning, head=head_of(net) if frozen else None)
    module.begin(pictures.labels[pictures.train])
    tested = batches(Rows(images, pictures.labels, pictures.judging), in_turn(len(pictures.judging), JUDGED))
    feeds = Feeds(batches(Rows(images, pictures.labels, pictures.train), order), tested)
    run_loop(module, feeds, loop=recipe.loop, device=recipe.machine, work=work, watch=watch, tuning=tuning)
    return net


def kept_features(net: nn.Module, pictures: Pictures, work: Path | None) -> FeatureTable:
    """Features of all pictures, computed once and kept in the work folder.

    Args:
        net: the network as it begins.
        pictures: what is looked at.
        work: folder of the training; None keeps them in memory.
    """
    mean, std = (torch.tensor(value).view(1, -1, 1, 1) for value in (pictures.mean, pictures.std))
    folder = None if work is None else work / "features"
    return feature_table(folder, len(pictures.labels), lambda rows: features(net, pictures.images[rows], mean, std))


def probe_features(net: nn.Module, pictures: Pictures) -> Features:
    """What a linear probe is fitted to and tested on: the network's features before it learns.

    Pictures that are put aside follow those that the network learns from.

    Args:
        net: the network as it begins.
        pictures: data to learn from and to test on.
    """
    mean, std = (torch.tensor(value).view(1, -1, 1, 1) for value in (pictures.mean, pictures.std))
    learnt = torch.cat([some(pictures.train), some(pictures.val)])
    train, test = (features(net, pictures.images[rows], mean, std) for rows in (learnt, pictures.test))
    return Features(train, pictures.labels[learnt], test, pictures.labels[pictures.test])


def looked_at(pictures: Pictures) -> Float[Tensor, "n 3 h w"]:
    """Some training pictures of all classes, as a network takes them."""
    rows = pictures.train[:: max(1, len(pictures.train) // LOOKED_AT)]
    mean, std = (torch.tensor(value).view(1, -1, 1, 1) for value in (pictures.mean, pictures.std))
    return normalised(pictures.images[rows], mean, std)


def scores(net: nn.Module, pictures: Pictures, rows: Int[Tensor, " n"] | None = None) -> Float[Tensor, "n k"]:
    """Class logits of some pictures, of the test pictures by default, as they are."""
    rows = pictures.test if rows is None else rows
    mean, std = (torch.tensor(value).view(1, -1, 1, 1) for value in (pictures.mean, pictures.std))
    with torch.no_grad():
        logits = [logits_of(net, normalised(pictures.images[part], mean, std)) for part in torch.split(rows, JUDGED)]
    return torch.cat(logits).float()


class Rows(torch.utils.data.Dataset[tuple[Tensor, Tensor]]):
    """Some pictures, taken a batch at a time.

    Args:
        images: all of them as bytes, or their features.
        labels: class of each.
        rows: which.
    """

    def __init__(self, images: Any, labels: Int[Tensor, " n"], rows: Int[Tensor, " m"]) -> None:
        self.images, self.labels, self.rows = images, labels, rows

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self.rows)

    def __getitem__(self, at: Any) -> tuple[Tensor, Tensor]:
        """Bytes or features, and classes, of a batch."""
        rows = self.rows[at]
        return self.images[rows], self.labels[rows]
