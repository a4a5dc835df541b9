"""Fit an attribute network to examples.

Knows examples and tasks; nothing of files of data sets, of the command line, or of what is reported afterwards.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch.utils.data import TensorDataset

from sightline.tasks.attributes.data.examples import Examples
from sightline.tasks.attributes.network.net import AttributeNet
from sightline.tasks.attributes.recipe import EatRecipe
from sightline.tasks.attributes.train.losses import imbalance
from sightline.tasks.attributes.train.module import EatTask
from sightline.training.loop import Feeds, Watch, batches, in_turn, run_loop
from sightline.training.sampling import EpochOrder


def fit(
    net: AttributeNet,
    train: Examples,
    recipe: EatRecipe,
    *,
    validation: Examples | None = None,
    work: Path | None = None,
    watch: Watch = Watch(),
) -> AttributeNet:
    """Train, or go on training.

    Args:
        net: the network; changed in place.
        train: pictures to learn from.
        recipe: weights of the losses, rates, how long and on what.
        validation: pictures that are only looked at after every epoch.
        work: folder of the last epoch's checkpoint; a run that finds it goes on with it; None keeps nothing.
        watch: who looks on.

    Returns:
        The net after its last epoch in eval mode, in float32, on the CPU.

    Raises:
        TrainingError: the loss is not finite, or the devices cannot share a batch.
        KeyboardInterrupt: as it came; what the last whole epoch left stays in the work folder.
    """
    order = EpochOrder(len(train), min(recipe.loop.batch_size, len(train)), recipe.machine.seed)
    balance = imbalance(train.targets, train.weights, net.spec.vocabulary, recipe.loss.balance)
    module = EatTask(net, recipe, len(order) * recipe.loop.epochs, balance, train.part_names)
    looked_at = None if validation is None else batches(_table(validation), in_turn(len(validation)))
    device = replace(recipe.machine, strategy=_strategy(net, recipe))
    feeds = Feeds(batches(_table(train), order), looked_at)
    run_loop(module, feeds, loop=recipe.loop, device=device, work=work, watch=watch)
    return net


def restored(net: AttributeNet, path: Path) -> AttributeNet:
    """The net with the weights of a checkpoint, in eval mode."""
    weights = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    net.load_state_dict(
        {name.removeprefix("net."): value for name, value in weights.items() if name.startswith("net.")}
    )
    return net.eval()


def _table(examples: Examples) -> TensorDataset:
    return TensorDataset(*examples.tensors())


def _strategy(net: AttributeNet, recipe: EatRecipe) -> str:
    """Without lambda and without a way to the class, the attribute head is idle, which plain DDP does not allow."""
    idle = not recipe.loss.attribute_weight and net.spec.join == "parallel"
    strategy = recipe.machine.strategy
    return "ddp_find_unused_parameters_true" if idle and strategy == "ddp" else strategy
