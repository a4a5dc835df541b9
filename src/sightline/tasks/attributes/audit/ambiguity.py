"""Attributes that classes neither have nor lack, and labels that were guessed."""

from __future__ import annotations

import torch

from sightline.common.statistics.intervals import wilson
from sightline.tasks.attributes.audit.findings import Finding, Verdict, Weakness, skip
from sightline.tasks.attributes.audit.observed import SURE, Observations
from sightline.tasks.attributes.audit.trials import LEVEL, strict

WEAKNESS = Weakness("ambiguous", "data", "share of classes that neither have nor lack it")
LOW, HIGH = 0.2, 0.8
LEAST = 5
RULE = (
    f"an attribute is reported with the classes of which surely between {LOW:g} and {HIGH:g} of the pictures have "
    f"it, at {LEVEL:.0%} over all classes and attributes together (Bonferroni)"
)


def ambiguous(observations: Observations) -> Verdict:
    """Attributes that some classes neither have nor lack."""
    labelled = observations.weights > 0
    cells = [(y, k) for y in range(len(observations.classes)) for k in range(len(observations.vocabulary))]
    counts = torch.stack([labelled[observations.labels == y].sum(0) for y in range(len(observations.classes))])
    present = torch.stack(
        [
            (labelled & (observations.targets >= SURE))[observations.labels == y].sum(0)
            for y in range(len(observations.classes))
        ]
    )
    judged = [(y, k) for y, k in cells if int(counts[y, k]) >= LEAST]
    if not judged:
        return skip(f"no class has {LEAST} pictures with a label of any attribute")
    unsure: dict[int, list[int]] = {}
    level = strict(len(judged))
    for y, k in judged:
        low, high = wilson(int(present[y, k]), int(counts[y, k]), confidence=level)
        if low > LOW and high < HIGH:
            unsure.setdefault(k, []).append(y)
    classes = {k: sum(1 for _, other in judged if other == k) for k in unsure}
    findings = [_finding(observations, k, unsure[k], classes[k]) for k in unsure]
    cells_found = sum(map(len, unsure.values()))
    raw = sum(LOW <= int(present[y, k]) / int(counts[y, k]) <= HIGH for y, k in judged)
    return Verdict(
        tuple(sorted(findings, key=lambda f: (-f.effect, f.where))),
        len(judged),
        RULE,
        summary={"ambiguous cells": cells_found, "before chance": raw, "cells": len(judged)},
    )


def _finding(observations: Observations, at: int, classes: list[int], judged: int) -> Finding:
    name = observations.vocabulary.names[at]
    answered = observations.weights[:, at] > 0
    guessed = int(((observations.weights[:, at] <= SURE) & answered).sum())
    shares = observations.prototypes[classes, at]
    return WEAKNESS.finding(
        name,
        f"{len(classes)} of {judged} classes neither have nor lack {name}",
        effect=len(classes) / judged,
        ends=wilson(len(classes), judged, confidence=strict()),
        evidence={
            "classes": ", ".join(observations.classes[y] for y in classes[:6]) + (" ..." if len(classes) > 6 else ""),
            "shares from": float(shares.min()),
            "shares to": float(shares.max()),
            "guessed": guessed,
            "unknown": int((~answered).sum()),
            "labels": len(observations),
        },
    )
