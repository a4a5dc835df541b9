"""The certificate of single scenes: does a model's decision about *this* scene follow a cue, and nothing else?

The scene takes the cue, and then everything but the cue, from scenes of other classes, is drawn again, and the
decision is asked for. The model is any callable from scenes to classes; nothing of it is read but its decisions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sightline.worlds.aviary.certificate import Rate, rate
from sightline.worlds.aviary.counterfactual import with_cue, without_cue
from sightline.worlds.aviary.scene import Scene
from sightline.worlds.aviary.world import World

Decide = Callable[[Sequence[Scene]], list[int]]
"""The species that a model sees in each scene."""
FIRST_DONOR = 30_000_000
CERTIFIED = "certified"


@dataclass(frozen=True)
class Verdict:
    """What was found about one scene.

    Args:
        scene: its number.
        status: `certified`; or why not: `not known` (the model takes the scene for another species), `few donors`,
            `does not follow` the cue, or `does not stay` when all else changes.
        donors: scenes of other classes, known to the model, with which it exchanged the cue.
        follows: how many times the decision went to the donor's class when only the cue was the donor's.
        stays: how many times it stayed when everything but the cue was the donor's.
        donor: number of the first donor that the decision followed; None if there is none.
    """

    scene: int
    status: str
    donors: int = 0
    follows: int = 0
    stays: int = 0
    donor: int | None = None


@dataclass(frozen=True)
class SceneCertificates:
    """The certificate of one cue, scene by scene.

    Args:
        cue: `foreground`, `background` or `part:NAME`.
        threshold: share of donors that the decision must follow, and for which it must stay.
        verdicts: one per scene.
    """

    cue: str
    threshold: float
    verdicts: tuple[Verdict, ...]

    @property
    def certified(self) -> int:
        """How many scenes are certified."""
        return sum(verdict.status == CERTIFIED for verdict in self.verdicts)

    @property
    def counts(self) -> dict[str, int]:
        """How many scenes have which status."""
        return dict(Counter(verdict.status for verdict in self.verdicts))

    @property
    def rate(self) -> Rate:
        """Share of certified scenes with its interval."""
        return rate(np.array([verdict.status == CERTIFIED for verdict in self.verdicts]))

    def __str__(self) -> str:
        """The answer in one sentence."""
        low, high = self.rate.interval
        others = "; ".join(f"{count} {why}" for why, count in self.counts.items() if why != CERTIFIED)
        return (
            f"the decision follows {self.cue}, and it alone, in {self.certified} of {len(self.verdicts)} scenes "
            f"({self.rate.share:.3f}, 95 % interval {low:.3f}-{high:.3f})" + (f"; {others}" if others else "")
        )


def certify_scenes(
    decide: Decide,
    world: World,
    scenes: Sequence[Scene],
    cue: str,
    *,
    donors: int = 8,
    threshold: float = 0.8,
    step: Callable[[int], None] = lambda done: None,
) -> SceneCertificates:
    """Certify a cue for every scene alone; at most `2 * donors + 1` forwards each, and `8 * donors` for the donors.

    A certified scene is one where no explainer can be excused: whatever the decision rests on, it lies in the cue.

    Args:
        decide: the model.
        world: the scenes' world.
        scenes: what is certified.
        cue: `foreground`, `background` or `part:NAME`.
        donors: exchanges per scene.
        threshold: share of exchanges that must come out as the cue predicts.
        step: called for every scene that is done.

    Raises:
        DataError: there is no such cue.
    """
    pool = [world.scene(FIRST_DONOR + i) for i in range(8 * donors)]
    correct = [scene for scene, decision in zip(pool, decide(pool), strict=True) if decision == scene.species]
    verdicts = []
    for scene, decision in zip(scenes, decide(scenes), strict=True):
        verdicts.append(_verdict(decide, scene, decision, correct, cue, donors, threshold))
        step(1)
    return SceneCertificates(cue, threshold, tuple(verdicts))


def _verdict(
    decide: Decide, scene: Scene, decision: int, pool: list[Scene], cue: str, donors: int, threshold: float
) -> Verdict:
    """Exchange the cue with several donors, and everything but the cue."""
    # Each scene begins at another donor, so that no few donors decide for the whole world.
    turn = scene.index % max(1, len(pool))
    others = [donor for donor in pool[turn:] + pool[:turn] if donor.species != scene.species][:donors]
    if decision != scene.species:
        return Verdict(scene.index, "not known")
    if len(others) < min(donors, 4):
        return Verdict(scene.index, "few donors", len(others))
    moved = decide([with_cue(scene, donor, cue) for donor in others])
    control = decide([without_cue(scene, donor, cue) for donor in others])
    followed = [donor for donor, now in zip(others, moved, strict=True) if now == donor.species]
    stays = sum(now == scene.species for now in control)
    status = CERTIFIED
    if stays < threshold * len(others):
        status = "does not stay"
    if len(followed) < threshold * len(others):
        status = "does not follow"
    first = followed[0].index if followed else None
    return Verdict(scene.index, status, len(others), len(followed), stays, first)
