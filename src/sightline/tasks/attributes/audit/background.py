"""Does the decision rest on what lies behind the object? By exchanging backgrounds, and by where the class map lies.

An exchange is judged twice: it must change more decisions than the same kind of background with other details does,
and it must change them to the class that the new background came from more often than to any other class.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
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
    "background", "network", "share of the class map on the object, less that of the mean map of all other pictures"
)
ON, MEAN, AREA = "on the object", "mean map of all other pictures", "object's area"
MAPS = f"class maps: {AREA}"
LEAST = 8
SHOWN = 6
"""Pictures of a class that are shown: those whose maps lie least on the object, less the control."""
RULE = (
    "the decision is reported where an exchanged background changes it more often than one of its own kind drawn "
    "again, and to the class it came from more often than to another (both 95 % intervals); a class's attention "
    "where its maps have less on the object than the mean map of all other pictures has there, which is centred as "
    f"the pictures are, at {LEVEL:.0%} over all classes (Bonferroni)"
)


def background(observations: Observations, redrawn: Redrawn | None = None) -> Verdict:
    """Dependence of the decision on backgrounds, and classes whose maps lie there."""
    findings, tests = _attention(observations)
    summary = _overall(observations)
    if redrawn is not None and int((redrawn.decided == redrawn.labels).sum()) >= LEAST:
        excess, towards, numbers = exchanged(redrawn, len(observations.classes))
        summary |= numbers
        tests += 2
        if excess.above(0.0) and towards.above(0.0):
            findings = [_decision(excess, numbers), *findings]
    if not tests:
        return skip("the pictures have no mask of the object, and are no world whose backgrounds can be exchanged")
    return Verdict(tuple(findings), tests, RULE, summary=summary, says=_says(summary))


def _says(summary: dict[str, Fact]) -> str:
    """Where class maps lie, beside what lies there anyway."""
    if MAPS not in summary:
        return ""
    own, mean, area = (float(summary[f"class maps: {name}"]) for name in (ON, MEAN, AREA))
    return (
        f"Class maps have {own:.1%} on the object, the mean map of all other pictures has {mean:.1%} there, and the "
        f"object covers {area:.1%}."
    )


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
    """Classes whose maps lie on the object less than the mean map of all other pictures does.

    A centred Gaussian is no control here: where objects are in the middle, as on most photos, it beats any map.
    """
    if observations.energy is None or observations.mean_map is None:
        return [], 0
    measured = observations.energy.isfinite() & observations.mean_map.isfinite()
    parts = [(name, measured & (observations.decided == at)) for at, name in enumerate(observations.classes)]
    judged = [(name, rows) for name, rows in parts if int(rows.sum()) >= LEAST]
    findings = [f for name, rows in judged if (f := _class(observations, name, rows, len(judged))) is not None]
    return sorted(findings, key=lambda f: f.effect), len(judged)


def _class(observations: Observations, name: str, rows: Bool[Tensor, " n"], tests: int) -> Finding | None:
    shares = _shares(observations, rows)
    energy, mean = shares[ON], shares[MEAN]
    difference = trial(energy - mean, tests)
    if not difference.below(0.0):
        return None
    worst = torch.nonzero(rows)[:, 0][(energy - mean).argsort()][:SHOWN].tolist()
    return ATTENTION.finding(
        name,
        f"The maps of decisions for {name} have {float(energy.mean()):.1%} on the object; the mean map of all other "
        f"pictures has {float(mean.mean()):.1%} there",
        effect=difference.interval.mean,
        ends=(difference.interval.low, difference.interval.high),
        evidence={**{key: float(share.nanmean()) for key, share in shares.items()}, "pictures": len(energy)},
        pictures=tuple(observations.names[row] for row in worst),
    )


def _shares(observations: Observations, rows: Bool[Tensor, " n"]) -> dict[str, Float[Tensor, " m"]]:
    """What the class maps of some pictures have on the object, and what its controls have there."""
    tables = {
        ON: observations.energy,
        MEAN: observations.mean_map,
        AREA: observations.area,
        "centred Gaussian as wide": observations.prior,
    }
    return {name: table[rows] for name, table in tables.items() if table is not None}


def _overall(observations: Observations) -> dict[str, Fact]:
    """The same over all pictures: no share of a map stands without its controls."""
    if observations.energy is None or observations.mean_map is None:
        return {}
    rows = observations.energy.isfinite() & observations.mean_map.isfinite()
    if not bool(rows.any()):
        return {}
    shares = _shares(observations, rows)
    gain = trial(shares[ON] - shares[MEAN]).interval
    return {
        **{f"class maps: {name}": float(share.nanmean()) for name, share in shares.items()},
        "class maps: more than the mean map": f"{gain.mean:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]",
    }
