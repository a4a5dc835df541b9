"""Questions with nearly always the same answer: they explain nothing."""

from __future__ import annotations

import torch

from sightline.common.statistics.intervals import wilson
from sightline.tasks.attributes.audit.findings import Verdict, Weakness, skip
from sightline.tasks.attributes.audit.observed import Observations
from sightline.tasks.attributes.audit.trials import LEVEL, strict

MOST = 0.95
LEAST = 20
WEAKNESS = Weakness("constant", "data", "share of the most frequent answer", null=MOST)
RULE = (
    f"a group is reported where surely more than {MOST:g} of its answers are the same one, "
    f"at {LEVEL:.0%} over all groups together (Bonferroni)"
)


def entropy(counts: list[int]) -> float:
    """Bits of an answer's distribution.

    Example:
        >>> entropy([2, 2]), entropy([5, 0])
        (1.0, 0.0)
    """
    from scipy import stats

    return float(stats.entropy(counts, base=2))


def constant(observations: Observations) -> Verdict:
    """Groups with one answer."""
    groups = [
        (group.name, group.members, answers(observations, group.members)) for group in observations.vocabulary.groups
    ]
    judged = [(name, members, counts) for name, members, counts in groups if sum(counts) >= LEAST]
    if not judged:
        return skip(f"no group of attributes has {LEAST} labels")
    findings = []
    for name, members, counts in judged:
        top, total = max(counts), sum(counts)
        if wilson(top, total, confidence=strict(len(judged)))[0] <= MOST:
            continue
        at = counts.index(top)
        value = observations.vocabulary.attributes[members[at]].value if at < len(members) else "absent"
        findings.append(
            WEAKNESS.finding(
                name,
                f"{top / total:.1%} of the answers to {name} are {value!r} ({entropy(counts):.2f} bit)",
                effect=top / total,
                ends=wilson(top, total, confidence=strict()),
                evidence={"bits": entropy(counts), "answers": total, "value": value},
            )
        )
    return Verdict(tuple(sorted(findings, key=lambda f: (-f.effect, f.where))), len(judged), RULE)


def answers(observations: Observations, members: tuple[int, ...]) -> list[int]:
    """How often each answer was given; the last count is of pictures of which none of them is true."""
    labels = observations.answers(members)[observations.labelled(members)]
    return torch.bincount(torch.where(labels < 0, len(members), labels), minlength=len(members) + 1).tolist()
