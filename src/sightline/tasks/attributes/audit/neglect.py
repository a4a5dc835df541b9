"""Which attributes tell the classes apart and yet hardly move the decision?

Compares what the labels say (how far a class's answers differ from the others') with what the network does
(contributions to the margin between the predicted class and the runner-up).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.common.statistics.bootstrap import ratio
from sightline.tasks.attributes.audit.findings import Finding, Verdict, Weakness, skip
from sightline.tasks.attributes.audit.observed import Observations
from sightline.tasks.attributes.audit.trials import LEVEL, trial

HALF = 0.5
"""Below this share of what it would contribute if the network used all groups as much as they tell."""
WEAKNESS = Weakness(
    "unused", "network", "contribution as a share of what its telling would give it; 1 is fair", null=1.0
)
RULE = (
    f"a group that tells classes apart better than the median group is reported where it contributes less than "
    f"{HALF:g} of its fair share, at {LEVEL:.0%} over all such groups together (Bonferroni)"
)


def telling(observations: Observations) -> Float[Tensor, " g"]:
    """D_g: mean over classes A of half the sum over the group's k of |T_Ak - mean of T_yk over the others|, 0..1."""
    prototypes = observations.prototypes[~observations.prototypes.isnan().all(1)]
    total, count = prototypes.nansum(0), (~prototypes.isnan()).sum(0)
    others = (total - prototypes.nan_to_num()) / (count - 1).clamp(min=1)
    gaps = (prototypes - others).abs()
    return torch.stack(
        [gaps[:, list(g.members)].sum(1).nanmean() / 2 for g in observations.vocabulary.groups]
    ).nan_to_num()


def unused(observations: Observations) -> Verdict:
    """Groups that tell much and contribute little."""
    if observations.contributions is None:
        return skip("what attributes contribute to the decision is not known: nothing leads from them to the class")
    tells = telling(observations)
    moves = torch.stack(
        [observations.contributions[:, list(g.members)].sum(1).abs() for g in observations.vocabulary.groups], dim=1
    )
    if len(tells) < 3 or not float(tells.sum()) or not float(moves.sum()):
        return skip("no group of attributes tells classes apart, or none contributes")
    judged = torch.nonzero(tells >= tells.median())[:, 0].tolist()
    judged = [g for g in judged if float(tells[g]) > 0]
    findings = [f for g in judged if (f := _finding(observations, tells, moves, g, len(judged))) is not None]
    return Verdict(tuple(sorted(findings, key=lambda f: f.effect)), len(judged), RULE)


def _finding(observations: Observations, tells: Tensor, moves: Tensor, group: int, tests: int) -> Finding | None:
    """A ratio of means is below a half where the mean of (part - half of its fair share of the whole) is below 0."""
    fair = tells[group] / tells.sum()
    own, whole = moves[:, group], moves.sum(1)
    if not trial(own - HALF * fair * whole, tests).below(0.0):
        return None
    name = observations.vocabulary.groups[group].name
    share = float(own.mean() / (fair * whole.mean()))
    interval = ratio(own, fair * whole, draws=1000)
    how = "is associated with" if observations.join == "parallel" else "contributes"
    return WEAKNESS.finding(
        name,
        f"{name} tells classes apart but {how} {share:.2f} of its fair share of the decision",
        effect=share,
        ends=(interval.low, interval.high),
        evidence={
            "telling": float(tells[group]),
            "median telling": float(tells.median()),
            "mean contribution": float(own.mean()),
            "share of all contributions": float(own.mean() / whole.mean()),
            "join": observations.join,
        },
    )
