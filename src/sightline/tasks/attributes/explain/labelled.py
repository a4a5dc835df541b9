"""What an attribute network says of one label, where a picture may have several or none.

One label at a time, and only one that reaches its threshold has reasons: what attributes add to its score. Where no
label does, the text is that there is no finding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from sightline.results import Decision
from sightline.tasks.attributes.explain.analysis import DecisionAnalysis
from sightline.tasks.attributes.explain.counterfactual import Counterfactual
from sightline.tasks.attributes.explain.evidence import Evidence
from sightline.tasks.attributes.explain.selection import Role, Statement, select
from sightline.tasks.attributes.explain.speaking import PictureOutput, SpeakingModel
from sightline.training.operating import OperatingPoint


@dataclass(frozen=True, eq=False)
class LabelAnalysis(DecisionAnalysis):
    """One label on one picture, held against its threshold rather than against another label.

    Args:
        threshold: probability from which the label counts as present.
    """

    threshold: float = 0.5

    @cached_property
    def decided(self) -> bool:
        """Whether the label reaches its threshold."""
        return bool(self.output.scores[self.this].double().sigmoid() >= self.threshold)

    @cached_property
    def margin(self) -> float:
        """By how much the label's score is above that of its threshold."""
        edge = min(max(self.threshold, 1e-6), 1 - 1e-6)
        return float(self.output.scores[self.this]) - math.log(edge / (1 - edge))

    @cached_property
    def carried(self) -> float:
        """What all attributes together add to the label's score, beside those of a mean picture."""
        return float(self.alone.contributions.sum())

    @cached_property
    def complete(self) -> bool:
        """Whether contributions add up to what attributes add to the score."""
        return self.output.strategy.complete(self._mixture(None))

    @cached_property
    def alone(self) -> Evidence:
        """Why this label."""
        return self._evidence(self._contributions(None))

    def evidence(self, role: Role) -> Evidence:
        """What a statement is taken from, whatever its role."""
        return self.alone

    @cached_property
    def statements(self) -> tuple[Statement, ...]:
        """All that is said; nothing of a label below its threshold."""
        return select(self.alone) if self.decided else ()

    @cached_property
    def counterfactual(self) -> Counterfactual | None:
        """None: labels do not replace one another."""
        return None

    @cached_property
    def _nameable(self) -> tuple[int, ...]:
        """Attributes that may be named: what is there."""
        return tuple(self._evidence(self.output.probabilities * 0).candidates)


def label_analyses(
    model: SpeakingModel, output: PictureOutput, points: Sequence[OperatingPoint]
) -> tuple[LabelAnalysis, ...]:
    """An analysis of each label that reaches its threshold.

    Args:
        model: the network.
        output: what it said of the picture.
        points: operating points.
    """
    every = (
        LabelAnalysis(model, output, Decision(point.label, float(output.scores[at]), at), point.threshold)
        for at, point in enumerate(points)
    )
    return tuple(one for one in every if one.decided)
