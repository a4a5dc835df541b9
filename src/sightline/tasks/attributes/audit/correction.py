"""Did a misread attribute cost the class? The fewest answers that have to be put right for the class to be right.

For joins with a path from attributes to classes. The head is linear, so every set of corrections is tried by adding
up what each does to the class scores; nothing is approximated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.tasks.attributes.audit.findings import Fact, Finding, Verdict, Weakness, skip
from sightline.tasks.attributes.audit.observed import Observations
from sightline.tasks.attributes.audit.trials import LEVEL, trial

WEAKNESS = Weakness(
    "misread", "network", "share of errors that this answer alone repairs, less the share that other answers repair"
)
MOST = 3
"""Larger sets of corrections are not searched: more than three wrong answers are not "a misread attribute"."""
DONORS = 8
RULE = (
    f"a group is reported where the share of errors that its answer alone repairs lies above what other wrong "
    f"answers repair, at {LEVEL:.0%} over all groups together (Bonferroni)"
)


@dataclass(frozen=True)
class Repair:
    """What puts one wrong picture right.

    Args:
        row: the picture.
        size: fewest corrections that restore the class; 0 where up to `MOST` do not.
        alone: groups each of which restores it alone.
        chance: for each misread group, the share of other answers to it that restore it too.
    """

    row: int
    size: int
    alone: tuple[int, ...]
    chance: dict[int, float]


def repairs(observations: Observations, head: Float[Tensor, "y k"]) -> list[Repair]:
    """The smallest correction of every wrong picture that has a class."""
    wrong = torch.nonzero((observations.labels >= 0) & (observations.decided != observations.labels))[:, 0].tolist()
    results = []
    for row in wrong:
        steps = dict(_corrections(observations, head, row))
        restored = [g for g, step in steps.items() if _right(observations, row, step)]
        chance = {g: _chance(observations, head, row, g) for g in steps}
        results.append(
            Repair(row, 1 if restored else _size(observations, row, list(steps.values())), tuple(restored), chance)
        )
    return results


def misread(observations: Observations) -> Verdict:
    """Groups whose wrong answer cost the class more often than chance."""
    if observations.head is None:
        return skip(
            f"the join {observations.join!r} has no path from attributes to classes, so no attribute can cost one"
        )
    corrected = repairs(observations, observations.head)
    if len(corrected) < 2:
        count = f"only {len(corrected)}" if corrected else "none"
        return skip(f"{count} of {len(observations)} pictures is classified wrongly")
    groups = sorted({g for one in corrected for g in one.chance})
    findings = [f for g in groups if (f := _finding(observations, corrected, g, len(groups))) is not None]
    sizes = Counter(one.size for one in corrected)
    counts: dict[str, Fact] = {f"errors repaired by {size}": sizes[size] for size in range(1, MOST + 1)}
    summary = {"errors": len(corrected), **counts, f"not repaired by {MOST}": sizes[0]}
    return Verdict(tuple(sorted(findings, key=lambda f: -f.effect)), len(groups), RULE, summary=summary)


def _finding(observations: Observations, corrected: list[Repair], group: int, tests: int) -> Finding | None:
    alone = torch.tensor([float(group in one.alone) for one in corrected])
    chance = torch.tensor([one.chance.get(group, 0.0) for one in corrected])
    excess = trial(alone - chance, tests)
    if not excess.above(0.0):
        return None
    name, share = observations.vocabulary.groups[group].name, float(alone.mean())
    return WEAKNESS.finding(
        name,
        f"Reading {name} right would have repaired {share:.1%} of the {len(corrected)} wrong classes",
        effect=excess.interval.mean,
        ends=(excess.interval.low, excess.interval.high),
        evidence={"repaired": int(alone.sum()), "errors": len(corrected), "by other answers": float(chance.mean())},
    )


def _corrections(observations: Observations, head: Tensor, row: int) -> Iterator[tuple[int, Tensor]]:
    """For every misread group what the true answer adds to the class scores."""
    for g, group in enumerate(observations.vocabulary.groups):
        at = list(group.members)
        if bool((observations.weights[row, at] > 0).any()) and _differs(observations, row, at, group.exclusive):
            labelled = observations.weights[row, at] > 0
            move = torch.where(labelled, observations.targets[row, at] - observations.probabilities[row, at], 0.0)
            yield g, head[:, at] @ move


def _differs(observations: Observations, row: int, at: list[int], exclusive: bool) -> bool:
    predicted, labels = observations.probabilities[row, at], observations.targets[row, at]
    if exclusive:
        return int(predicted.argmax()) != int(labels.argmax())
    return bool((((predicted >= 0.5) != (labels >= 0.5)) & (observations.weights[row, at] > 0)).any())


def _chance(observations: Observations, head: Tensor, row: int, group: int) -> float:
    """Share of other answers that restore the class: the other values of a choice, or other pictures' answers."""
    chosen = observations.vocabulary.groups[group]
    at = list(chosen.members)
    if chosen.exclusive:
        excluded = {int(observations.probabilities[row, at].argmax()), int(observations.targets[row, at].argmax())}
        others = torch.eye(len(at))[[i for i in range(len(at)) if i not in excluded]]
    else:
        differ = torch.nonzero((observations.targets[:, at] != observations.targets[row, at]).any(1))[:, 0]
        # seeded by the picture, so that a finding is the same in every run
        draw = torch.Generator().manual_seed(row)
        others = observations.targets[differ[torch.randperm(len(differ), generator=draw)[:DONORS]]][:, at]
    right = [
        _right(observations, row, head[:, at] @ (other - observations.probabilities[row, at])) for other in others
    ]
    return sum(right) / len(right) if right else 0.0


def _right(observations: Observations, row: int, step: Tensor) -> bool:
    return int((observations.class_logits[row] + step).argmax()) == int(observations.labels[row])


def _size(observations: Observations, row: int, steps: list[Tensor]) -> int:
    """Fewest corrections, two or more, that restore the class; 0 where none do."""
    for size in range(2, min(MOST, len(steps)) + 1):
        sets = list(combinations(range(len(steps)), size))
        scores = observations.class_logits[row] + torch.stack(steps)[torch.tensor(sets)].sum(1)
        if bool((scores.argmax(1) == observations.labels[row]).any()):
            return size
    return 0
