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


def repairs(seen: Observations, head: Float[Tensor, "y k"]) -> list[Repair]:
    """The smallest correction of every wrong picture that has a class."""
    wrong = torch.nonzero((seen.labels >= 0) & (seen.decided != seen.labels))[:, 0].tolist()
    found = []
    for row in wrong:
        steps = dict(_corrections(seen, head, row))
        restored = [g for g, step in steps.items() if _right(seen, row, step)]
        chance = {g: _chance(seen, head, row, g) for g in steps}
        found.append(Repair(row, 1 if restored else _size(seen, row, list(steps.values())), tuple(restored), chance))
    return found


def misread(seen: Observations) -> Verdict:
    """Groups whose wrong answer cost the class more often than chance."""
    if seen.head is None:
        return skip(f"the join {seen.join!r} has no path from attributes to classes, so no attribute can cost one")
    made = repairs(seen, seen.head)
    if len(made) < 2:
        return skip(f"only {len(made)} of {len(seen)} pictures are classified wrongly")
    groups = sorted({g for one in made for g in one.chance})
    findings = [f for g in groups if (f := _finding(seen, made, g, len(groups))) is not None]
    sizes = Counter(one.size for one in made)
    counts: dict[str, Fact] = {f"errors repaired by {size}": sizes[size] for size in range(1, MOST + 1)}
    summary = {"errors": len(made), **counts, f"not repaired by {MOST}": sizes[0]}
    return Verdict(tuple(sorted(findings, key=lambda f: -f.effect)), len(groups), RULE, summary=summary)


def _finding(seen: Observations, made: list[Repair], group: int, tests: int) -> Finding | None:
    alone = torch.tensor([float(group in one.alone) for one in made])
    chance = torch.tensor([one.chance.get(group, 0.0) for one in made])
    tried = trial(alone - chance, tests)
    if not tried.above(0.0):
        return None
    name, share = seen.vocabulary.groups[group].name, float(alone.mean())
    return WEAKNESS.finding(
        name,
        f"Reading {name} right would have repaired {share:.1%} of the {len(made)} wrong classes",
        effect=tried.interval.mean,
        ends=(tried.interval.low, tried.interval.high),
        evidence={"repaired": int(alone.sum()), "errors": len(made), "by other answers": float(chance.mean())},
    )


def _corrections(seen: Observations, head: Tensor, row: int) -> Iterator[tuple[int, Tensor]]:
    """For every misread group what the true answer adds to the class scores."""
    for g, group in enumerate(seen.vocabulary.groups):
        at = list(group.members)
        if bool((seen.weights[row, at] > 0).any()) and _differs(seen, row, at, group.exclusive):
            known = seen.weights[row, at] > 0
            move = torch.where(known, seen.targets[row, at] - seen.probabilities[row, at], 0.0)
            yield g, head[:, at] @ move


def _differs(seen: Observations, row: int, at: list[int], exclusive: bool) -> bool:
    said, true = seen.probabilities[row, at], seen.targets[row, at]
    if exclusive:
        return int(said.argmax()) != int(true.argmax())
    return bool((((said >= 0.5) != (true >= 0.5)) & (seen.weights[row, at] > 0)).any())


def _chance(seen: Observations, head: Tensor, row: int, group: int) -> float:
    """Share of other answers that restore the class: the other values of a choice, or other pictures' answers."""
    chosen = seen.vocabulary.groups[group]
    at = list(chosen.members)
    if chosen.exclusive:
        taken = {int(seen.probabilities[row, at].argmax()), int(seen.targets[row, at].argmax())}
        others = torch.eye(len(at))[[i for i in range(len(at)) if i not in taken]]
    else:
        differ = torch.nonzero((seen.targets[:, at] != seen.targets[row, at]).any(1))[:, 0]
        draw = torch.Generator().manual_seed(row)
        others = seen.targets[differ[torch.randperm(len(differ), generator=draw)[:DONORS]]][:, at]
    right = [_right(seen, row, head[:, at] @ (other - seen.probabilities[row, at])) for other in others]
    return sum(right) / len(right) if right else 0.0


def _right(seen: Observations, row: int, step: Tensor) -> bool:
    return int((seen.class_logits[row] + step).argmax()) == int(seen.labels[row])


def _size(seen: Observations, row: int, steps: list[Tensor]) -> int:
    """Fewest corrections, two or more, that restore the class; 0 where none do."""
    for size in range(2, min(MOST, len(steps)) + 1):
        sets = list(combinations(range(len(steps)), size))
        scores = seen.class_logits[row] + torch.stack(steps)[torch.tensor(sets)].sum(1)
        if bool((scores.argmax(1) == seen.labels[row]).any()):
            return size
    return 0
