"""Is an attribute seen, or only concluded from the class? Pictures that differ from their class decide.

In worlds the attribute is drawn anew and the network asked again; elsewhere the pictures whose label differs from
what their class usually has are looked at.
"""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor

from sightline.common.statistics.significance import discoveries, sign_test
from sightline.tasks.attributes.audit.findings import Fact, Finding, Verdict, Weakness, skip
from sightline.tasks.attributes.audit.observed import Observations, Redrawn
from sightline.tasks.attributes.audit.trials import LEVEL, trial

WEAKNESS = Weakness("class-read", "network", "share that follows the class less the share that follows the picture")
USUAL = 0.5
LEAST = 8
RULE = (
    "a group is reported where, in pictures that differ from what most of their class has, the network says what the "
    f"class has more often than what is there (exact sign test, {LEVEL:.0%} false discovery rate over all groups)"
)


def usual(observations: Observations, group: int) -> tuple[Int[Tensor, " y"], Float[Tensor, " y"]]:
    """For every class its most frequent answer to a group and the share of pictures with it, 0 where unknown."""
    shares = observations.prototypes[:, list(observations.vocabulary.groups[group].members)].nan_to_num()
    return shares.argmax(1), shares.amax(1)


def class_read(observations: Observations, redrawn: Redrawn | None = None) -> Verdict:
    """Groups that the network concludes from the class."""
    count = len(observations.vocabulary.groups)
    candidates = [_redrawn(observations, redrawn, g) if redrawn else _labelled(observations, g) for g in range(count)]
    tested = [finding for finding in candidates if finding is not None]
    if not tested:
        return skip(f"no group differs from its class in {LEAST} pictures or more")
    significant = discoveries([f.p if f.p is not None else 1.0 for f in tested])
    findings = [f for f, sure in zip(tested, significant, strict=True) if sure and f.low > 0]
    summary: dict[str, Fact] = {"decided by": "redrawing" if redrawn else "labels that differ from the class"}
    return Verdict(tuple(sorted(findings, key=lambda f: -f.effect)), len(tested), RULE, summary=summary)


def _redrawn(observations: Observations, redrawn: Redrawn, group: int) -> Finding | None:
    rows = (redrawn.usual[:, group] >= USUAL) & redrawn.follows[:, group].isfinite()
    if int(rows.sum()) < LEAST:
        return None
    stays, follows = redrawn.stays[rows, group], redrawn.follows[rows, group]
    return _finding(observations, group, stays, follows, "redrawing", "another value is drawn")


def _labelled(observations: Observations, group: int) -> Finding | None:
    members = observations.vocabulary.groups[group].members
    if len(members) < 2:
        return None
    value, share = usual(observations, group)
    true, predicted, labels = (
        observations.answers(members),
        observations.predictions(members),
        observations.labels.clamp(min=0),
    )
    rows = (observations.labels >= 0) & (true >= 0) & (share[labels] >= USUAL) & (value[labels] != true)
    if int(rows.sum()) < LEAST:
        return None
    typical = (predicted == value[labels])[rows].float()
    return _finding(
        observations, group, typical, (predicted == true)[rows].float(), "labels", "the label differs from the class"
    )


def _finding(observations: Observations, group: int, stays: Tensor, follows: Tensor, by: str, when: str) -> Finding:
    name = observations.vocabulary.groups[group].name
    more, fewer = int(stays.sum()), int(follows.sum())
    interval = trial(stays - follows).interval
    doubt = "" if by == "redrawing" else ", or those labels are wrong"
    evidence: dict[str, Fact] = {"follows the class": more, "follows the picture": fewer, "pictures": len(stays)}
    evidence |= {"by": by, **_accuracies(observations, group)}
    return WEAKNESS.finding(
        name,
        f"Where {when}, the network says of {name} what the class has in {more} of {len(stays)} pictures and what is "
        f"there in {fewer}: it concludes it from the class{doubt}",
        effect=interval.mean,
        ends=(interval.low, interval.high),
        p=sign_test(more, fewer),
        evidence=evidence,
    )


def _accuracies(observations: Observations, group: int) -> dict[str, Fact]:
    """Of the network, and of the oracle that knows the true class and no picture."""
    members = observations.vocabulary.groups[group].members
    value, _ = usual(observations, group)
    true = observations.answers(members)
    rows = (true >= 0) & (observations.labels >= 0)
    network = (observations.predictions(members) == true)[rows].float().mean()
    oracle = (value[observations.labels.clamp(min=0)] == true)[rows].float().mean()
    return {"accuracy": float(network), "accuracy of the class alone": float(oracle)}
