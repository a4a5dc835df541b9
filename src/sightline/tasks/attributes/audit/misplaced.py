"""Is an attribute read off another part? Where its map peaks, and - in worlds - which part's change moves it.

A peak counts as on a part where its cell holds any of the part, so a part smaller than a cell is not missed for the
grid's sake.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sightline.common.statistics.significance import discoveries, sign_test
from sightline.tasks.attributes.audit.findings import Finding, Verdict, Weakness, skip
from sightline.tasks.attributes.audit.observed import Observations, Redrawn
from sightline.tasks.attributes.audit.trials import LEVEL, trial
from sightline.tasks.attributes.data.places import OBJECT
from sightline.tasks.attributes.metrics.pointing import own_points

PEAKS = Weakness("shortcut", "network", "share of peaks on the other part less the share on its own")
CHANGES = Weakness(
    "shortcut", "network", "movement of the answer with the other group less with its own, in probability"
)
LEAST = 8
SMALL = 0.05
"""Smaller differences of probability are not reported."""
RULE = (
    "a group is reported where its map peaks on another part more often than on its own (exact sign test), and than "
    f"that part's share of the object explains, or where another group's change moves its answer at least {SMALL:g} "
    f"more than its own; {LEVEL:.0%} false discovery rate for peaks, {LEVEL:.0%} over all pairs together for changes"
)


def shortcut(observations: Observations, redrawn: Redrawn | None = None) -> Verdict:
    """Groups that are read off another part than their own."""
    groups = [g for g, own in enumerate(own_points(observations.vocabulary, observations.part_names)) if own]
    by_peaks, tests = _by_peaks(observations, groups) if observations.part_attention is not None else ([], 0)
    by_changes, changes = _by_changes(observations, redrawn, groups) if redrawn is not None else ([], 0)
    if not tests + changes:
        return skip("the data has no part masks, or none of the parts that the attributes name")
    findings = sorted([*by_peaks, *by_changes], key=lambda f: -f.effect)
    summary = {"peaks on the own part": round(_diagonal(observations, groups), 4)} if tests else {}
    return Verdict(tuple(findings), tests + changes, RULE, summary=summary)


def confusion(observations: Observations) -> Float[Tensor, "p q"]:
    """Row: the part that an attribute is about; column: the part that fills most of the cell of its map's peak.

    Rows sum to the share of peaks on the object; NaN where a part has no group or no peak.
    """
    parts = len(observations.part_names)
    table = torch.full((parts, parts), torch.nan)
    for p, name in enumerate(observations.part_names):
        rows = [
            _columns(observations, g) for g, group in enumerate(observations.vocabulary.groups) if group.part == name
        ]
        peaks = torch.cat(rows) if rows else torch.zeros(0, parts)
        if len(peaks):
            table[p] = peaks.mean(0)
    return table


def _columns(observations: Observations, group: int) -> Float[Tensor, "n p"]:
    """One-hot part under the peak, where the part that is meant can be seen."""
    attention, own, _ = _peaks(observations, group)
    hot = (
        torch.nn.functional.one_hot(attention.argmax(1), attention.shape[1]).float()
        * (attention.amax(1) > 0)[:, None]
    )
    mine = torch.zeros_like(hot)
    mine[:, _own(observations, group)[0]] = 1
    return torch.where(own[:, None], mine, hot)


def _peaks(observations: Observations, group: int) -> tuple[Tensor, Bool[Tensor, " m"], Bool[Tensor, " n"]]:
    """Part shares under the peak where the part can be seen, whether it hits its own part, and which pictures."""
    if observations.part_attention is None:
        return torch.zeros(0, 0), torch.zeros(0, dtype=torch.bool), torch.zeros(0, dtype=torch.bool)
    own = _own(observations, group)
    attention = observations.part_attention[:, group]
    rows = ~attention.isnan().any(1) & observations.labelled(observations.vocabulary.groups[group].members)
    if observations.part_areas is not None:
        rows &= observations.part_areas[:, own].sum(1) > 0
    return attention[rows], (attention[rows][:, own] > 0).any(1), rows


def _own(observations: Observations, group: int) -> list[int]:
    """The parts on which a group can be read, such as both wings."""
    return list(own_points(observations.vocabulary, observations.part_names)[group])


def _diagonal(observations: Observations, groups: list[int]) -> float:
    hits = [_peaks(observations, g)[1].float() for g in groups]
    return float(torch.cat(hits).mean()) if hits else float("nan")


def _by_peaks(observations: Observations, groups: list[int]) -> tuple[list[Finding], int]:
    """Groups with more peaks on another part."""
    findings: list[Finding] = []
    for g in groups:
        attention, own, rows = _peaks(observations, g)
        mine = _own(observations, g)
        for q, name in enumerate(observations.part_names) if len(own) >= LEAST else ():
            # what belongs to the object and to no part is nothing to read off
            if q not in mine and name != OBJECT:
                elsewhere = (attention.argmax(1) == q) & (attention[:, q] > 0) & ~own
                areas = 0.0 if observations.part_areas is None else observations.part_areas[rows][:, q]
                findings.append(_peak_finding(observations, g, q, elsewhere.float(), own.float(), areas))
    significant = discoveries([f.p or 0.0 for f in findings])
    return [f for f, sure in zip(findings, significant, strict=True) if sure and f.low > 0], len(findings)


def _peak_finding(
    observations: Observations, group: int, part: int, elsewhere: Tensor, own: Tensor, areas: Tensor | float
) -> Finding:
    name, other = observations.vocabulary.groups[group].name, observations.part_names[part]
    beyond = float((elsewhere - areas).mean())
    more, fewer = int(elsewhere.sum()), int(own.sum())
    rest = 1 - (more + fewer) / len(own)
    interval = trial(elsewhere - own).interval if more > fewer and beyond > 0 else None
    return PEAKS.finding(
        f"{name} on {other}",
        f"{name} is read off the {other} in {more / len(elsewhere):.1%} of pictures, off its own part in "
        f"{fewer / len(own):.1%}, elsewhere in the other {rest:.1%}",
        effect=float((elsewhere - own).mean()),
        ends=(interval.low, interval.high) if interval else (float("-inf"), 0.0),
        p=sign_test(more, fewer),
        evidence={"on it": more, "on its own": fewer, "pictures": len(own), "beyond its area": beyond, "by": "peaks"},
    )


def _by_changes(observations: Observations, redrawn: Redrawn, with_parts: list[int]) -> tuple[list[Finding], int]:
    """Groups whose answer moves more with another group than with themselves."""
    groups, findings = observations.vocabulary.groups, []
    pairs = [(h, g) for g in with_parts for h in with_parts if groups[h].part != groups[g].part]
    for h, g in pairs:
        own, other = redrawn.moves[:, g, g], redrawn.moves[:, h, g]
        both = own.isfinite() & other.isfinite()
        difference = (other - own)[both]
        if len(difference) < LEAST or float(difference.mean()) < SMALL:
            continue
        excess = trial(difference, len(pairs))
        if excess.above(0.0):
            sentence = (
                f"the answer to {groups[g].name} moves more when {groups[h].name} is redrawn than when itself is"
            )
            facts = {"by the other": float(other[both].mean()), "by its own": float(own[both].mean())}
            findings.append(
                CHANGES.finding(
                    f"{groups[g].name} from {groups[h].name}",
                    sentence[0].upper() + sentence[1:],
                    effect=excess.interval.mean,
                    ends=(excess.interval.low, excess.interval.high),
                    evidence={**facts, "scenes": len(difference), "by": "redrawing"},
                )
            )
    return findings, len(pairs)
