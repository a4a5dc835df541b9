"""Which cue a Bayes-optimal model must use, derived from a world's configuration without any picture.

The accuracy of the best possible decision is computed with and without every cue from the generator's
own probabilities. A cue is *required* if the best decision without it is worse, *sufficient* if the best
decision with it alone is as good. Occlusion and cropping are not part of the statement; missing parts are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sightline.worlds.aviary.attributes import GROUPS, PARTS, group_index
from sightline.worlds.aviary.counterfactual import cue_groups
from sightline.worlds.aviary.scene import FAMILIES
from sightline.worlds.aviary.world import World

MARGIN = 0.02
"""Differences of Bayes accuracy below this one do not count."""

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Cue:
    """What a cue is worth to the best possible model, as accuracy against the written labels.

    Args:
        name: `foreground`, `background` or `part:NAME`.
        alone: accuracy with this cue only.
        without: accuracy with everything but this cue.
        everything: accuracy with all that the scene holds.
    """

    name: str
    alone: float
    without: float
    everything: float

    @property
    def required(self) -> bool:
        """Whether a model that reaches the best accuracy must use it."""
        return self.without < self.everything - MARGIN

    @property
    def sufficient(self) -> bool:
        """Whether a model can reach the best accuracy with nothing else."""
        return self.alone > self.everything - MARGIN


def bayes_cues(world: World, scenes: int = 2000) -> tuple[Cue, ...]:
    """Every cue of a world with its worth: foreground, background, then the parts.

    Each accuracy is the mean over `scenes` sampled scenes of the largest exact posterior probability.

    Args:
        world: the world.
        scenes: how many scenes are sampled (none is drawn).
    """
    return _cues(world, scenes)


@lru_cache(maxsize=8)
def _cues(world: World, scenes: int) -> tuple[Cue, ...]:
    """The same; kept, since whoever asks for the cues asks for the required one too."""
    evidence = _Evidence.of(world, scenes)
    everything = evidence.accuracy(_all_groups(), background=True)
    rows = [
        Cue(
            "foreground",
            evidence.accuracy(_all_groups(), background=False),
            evidence.accuracy((), background=True),
            everything,
        ),
        Cue(
            "background",
            evidence.accuracy((), background=True),
            evidence.accuracy(_all_groups(), background=False),
            everything,
        ),
    ]
    for part in PARTS:
        own = cue_groups(f"part:{part}")
        rest = tuple(g for g in _all_groups() if g not in own)
        alone, without = evidence.accuracy(own, background=False), evidence.accuracy(rest, background=True)
        rows.append(Cue(f"part:{part}", alone, without, everything))
    return tuple(rows)


def required_cue(world: World, scenes: int = 2000) -> str:
    """The one cue that the best model must use and needs no other for; `mixed` if there is no such cue.

    A part is named before the foreground that contains it.

    Example:
        >>> from sightline.worlds.aviary import WorldConfig
        >>> required_cue(World(WorldConfig(cue="part:wing")), scenes=200)
        'part:wing'
    """
    answers = [cue.name for cue in bayes_cues(world, scenes) if cue.required and cue.sufficient]
    return max(answers, key=lambda name: name.startswith("part:"), default="mixed")


def _all_groups() -> tuple[int, ...]:
    return tuple(range(len(GROUPS)))


@dataclass(frozen=True, eq=False)
class _Evidence:
    """Sampled scenes, and the generator's log-probabilities of what they show under every class."""

    world: World
    values: NDArray[np.int64]
    visible: NDArray[np.bool_]
    homes: NDArray[np.int64]

    @classmethod
    def of(cls, world: World, scenes: int) -> _Evidence:
        """Sample scenes."""
        sample = [world.scene(index) for index in range(scenes)]
        return cls(
            world,
            np.array([scene.values for scene in sample]),
            np.array([[group.part not in scene.missing for group in GROUPS] for scene in sample]),
            np.array([FAMILIES.index(scene.backdrop.family) for scene in sample]),
        )

    def accuracy(self, groups: tuple[int, ...], *, background: bool) -> float:
        """Accuracy of the best decision that sees these groups and, if asked, the background."""
        config = self.world.config
        logs = self._log_background() if background else np.zeros((len(self.values), config.count))
        logs = logs + self._log_values(groups)
        odds = np.exp(logs - logs.max(1, keepdims=True))
        best = float((odds.max(1) / odds.sum(1)).mean())
        return best * (1 - config.label_noise) + (1 - best) * config.label_noise / (config.count - 1)

    def _log_background(self) -> Doubles:
        """Log P(family | class), [scenes, classes]."""
        homes = np.array([FAMILIES.index(species.home) for species in self.world.species])
        share = self.world.config.home_share
        match = self.homes[:, None] == homes[None, :]
        return _log(share * match + (1 - share) / len(FAMILIES))

    def _log_values(self, groups: tuple[int, ...]) -> Doubles:
        """Log P(values | class), summed over the breast colour, on which entangled colours depend."""
        breast = group_index("has_breast_color")
        independent = sum(
            (self._log_own(g) for g in groups if g != breast and not self._entangled(g)),
            np.zeros((len(self.values), self.world.config.count)),
        )
        terms = []
        for colour in range(len(GROUPS[breast].values)):
            term = _log(self._own(breast, np.full(len(self.values), colour)))
            if breast in groups:
                # A breast out of sight rules no colour out; its colour is then summed over below.
                ruled_out = self.visible[:, breast] & (self.values[:, breast] != colour)
                term = np.where(ruled_out[:, None], -np.inf, term)
            for g in groups:
                if g != breast and self._entangled(g):
                    term = term + self._log_copied(g, colour)
            terms.append(term)
        return np.asarray(independent + np.logaddexp.reduce(np.stack(terms), axis=0))

    def _entangled(self, group: int) -> bool:
        """Whether a group copies the breast's colour: a plumage colour that no species owns."""
        return GROUPS[group].coloured and group not in self.world.config.diagnostic

    def _own(self, group: int, values: NDArray[np.int64]) -> Doubles:
        """P(value | class) of an independent group, [scenes, classes]."""
        count = len(GROUPS[group].values)
        if group not in self.world.config.diagnostic:
            return np.full((len(values), self.world.config.count), 1 / count)
        codes = np.array([species.code[group] for species in self.world.species], np.int64)
        varies = self.world.config.variation
        return np.asarray((1 - varies) * (values[:, None] == codes[None, :]) + varies / count)

    def _log_own(self, group: int) -> Doubles:
        """The same as a logarithm for the sampled scenes; 0 where the part is missing."""
        return np.asarray(np.where(self.visible[:, group, None], _log(self._own(group, self.values[:, group])), 0.0))

    def _log_copied(self, group: int, colour: int) -> Doubles:
        """Log P(value | breast colour) of an entangled group, [scenes, 1]."""
        copied = self.world.config.entanglement
        chance = copied * (self.values[:, group] == colour) + (1 - copied) / len(GROUPS[group].values)
        return np.asarray(np.where(self.visible[:, group], _log(chance), 0.0)[:, None])


def _log(chance: Doubles | NDArray[np.bool_]) -> Doubles:
    """Logarithm with log 0 = -inf and no warning."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(chance))
