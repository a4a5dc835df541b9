"""What of an attribute network is backbone and what is heads, and the features that its heads read.

It hands the engine of training what that engine must not know: a network's parts.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.common.modes import evaluating
from sightline.models.depth import depths
from sightline.tasks.attributes.data.examples import Examples
from sightline.tasks.attributes.network.net import AttributeNet
from sightline.tasks.attributes.recipe import EatRecipe
from sightline.tasks.attributes.train.calibrate import normalised
from sightline.training.anatomy import Anatomy
from sightline.training.probe import Features, some


def anatomy_of(net: AttributeNet) -> Anatomy:
    """The weights of an attribute network: the trunk's by depth; all others are the heads', and new."""
    heads = frozenset(name for name, _ in net.named_parameters() if not name.startswith("trunk."))
    return Anatomy(depths(net, "trunk.body"), heads, heads)


@torch.no_grad()
def trunk_features(net: AttributeNet, examples: Examples, rows: Tensor, *, pooled: bool, batch: int = 32) -> Tensor:
    """The trunk's features of some pictures, in eval mode: `[b, c]` where pooled, else `[b, c, h, w]` in float16.

    Args:
        net: the network; it is left as it was.
        examples: pictures.
        rows: which of them.
        pooled: whether the mean over places is enough.
        batch: pictures at a time.
    """
    parts = []
    if examples.features is not None:
        known: Tensor = examples.features[rows]
        return known.mean((2, 3)) if pooled and known.ndim == 4 else known
    with evaluating(net):
        for some_rows in torch.split(rows, batch):
            grid: Tensor = net.trunk(normalised(net, examples.images[some_rows]))
            parts.append(grid.mean((2, 3)) if pooled else grid.half())
    return torch.cat(parts).cpu()


def is_pooled(recipe: EatRecipe) -> bool:
    """Whether heads need no more of the features than their mean over places."""
    guided = recipe.loss.outside_weight or recipe.loss.part_weight
    return recipe.network.pool == "average" and not guided


def probe_features(net: AttributeNet, train: Examples, test: Examples) -> Features:
    """What a linear probe is fitted to and tested on; pictures without a class are left out.

    Args:
        net: the network before it learns.
        train: pictures to learn from.
        test: pictures that judge.
    """
    learnt, judged = some(with_class(train)), with_class(test)
    pools: list[Float[Tensor, "n c"]] = [
        trunk_features(net, examples, rows, pooled=True) for examples, rows in ((train, learnt), (test, judged))
    ]
    return Features(pools[0], train.labels[learnt], pools[1], test.labels[judged])


def with_class(examples: Examples) -> Tensor:
    """Rows of the pictures that have a class; all of them where each may have several labels."""
    return torch.arange(len(examples)) if examples.several else torch.nonzero(examples.labels >= 0)[:, 0]
