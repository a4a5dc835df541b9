"""The behavioural certificate: does a model's decision follow a cue, when only the cue changes?

Pairs of scenes of different classes exchange the cue, or everything but the cue, and are drawn again.
The model is any callable from bytes to class scores; nothing of it is read but its decisions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from torch import Tensor

from sightline.errors import DataError
from sightline.worlds.aviary.batch import batch_of
from sightline.worlds.aviary.counterfactual import with_cue, without_cue
from sightline.worlds.aviary.scene import Scene
from sightline.worlds.aviary.world import World

Model = Callable[[UInt8[Tensor, "b 3 h w"]], Float[Tensor, "b k"]]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Rate:
    """A share of decisions with its 95 % bootstrap interval over scene pairs."""

    share: float
    interval: Interval


@dataclass(frozen=True)
class Certificate:
    """How a model's decisions follow one cue.

    Args:
        cue: the cue.
        pairs: number of scene pairs in which the model knows both scenes.
        follows: share of pairs in which decisions for the donor's class when only the cue is the donor's.
        stays: share in which the decision stays when everything but the cue is the donor's.
        threshold: what the lower ends of both intervals must reach.
    """

    cue: str
    pairs: int
    follows: Rate
    stays: Rate
    threshold: float

    @property
    def certified(self) -> bool:
        """Whether the model demonstrably decides by this cue."""
        return min(self.follows.interval[0], self.stays.interval[0]) >= self.threshold


def certify(
    model: Model,
    world: World,
    cue: str,
    *,
    pairs: int = 200,
    size: int = 128,
    threshold: float = 0.8,
    first: int = 20_000_000,
) -> Certificate:
    """Certify one cue of a model.

    Only pairs count in which the model classifies both original scenes right; 4 forwards per pair.

    Args:
        model: images (bytes) to class scores; wrap your own preprocessing.
        world: the world that the model was trained on.
        cue: `foreground`, `background` or `part:NAME`.
        pairs: how many pairs are drawn.
        size: side of the scenes in pixels.
        threshold: lower bound that both rates must reach.
        first: number of the first scene; the default lies beyond all that is trained on.

    Raises:
        DataError: no such cue, or the model classifies no pair right.
    """
    couples = scene_pairs(world, pairs, first)
    truth = torch.tensor([[a.species, b.species] for a, b in couples])
    ours, theirs = (_decide(model, [couple[i] for couple in couples], size) for i in (0, 1))
    correct = (ours == truth[:, 0]) & (theirs == truth[:, 1])
    if not bool(correct.any()):
        raise DataError(
            f"the model classifies none of {pairs} scene pairs right; a cue can only be certified for what it knows"
        )
    moved = _decide(model, [with_cue(a, b, cue) for a, b in couples], size)
    control = _decide(model, [without_cue(a, b, cue) for a, b in couples], size)
    follows, stays = (moved == truth[:, 1])[correct], (control == truth[:, 0])[correct]
    return Certificate(cue, int(correct.sum()), rate(follows.numpy()), rate(stays.numpy()), threshold)


def scene_pairs(world: World, pairs: int, first: int) -> list[tuple[Scene, Scene]]:
    """Scenes of different classes, two by two; in a `background` world their families differ too."""
    couples: list[tuple[Scene, Scene]] = []
    index = first
    while len(couples) < pairs:
        one, other = world.scene(index), world.scene(index + 1)
        if one.species != other.species:
            couples.append((one, other))
        index += 2
    return couples


def rate(hits: NDArray[np.bool_], draws: int = 2000) -> Rate:
    """A share with its 95 % interval from a Bayesian bootstrap.

    Half a hit and half a miss are added (Jeffreys' prior), so that five hits of five are no certainty.
    """
    yes = int(hits.sum())
    shares = np.random.default_rng(7).beta(yes + 0.5, len(hits) - yes + 0.5, draws)
    low, high = np.quantile(shares, (0.025, 0.975))
    return Rate(float(hits.mean()), (float(low), float(high)))


@torch.inference_mode()
def _decide(model: Model, scenes: list[Scene], size: int, step: int = 50) -> Tensor:
    """Decisions for scenes, drawn and judged in steps."""
    parts = [model(batch_of(scenes[i : i + step], size).images).argmax(1).cpu() for i in range(0, len(scenes), step)]
    return torch.cat(parts)
