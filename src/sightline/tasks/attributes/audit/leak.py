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


def usual(seen: Observations, group: int) -> tuple[Int[Tensor, " y"], Float[Tensor, " y"]]:
    """For every class its most frequent answer to a group and the share of pictures with it, 0 where unknown."""
    shares = seen.prototypes[:, list(seen.vocabulary.groups[group].members)].nan_to_num()
    return shares.argmax(1), shares.amax(1)


def class_read(seen: Observations, redrawn: Redrawn | None = None) -> Verdict:
    """Groups that the network concludes from the class."""
    count = len(seen.vocabulary.groups)
    made = [_redrawn(seen, redrawn, g) if redrawn else _labelled(seen, g) for g in range(count)]
    tested = [finding for finding in made if finding is not None]
    if not tested:
        return skip(f"no group differs from its class in {LEAST} pictures or more")
    kept = discoveries([f.p if f.p is not None else 1.0 for f in tested])
    found = [f for f, sure in zip(tested, kept, strict=True) if sure and f.low > 0]
    summary: dict[str, Fact] = {"decided by": "redrawing" if redrawn else "labels that differ from the class"}
    return Verdict(tuple(sorted(found, key=lambda f: -f.effect)), len(tested), RULE, summary=summary)


def _redrawn(seen: Observations, redrawn: Redrawn, group: int) -> Finding | None:
    rows = (redrawn.usual[:, group] >= USUAL) & redrawn.follows[:, group].isfinite()
    if int(rows.sum()) < LEAST:
        return None
    stays, follows = redrawn.stays[rows, group], redrawn.follows[rows, group]
    return _finding(seen, group, stays, follows, "redrawing", "another value is drawn")


def _labelled(seen: Observations, group: int) -> Finding | None:
    members = seen.vocabulary.groups[group].members
    if len(members) < 2:
        return None
    value, share = usual(seen, group)
    true, said, labels = seen.answers(members), seen.said(members), seen.labels.clamp(min=0)
    rows = (seen.labels >= 0) & (true >= 0) & (share[labels] >= USUAL) & (value[labels] != true)
    if int(rows.sum()) < LEAST:
        return None
    typical = (said == value[labels])[rows].float()
    return _finding(seen, group, typical, (said == true)[rows].float(), "labels", "the label differs from the class")


def _finding(seen: Observations, group: int, stays: Tensor, follows: Tensor, by: str, when: str) -> Finding:
    name = seen.vocabulary.groups[group].name
    more, fewer = int(stays.sum()), int(follows.sum())
    tried = trial(stays - follows).interval
    doubt = "" if by == "redrawing" else ", or those labels are wrong"
    evidence: dict[str, Fact] = {"follows the class": more, "follows the picture": fewer, "pictures": len(stays)}
    evidence |= {"by": by, **_accuracies(seen, group)}
    return WEAKNESS.finding(
        name,
        f"Where {when}, the network says of {name} what the class has in {more} of {len(stays)} pictures and what is "
        f"there in {fewer}: it concludes it from the class{doubt}",
        effect=tried.mean,
        ends=(tried.low, tried.high),
        p=sign_test(more, fewer),
        evidence=evidence,
    )


def _accuracies(seen: Observations, group: int) -> dict[str, Fact]:
    """Of the network, and of the oracle that knows the true class and no picture."""
    members = seen.vocabulary.groups[group].members
    value, _ = usual(seen, group)
    true = seen.answers(members)
    rows = (true >= 0) & (seen.labels >= 0)
    network = (seen.said(members) == true)[rows].float().mean()
    oracle = (value[seen.labels.clamp(min=0)] == true)[rows].float().mean()
    return {"accuracy": float(network), "accuracy of the class alone": float(oracle)}
