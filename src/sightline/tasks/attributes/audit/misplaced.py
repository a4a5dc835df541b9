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


def shortcut(seen: Observations, redrawn: Redrawn | None = None) -> Verdict:
    """Groups that are read off another part than their own."""
    placed = [g for g, group in enumerate(seen.vocabulary.groups) if group.part in seen.part_names]
    looked, tests = _by_peaks(seen, placed) if seen.part_attention is not None else ([], 0)
    moved, changes = _by_changes(seen, redrawn, placed) if redrawn is not None else ([], 0)
    if not tests + changes:
        return skip("the data has no part masks, or none of the parts that the attributes name")
    found = sorted([*looked, *moved], key=lambda f: -f.effect)
    summary = {"peaks on the own part": round(_diagonal(seen, placed), 4)} if tests else {}
    return Verdict(tuple(found), tests + changes, RULE, summary=summary)


def confusion(seen: Observations) -> Float[Tensor, "p q"]:
    """Row: the part that an attribute is about; column: the part that fills most of the cell of its map's peak.

    Rows sum to the share of peaks on the object; NaN where a part has no group or no peak.
    """
    parts = len(seen.part_names)
    table = torch.full((parts, parts), torch.nan)
    for p, name in enumerate(seen.part_names):
        rows = [_columns(seen, g) for g, group in enumerate(seen.vocabulary.groups) if group.part == name]
        known = torch.cat(rows) if rows else torch.zeros(0, parts)
        if len(known):
            table[p] = known.mean(0)
    return table


def _columns(seen: Observations, group: int) -> Float[Tensor, "n p"]:
    """One-hot part under the peak, where the part that is meant can be seen."""
    attention, own, _ = _seen(seen, group)
    hot = (
        torch.nn.functional.one_hot(attention.argmax(1), attention.shape[1]).float()
        * (attention.amax(1) > 0)[:, None]
    )
    mine = torch.zeros_like(hot)
    mine[:, seen.part_names.index(seen.vocabulary.groups[group].part)] = 1
    return torch.where(own[:, None], mine, hot)


def _seen(seen: Observations, group: int) -> tuple[Tensor, Bool[Tensor, " m"], Bool[Tensor, " n"]]:
    """Part shares under the peak where the part can be seen, whether it hits its own part, and which pictures."""
    if seen.part_attention is None:
        return torch.zeros(0, 0), torch.zeros(0, dtype=torch.bool), torch.zeros(0, dtype=torch.bool)
    part = seen.part_names.index(seen.vocabulary.groups[group].part)
    attention = seen.part_attention[:, group]
    rows = ~attention.isnan().any(1) & seen.known(seen.vocabulary.groups[group].members)
    if seen.part_areas is not None:
        rows &= seen.part_areas[:, part] > 0
    return attention[rows], attention[rows][:, part] > 0, rows


def _diagonal(seen: Observations, placed: list[int]) -> float:
    hits = [_seen(seen, g)[1].float() for g in placed]
    return float(torch.cat(hits).mean()) if hits else float("nan")


def _by_peaks(seen: Observations, placed: list[int]) -> tuple[list[Finding], int]:
    """Groups with more peaks on another part."""
    found: list[Finding] = []
    for g in placed:
        attention, own, rows = _seen(seen, g)
        for q in range(len(seen.part_names)) if len(own) >= LEAST else ():
            if seen.part_names[q] != seen.vocabulary.groups[g].part:
                there = (attention.argmax(1) == q) & (attention[:, q] > 0) & ~own
                areas = 0.0 if seen.part_areas is None else seen.part_areas[rows][:, q]
                found.append(_peak_finding(seen, g, q, there.float(), own.float(), areas))
    kept = discoveries([f.p or 0.0 for f in found])
    return [f for f, sure in zip(found, kept, strict=True) if sure and f.low > 0], len(found)


def _peak_finding(
    seen: Observations, group: int, part: int, there: Tensor, own: Tensor, areas: Tensor | float
) -> Finding:
    name, other = seen.vocabulary.groups[group].name, seen.part_names[part]
    beyond = float((there - areas).mean())
    more, fewer = int(there.sum()), int(own.sum())
    interval = trial(there - own).interval if more > fewer and beyond > 0 else None
    return PEAKS.finding(
        f"{name} on {other}",
        f"{name} is read off the {other} in {more / len(there):.1%} of pictures, off its own part in "
        f"{fewer / len(own):.1%}",
        effect=float((there - own).mean()),
        ends=(interval.low, interval.high) if interval else (float("-inf"), 0.0),
        p=sign_test(more, fewer),
        evidence={"on it": more, "on its own": fewer, "pictures": len(own), "beyond its area": beyond, "by": "peaks"},
    )


def _by_changes(seen: Observations, redrawn: Redrawn, placed: list[int]) -> tuple[list[Finding], int]:
    """Groups whose answer moves more with another group than with themselves."""
    groups, found = seen.vocabulary.groups, []
    pairs = [(h, g) for g in placed for h in placed if groups[h].part != groups[g].part]
    for h, g in pairs:
        own, other = redrawn.moves[:, g, g], redrawn.moves[:, h, g]
        both = own.isfinite() & other.isfinite()
        difference = (other - own)[both]
        if len(difference) < LEAST or float(difference.mean()) < SMALL:
            continue
        tried = trial(difference, len(pairs))
        if tried.above(0.0):
            said = f"the answer to {groups[g].name} moves more when {groups[h].name} is redrawn than when itself is"
            facts = {"by the other": float(other[both].mean()), "by its own": float(own[both].mean())}
            found.append(
                CHANGES.finding(
                    f"{groups[g].name} from {groups[h].name}",
                    said[0].upper() + said[1:],
                    effect=tried.interval.mean,
                    ends=(tried.interval.low, tried.interval.high),
                    evidence={**facts, "scenes": len(difference), "by": "redrawing"},
                )
            )
    return found, len(pairs)
