"""All detectors over one set of observations; findings get their ids and the command that prints them again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sightline.errors import InputError, near
from sightline.tasks.attributes.audit.ambiguity import ambiguous
from sightline.tasks.attributes.audit.background import background
from sightline.tasks.attributes.audit.constancy import constant
from sightline.tasks.attributes.audit.correction import misread
from sightline.tasks.attributes.audit.findings import Finding, Subject, Verdict, skip
from sightline.tasks.attributes.audit.leak import class_read
from sightline.tasks.attributes.audit.likeness import inseparable
from sightline.tasks.attributes.audit.mislabelled import class_noise
from sightline.tasks.attributes.audit.misplaced import shortcut
from sightline.tasks.attributes.audit.neglect import unused
from sightline.tasks.attributes.audit.noise import label_noise
from sightline.tasks.attributes.audit.observed import Observations, Redrawn
from sightline.tasks.attributes.audit.unread import unread

Kind = Literal[
    "unread", "misread", "unused", "shortcut", "class-read", "background", "class-noise", "label-noise", "ambiguous",
    "inseparable", "constant",
]  # fmt: skip


@dataclass(frozen=True)
class Detector:
    """One way to find a weakness.

    Args:
        subject: whose weakness it is.
        question: what it answers.
        look: observations, and redrawn scenes where there are any, to a verdict.
    """

    subject: Subject
    question: str
    look: Callable[[Observations, Redrawn | None], Verdict]


DETECTORS: Mapping[str, Detector] = {
    "unread": Detector(
        "network", "Which attribute heads read nothing?", lambda observations, _: unread(observations)
    ),
    "misread": Detector(
        "network", "Which misread attribute cost the class?", lambda observations, _: misread(observations)
    ),
    "unused": Detector(
        "network", "Which telling attribute does it hardly use?", lambda observations, _: unused(observations)
    ),
    "shortcut": Detector("network", "Which attribute does it read off another part?", shortcut),
    "class-read": Detector("network", "Which attribute does it conclude from the class?", class_read),
    "background": Detector("network", "Does it decide by the background?", background),
    "class-noise": Detector(
        "data", "Which class labels are probably wrong?", lambda observations, _: class_noise(observations)
    ),
    "label-noise": Detector(
        "data", "Which labels of attributes are probably wrong?", lambda observations, _: label_noise(observations)
    ),
    "ambiguous": Detector(
        "data", "Which attributes do classes neither have nor lack?", lambda observations, _: ambiguous(observations)
    ),
    "inseparable": Detector(
        "data", "Which classes do attributes not tell apart?", lambda observations, _: inseparable(observations)
    ),
    "constant": Detector(
        "data", "Which questions have one answer only?", lambda observations, _: constant(observations)
    ),
}
"""In the order of the page."""


OF_ONE_CLASS = ("misread", "unused", "class-read", "ambiguous", "inseparable")
"""What is asked of one class per picture."""
SEVERAL = "it is asked of one class per picture, and these pictures may have several labels"


@dataclass(frozen=True)
class Audit:
    """All findings, detector by detector.

    Args:
        verdicts: verdict of every detector, by kind.
    """

    verdicts: Mapping[str, Verdict]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Of all kinds, in the order of the page."""
        return tuple(finding for verdict in self.verdicts.values() for finding in verdict.findings)


def audit(
    observations: Observations,
    redrawn: Redrawn | None = None,
    *,
    kinds: Sequence[str] = (),
    command: Callable[[str], str] = lambda kind: "",
    step: Callable[[str], None] = lambda kind: None,
) -> Audit:
    """Ask every detector.

    Args:
        observations: pictures, labels and what the network answered.
        redrawn: scenes drawn again, for data that can be.
        kinds: names of the detectors to ask; empty for all.
        command: what prints the findings of a kind again.
        step: called with every kind that is done.

    Raises:
        InputError: there is no such kind.
    """
    for kind in kinds:
        if kind not in DETECTORS:
            raise InputError(f"there is no detector {kind!r}; {near(kind, DETECTORS, most=len(DETECTORS))}")
    verdicts: dict[str, Verdict] = {}
    for kind, detector in DETECTORS.items():
        if not kinds or kind in kinds:
            several = observations.label_table is not None and kind in OF_ONE_CLASS
            verdict = skip(SEVERAL) if several else detector.look(observations, redrawn)
            named = (
                replace(finding, id=f"{kind}-{number:04d}", command=command(kind))
                for number, finding in enumerate(verdict.findings, 1)
            )
            verdicts[kind] = replace(verdict, findings=tuple(named))
            step(kind)
    return Audit(verdicts)
