"""Pairs of classes that the attributes hardly tell apart: no text can separate them.

Counts, for every pair, the groups to which most pictures of the two classes answer differently, with what chance
could have hidden.
"""

from __future__ import annotations

from itertools import combinations

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.tasks.attributes.audit.findings import Fact, Finding, Verdict, Weakness, skip
from sightline.tasks.attributes.audit.observed import Observations
from sightline.tasks.attributes.audit.trials import LEVEL

NEAR = 1
"""Pairs that differ in so few groups, at most, are reported."""
APART = 0.5
LEAST = 5
DRAWS = 1000
WEAKNESS = Weakness("inseparable", "data", "groups in which half of the pictures or more differ", null=NEAR + 1.0)
RULE = (
    f"a pair is reported where its classes differ in at most {NEAR} group (half of the pictures or more answer "
    f"otherwise), chance included: groups that may differ at {LEVEL:.0%} over all groups of the pair are counted as "
    "differing"
)


def apart(
    observations: Observations, shares: Float[Tensor, "*y k"], other: Float[Tensor, "*y k"]
) -> Float[Tensor, "*y g"]:
    """For every group half the sum of absolute differences of the answers' shares; NaN where unknown."""
    gaps = (shares - other).abs() / 2
    parts = []
    for group in observations.vocabulary.groups:
        own = gaps[..., list(group.members)]
        parts.append(own.sum(-1) if group.exclusive else 2 * own.amax(-1))
    return torch.stack(parts, dim=-1)


def inseparable(observations: Observations) -> Verdict:
    """Pairs of classes with nearly the same attributes."""
    counts = torch.bincount(observations.labels[observations.labels >= 0], minlength=len(observations.classes))
    classes = [at for at, count in enumerate(counts.tolist()) if count >= LEAST]
    pairs = list(combinations(classes, 2))
    if not pairs:
        return skip(f"fewer than two classes have {LEAST} pictures or more")
    gaps = {
        pair: apart(observations, observations.prototypes[pair[0]], observations.prototypes[pair[1]])
        for pair in pairs
    }
    close = [pair for pair in pairs if int((gaps[pair] >= APART).sum()) <= NEAR]
    draws = {at: _resampled(observations, at) for at in {at for pair in close for at in pair}}
    candidates = [_finding(observations, pair, gaps[pair], draws) for pair in close]
    findings = sorted((f for f in candidates if f.high <= NEAR), key=lambda f: (f.effect, f.where))
    return Verdict(tuple(findings), len(pairs), RULE, summary={"pairs as near before chance": len(close)})


def _resampled(observations: Observations, label: int) -> Float[Tensor, "d k"]:
    """Prototypes of a class whose pictures were drawn again."""
    rows = torch.nonzero(observations.labels == label)[:, 0]
    generator = torch.Generator().manual_seed(label)
    picks = torch.randint(len(rows), (DRAWS, len(rows)), generator=generator)
    times = torch.zeros(DRAWS, len(rows)).scatter_add_(1, picks, torch.ones(picks.shape))
    weights = observations.weights[rows]
    return (times @ (observations.targets[rows] * weights)) / (times @ weights)


def _finding(observations: Observations, pair: tuple[int, int], gaps: Tensor, draws: dict[int, Tensor]) -> Finding:
    spread = apart(observations, draws[pair[0]], draws[pair[1]]).nan_to_num().double()
    comparable = ~gaps.isnan()
    # Bonferroni over the groups that both classes have labels of
    wide = [_count(spread, comparable, LEVEL / int(comparable.sum()), end) for end in (0, 1)]
    plain = [_count(spread, comparable, LEVEL, end) for end in (0, 1)]
    names = [observations.classes[at] for at in pair]
    differ = [observations.vocabulary.groups[g].name for g in torch.nonzero(gaps >= APART)[:, 0].tolist()]
    which = f"only in {', '.join(differ)}" if differ else "in no group"
    return WEAKNESS.finding(
        f"{names[0]} / {names[1]}",
        f"{names[0]} and {names[1]} differ {which} of {int(comparable.sum())}",
        effect=float(len(differ)),
        ends=(float(plain[0]), float(max(plain[1], wide[1]))),
        evidence={"groups that differ": ", ".join(differ) or "none", **_confused(observations, pair)},
    )


def _count(spread: Tensor, comparable: Tensor, level: float, end: int) -> int:
    """Groups that differ when every gap is taken at one end of its interval."""
    at = level / 2 if end == 0 else 1 - level / 2
    return int((torch.quantile(spread, at, dim=0)[comparable] >= APART).sum())


def _confused(observations: Observations, pair: tuple[int, int]) -> dict[str, Fact]:
    """How often the network takes one for the other."""
    one, other = pair
    rows = (observations.labels == one) | (observations.labels == other)
    swapped = torch.where(observations.labels == one, other, one)
    return {"pictures": int(rows.sum()), "taken for the other": int((observations.decided == swapped)[rows].sum())}
