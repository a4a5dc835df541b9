"""`Anatomy`: what a task says of its network - which weights are the heads', and how deep each other one lies.

The engine freezes, warms up and slows down by it; it knows no network. Pure functions of names and numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, TypeVar, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.errors import TrainingError, near
from sightline.training.recipe import Recipe, TuningConfig

R = TypeVar("R", bound=Recipe)
RISE = 0.15
"""Share of its steps in which a learning rate rises."""
FIRST = 0.2
"""Learning rate of the first block beside the last one's, where no decay was asked for."""
REACH = 1.0
"""Most by which one step on kept features may move a score of a new head."""
STEP = 0.1
"""Most by which one step of the heads may move a score, where features and rate are known."""


@dataclass(frozen=True)
class Anatomy:
    """A network's weights as a task sees them.

    Args:
        depths: depth of every parameter of the backbone by its name, from 0 at the input.
        heads: names of all others: the heads, and what was built in.
        new: those of the heads' names, and of others, that no given weights filled; norms among them learn.
    """

    depths: Mapping[str, int]
    heads: frozenset[str]
    new: frozenset[str] = field(default=frozenset())

    @property
    def deepest(self) -> int:
        """Depth of the last block."""
        return max(self.depths.values(), default=0)


def frozen_names(anatomy: Anatomy, tuning: TuningConfig) -> frozenset[str]:
    """Names of the parameters that never learn.

    Args:
        anatomy: names and depths.
        tuning: what is frozen by name, by depth, or altogether but for the heads.

    Raises:
        TrainingError: a name fits no parameter, or nothing would learn.
    """
    names = [*anatomy.depths, *anatomy.heads]
    held = set(anatomy.depths) if tuning.frozen else set()
    for pattern in tuning.freeze:
        matches = {name for name in names if _fits(name, pattern)}
        if not matches:
            raise TrainingError(f"--freeze {pattern} fits no weights of the network; {near(pattern, names)}")
        held |= matches
    edge = math.floor(tuning.freeze_depth * (anatomy.deepest + 1) + 1e-9)
    held |= {name for name, depth in anatomy.depths.items() if depth < edge}
    if len(held) == len(names):
        raise TrainingError("--freeze leaves nothing to learn: it fits all weights; name fewer of them")
    return frozenset(held)


def _fits(name: str, pattern: str) -> bool:
    """A pattern names parameters, or modules that they are in."""
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")


def rate_factor(depth: int, deepest: int, tuning: TuningConfig) -> float:
    """Factor on the learning rate of a block: trunk_lr_factor * layer_decay ** (deepest - depth).

    Where no decay was asked for it is `FIRST` ** (1 / deepest), whatever the number of blocks.

    Args:
        depth: the block's depth.
        deepest: depth of the last block, which learns fastest.
        tuning: settled options.
    """
    decay = FIRST ** (1 / max(1, deepest)) if tuning.layer_decay is None else tuning.layer_decay
    return float(tuning.trunk_lr_factor or 0) * decay ** (deepest - depth)


def head_factor(features: Float[Tensor, "n c"], lr: float, most: float = STEP) -> float:
    """Factor on the learning rate of heads, 1 or below, by which a step moves a score by `most` at most.

    AdamW changes each weight by about lr, whatever its gradient, so a score by up to lr * sum_c |f_c|: 0.4 for
    EfficientNet-Lite0, 10 for SqueezeNet, whose features no norm keeps small, and which so forgets a good start.

    Args:
        features: what the heads read, before anything learns.
        lr: learning rate of the heads.
        most: by how much a step may move a score.
    """
    reach = lr * float(features.float().abs().sum(1).mean())
    return min(1.0, most / reach) if reach > 0 else 1.0


def at_scale(recipe: R, heads: Iterable[nn.Module], features: Float[Tensor, "n c"]) -> R:
    """Let new heads on large features learn as they would on smaller ones: step divided, decay multiplied by a scale.

    AdamW's step and decay know no scale of features, so a head on SqueezeNet's, ten times those of other networks,
    is hardly held back and overfits. On f / s with rate and decay the head W learns exactly as W / s does on f with
    rate / s and decay * s.

    Args:
        recipe: settled; its optimiser is AdamW.
        heads: what reads the features and learns; where it begins as it was made, its weights are divided too.
        features: what it reads.
    """
    own: Any = recipe
    factor = head_factor(features, float(own.optim.lr or 0), REACH)
    if factor == 1 or own.tuning.head_start != "built" or own.tuning.head_lr_factor != 1:
        return recipe
    with torch.no_grad():
        for head in heads:
            cast(Tensor, head.weight).mul_(factor)
    return recipe.but(head_lr_factor=factor, weight_decay=float(own.optim.weight_decay or 0) / factor)


def groups(net: nn.Module, anatomy: Anatomy, tuning: TuningConfig, lr: float) -> list[dict[str, Any]]:
    """Parameters by learning rate, as an optimiser takes them: the backbone's blocks from the input on, then heads.

    Args:
        net: the network.
        anatomy: its names and depths.
        tuning: settled options.
        lr: learning rate that the factors are of.

    Returns:
        For every group its `params`, its `lr` and its `part`: `trunk` or `heads`. What is frozen is in none.
    """
    held, named = frozen_names(anatomy, tuning), dict(net.named_parameters())
    levels: dict[int, list[Any]] = {}
    for name, parameter in named.items():
        if name in anatomy.depths and name not in held:
            levels.setdefault(anatomy.depths[name], []).append(parameter)
    rates = {depth: lr * rate_factor(depth, anatomy.deepest, tuning) for depth in sorted(levels)}
    trunk: dict[float, list[Any]] = {}
    for depth, rate in rates.items():
        trunk.setdefault(rate, []).extend(levels[depth])
    heads = [parameter for name, parameter in named.items() if name in anatomy.heads and name not in held]
    parts = [{"params": own, "lr": rate, "part": "trunk"} for rate, own in trunk.items()]
    own_rate = lr * (1.0 if tuning.head_lr_factor is None else tuning.head_lr_factor)
    return [*parts, {"params": heads, "lr": own_rate, "part": "heads"}] if heads else parts


def warm_cosine(step: int, first: int, total: int, rise: float = RISE) -> float:
    """Factor on a learning rate at a step: 0 before `first`, a straight rise, then half a cosine down to nothing.

    Args:
        step: the step, from 0.
        first: step at which the rise begins.
        total: steps of the whole training.
        rise: share of the steps from `first` on in which it rises.
    """
    if step < first:
        return 0.0
    steps = max(1, total - first)
    up = max(1, round(rise * steps))
    done = step - first
    if done < up:
        return (done + 1) / up
    return 0.5 * (1 + math.cos(math.pi * (done - up + 1) / max(1, steps - up + 1)))


def by_depth(order: Sequence[Iterable[str]]) -> dict[str, int]:
    """Depths from the names of each block's parameters, blocks in the order in which they run.

    Example:
        >>> by_depth([["stem.weight"], ["block.weight", "block.bias"]])
        {'stem.weight': 0, 'block.weight': 1, 'block.bias': 1}
    """
    return {name: depth for depth, names in enumerate(order) for name in names}
