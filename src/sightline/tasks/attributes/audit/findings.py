"""`Finding`: one weakness of a network or of its data, with its evidence; and what a detector returns.

Plain records: they know neither tensors nor pages.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Subject = Literal["network", "data"]
Fact = str | int | float


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One weakness.

    Args:
        kind: the detector that found it.
        subject: whether it is a weakness of the network or of the data.
        where: the class, attribute, picture or pair that it is about.
        says: the weakness in one sentence.
        effect: how large it is.
        measure: what `effect` is, in words.
        low: lower end of the effect's 95 % interval.
        high: upper end.
        null: the effect of a network, or of data, without the weakness; it lies outside the interval.
        p: p-value of an exact test, where there is one.
        evidence: the numbers behind it.
        pictures: names of pictures that show it, the clearest first.
        id: identifier of the finding in its report, such as `background-0001`.
        command: what prints it again.
    """

    kind: str
    subject: Subject
    where: str
    says: str
    effect: float
    measure: str
    low: float
    high: float
    null: float
    p: float | None = None
    evidence: Mapping[str, Fact] = field(default_factory=dict)
    pictures: tuple[str, ...] = ()
    id: str = ""
    command: str = ""

    def record(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {key: _finite(value) for key, value in asdict(self).items()}


@dataclass(frozen=True)
class Weakness:
    """What all findings of one kind share.

    Args:
        kind: the detector.
        subject: whose weakness it is.
        measure: what the effects are, in words.
        null: the effect where there is no such weakness.
    """

    kind: str
    subject: Subject
    measure: str
    null: float = 0.0

    def finding(
        self,
        where: str,
        says: str,
        *,
        effect: float,
        ends: tuple[float, float],
        p: float | None = None,
        evidence: Mapping[str, Fact],
        pictures: tuple[str, ...] = (),
    ) -> Finding:
        """One finding.

        Args:
            where: the class, attribute, picture or pair.
            says: the weakness in one sentence.
            effect: how large it is.
            ends: lower and upper end of the effect's 95 % interval.
            p: p-value of an exact test, where there is one.
            evidence: the numbers behind it.
            pictures: names of pictures that show it, the clearest first.
        """
        low, high = ends
        return Finding(
            **vars(self),
            where=where,
            says=says,
            effect=effect,
            low=low,
            high=high,
            p=p,
            evidence=evidence,
            pictures=pictures,
        )


@dataclass(frozen=True)
class Verdict:
    """What one detector found, and what it looked at.

    Args:
        findings: the strongest first.
        tested: how many places were tested; 0 where it was skipped.
        rule: when something is reported, and how many tests at once are allowed for.
        skipped: why nothing was tested; empty otherwise.
        summary: numbers about everything that was tested.
        table: one record per place that was tested, where each is worth reading.
        says: what all of it comes to, in a sentence; empty where the findings say it.
    """

    findings: tuple[Finding, ...]
    tested: int
    rule: str
    skipped: str = ""
    summary: Mapping[str, Fact] = field(default_factory=dict)
    table: tuple[Mapping[str, Fact], ...] = ()
    says: str = ""


def skip(why: str) -> Verdict:
    """A detector that had nothing to look at."""
    return Verdict((), 0, "", why)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
