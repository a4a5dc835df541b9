"""Fit an attribute network to examples.

Knows examples and tasks; nothing of files of data sets, of the command line, or of what is reported afterwards.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.data import Dataset, TensorDataset

from sightline.tasks.attributes.data.examples import Examples
from sightline.tasks.attributes.network.net import AttributeNet
from sightline.tasks.attributes.recipe import EatRecipe
from sightline.tasks.attributes.train.anatomy import anatomy_of, is_pooled, trunk_features
from sightline.tasks.attributes.train.losses import imbalance
from sightline.tasks.attributes.train.module import EatTask
from sightline.training.anatomy import at_scale
from sightline.training.callbacks import load_net
from sightline.training.features import PASSES, FeatureTable, feature_table
from sightline.training.loop import Feeds, Watch, batches, in_turn, run_loop
from sightline.training.probe import some
from sightline.training.sampling import EpochOrder
from sightline.training.tuner import Tuning


def fit(
    net: AttributeNet,
    train: Examples,
    recipe: EatRecipe,
    *,
    validation: Examples | None = None,
    work: Path | None = None,
    watch: Watch = Watch(),
    task: type[EatTask] = EatTask,
    crossed: Float[Tensor, "n k"] | None = None,
) -> AttributeNet:
    """Train, or go on training.

    Args:
        net: the network; changed in place.
        train: pictures to learn from.
        recipe: weights of the losses, rates, how long and on what.
        validation: pictures that are only looked at after every epoch.
        work: folder of the last epoch's checkpoint; a run that finds it goes on with it; None keeps nothing.
        watch: who looks on.
        task: what a step of training does.
        crossed: attribute logits of the training pictures by heads that have not seen them, on frozen features: the
            class learns from these how far attributes can be trusted, not from a head that knows the pictures.

    Returns:
        The net after its last epoch in eval mode, in float32, on the CPU.

    Raises:
        TrainingError: the loss is not finite, or the devices cannot share a batch.
        KeyboardInterrupt: as it came; what the last whole epoch left stays in the work folder.
    """
    recipe = recipe.settled(drawn=not net.taught)
    frozen = recipe.tuning.frozen
    order = EpochOrder(
        len(train),
        min(recipe.loop.batch_size, len(train)),
        recipe.machine.seed,
        labels=train.labels if recipe.tuning.balanced and not train.several else None,
        parts=recipe.tuning.accumulate,
        passes=PASSES if frozen else 1,
    )
    tables = {name: one for name, one in (("train", train), ("validation", validation)) if one is not None}
    features = {
        name: kept_features(net, one, recipe, None if work is None else work / "features" / name)
        for name, one in tables.items()
        if frozen
    }
    if frozen:
        rows: Tensor = features["train"][some(torch.arange(len(train)))]
        recipe = at_scale(recipe, _readers(net), rows.flatten(2).mean(2) if rows.ndim == 4 else rows)
    balance = imbalance(train.targets, train.weights, net.spec.vocabulary, recipe.loss.balance)
    tuning = Tuning(recipe.tuning, anatomy_of(net), order.steps, recipe.loop.epochs)
    module = task(net, recipe, tuning, balance, train.part_names)
    module.begin(train.labels)
    feeds: dict[str, Dataset[tuple[Tensor, ...]]] = {
        name: FrozenRows(one, features[name], crossed if name == "train" else None)
        if frozen
        else TensorDataset(*one.tensors())
        for name, one in tables.items()
    }
    looked_at = None if validation is None else batches(feeds["validation"], in_turn(len(validation)))
    device = replace(recipe.machine, strategy=_strategy(net, recipe))
    fed = Feeds(batches(feeds["train"], order), looked_at)
    run_loop(module, fed, loop=recipe.loop, device=device, work=work, watch=watch, tuning=tuning)
    return net


def restored(net: AttributeNet, path: Path) -> AttributeNet:
    """The net with the weights of a checkpoint, in eval mode."""
    load_net(net, path)
    return net.eval()


def _readers(net: AttributeNet) -> list[nn.Module]:
    """The layers of the heads that read the trunk's features and learn."""
    layers = (net.class_head.of_features, net.attribute_head.what)
    return [layer for layer in layers if layer is not None and layer.weight.requires_grad]


class FrozenRows(Dataset[tuple[Tensor, ...]]):
    """Examples with their features in the place of their pictures.

    Args:
        examples: the examples.
        features: of each of them.
        crossed: attribute logits by heads that have not seen them; None where the network's own head is asked.
    """

    def __init__(self, examples: Examples, features: FeatureTable, crossed: Tensor | None = None) -> None:
        self.tables, self.features = (*examples.tensors()[1:], *([] if crossed is None else [crossed])), features

    def __getitem__(self, rows: Any) -> tuple[Tensor, ...]:
        """A batch."""
        return (self.features[rows], *(table[rows] for table in self.tables))


def kept_features(net: AttributeNet, examples: Examples, recipe: EatRecipe, folder: Path | None) -> FeatureTable:
    """The trunk's features of examples, computed once and kept in a folder.

    Args:
        net: the network; its trunk is as it was when the folder was begun.
        examples: pictures.
        recipe: says whether heads need more of the features than their mean over places.
        folder: folder of these examples alone; None keeps the features in memory.
    """
    pooled = is_pooled(recipe)
    return feature_table(folder, len(examples), lambda rows: trunk_features(net, examples, rows, pooled=pooled))


def _strategy(net: AttributeNet, recipe: EatRecipe) -> str:
    """Without lambda and without a way to the class, the attribute head is idle, which plain DDP does not allow."""
    idle = not recipe.loss.attribute_weight and net.spec.join == "parallel"
    strategy = recipe.machine.strategy
    return "ddp_find_unused_parameters_true" if idle and strategy == "ddp" else strategy
