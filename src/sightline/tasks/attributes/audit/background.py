"""Does the decision rest on what lies behind the object? By exchanging backgrounds, and by where the class map lies.

An exchange is judged twice: it must change more decisions than the same kind of background with other details does,
and it must change them to the class that the new background came from more often than to any other class.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.tasks.attributes.audit.findings import Fact, Finding, Verdict, Weakness, skip
from sightline.tasks.attributes.audit.observed import Observations, Redrawn
from sightline.tasks.attributes.audit.trials import LEVEL, Trial, trial

EXCHANGE = Weakness(
    "background",
    "network",
    "share of decisions that an exchanged background changes, less that of one drawn again",
)
ATTENTION = Weakness(
    "background", "network", "share of the class map on the object, less that of the centred Gaussian"
)
LEAST = 8
RULE = (
    "the decision is reported where an exchanged background changes it more often than one of its own kind drawn "
    "again, and to the class it came from more often than to another (both 95 % intervals); a class's attention "
    "where its map has less on the object than a centred Gaussian as wide, and not more than other pictures' maps, "
    f"at {LEVEL:.0%} over all classes (Bonferroni)"
)


def background(observations: Observations, redrawn: Redrawn | None = None) -> Verdict:
    """Dependence of the decision on backgrounds, and classes whose maps lie there."""
    findings, tests = _attention(observations)
    summary: dict[str, Fact] = {}
    if redrawn is not None and int((redrawn.decided == redrawn.labels).sum()) >= LEAST:
        excess, towards, summary = exchanged(redrawn, len(observations.classes))
        tests += 2
        if excess.above(0.0) and towards.above(0.0):
            findings = [_decision(excess, summary), *findings]
    if not tests:
        return skip("the pictures have no mask of the object, and are no world whose backgrounds can be exchanged")
    return Verdict(tuple(findings), tests, RULE, summary=summary)


def exchanged(redrawn: Redrawn, classes: int) -> tuple[Trial, Trial, dict[str, Fact]]:
    """Excess of flips over their null, excess of flips towards the donor's class over theirs, and the numbers."""
    right = redrawn.decided == redrawn.labels
    decided = redrawn.decided[right, None]
    swapped, donors, repeated = (table[right] for table in (redrawn.swapped, redrawn.donors, redrawn.repeated))
    flips, null = (swapped != decided).float().mean(1), (repeated != decided).float().mean(1)
    follows = ((swapped == donors) & (donors != decided)).float().mean(1)
    # chance: flips to one class that is neither the decided one nor the donor's
    elsewhere = ((swapped != donors) & (swapped != decided)).float().mean(1) / max(1, classes - 2)
    excess, towards = trial(flips - null), trial(follows - elsewhere)
    numbers: dict[str, Fact] = {
        "scenes decided right": int(right.sum()),
        "flips by exchange": float(flips.mean()),
        "flips by drawing again": float(null.mean()),
        "background dependence": excess.interval.mean,
        "to the background's class": float(follows.mean()),
        "to any other class": float(elsewhere.mean()),
        "towards low": towards.interval.low,
        "towards high": towards.interval.high,
    }
    return excess, towards, numbers


def _decision(excess: Trial, numbers: dict[str, Fact]) -> Finding:
    return EXCHANGE.finding(
        "all classes",
        f"Exchanging the background changes {numbers['flips by exchange']:.1%} of right decisions; drawing the same "
        f"kind of background again changes {numbers['flips by drawing again']:.1%}",
        effect=excess.interval.mean,
        ends=(excess.interval.low, excess.interval.high),
        evidence=numbers,
    )


def _attention(observations: Observations) -> tuple[list[Finding], int]:
    """Classes whose map lies on the object less than a centre prior does, and no more than maps of other pictures.

    Where objects are in the middle, as on most photos, a centred Gaussian beats any map: there a map that follows its
    own picture's object is no finding.
    """
    if observations.energy is None or observations.prior is None:
        return [], 0
    measured = observations.energy.isfinite() & observations.prior.isfinite()
    parts = [(name, measured & (observations.decided == at)) for at, name in enumerate(observations.classes)]
    judged = [(name, rows) for name, rows in parts if int(rows.sum()) >= LEAST]
    findings = [f for name, rows in judged if (f := _class(observations, name, rows, len(judged))) is not None]
    return sorted(findings, key=lambda f: f.effect), len(judged)


def _class(observations: Observations, name: str, rows: Float[Tensor, " n"], tests: int) -> Finding | None:
    energy, prior = (
        torch.zeros(0) if part is None else part[rows] for part in (observations.energy, observations.prior)
    )
    difference = trial(energy - prior, tests)
    swapped = None if observations.swapped is None else observations.swapped[rows]
    if not difference.below(0.0) or (swapped is not None and trial(energy - swapped).interval.low > 0):
        return None
    return ATTENTION.finding(
        name,
        f"The maps of decisions for {name} have {float(energy.mean()):.1%} on the object, a centred Gaussian as wide "
        f"has {float(prior.mean()):.1%}",
        effect=difference.interval.mean,
        ends=(difference.interval.low, difference.interval.high),
        evidence={"on the object": float(energy.mean()), "Gaussian": float(prior.mean()), "pictures": len(energy)},
    )
