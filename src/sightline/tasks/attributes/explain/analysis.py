"""`DecisionAnalysis`: what is there in a picture, what each attribute contributes, what would change the decision.

Where the class score is linear in attributes nothing is sent back through the network. Knows no sentence.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.results import Decision
from sightline.tasks.attributes.explain.counterfactual import Counterfactual, counterfactual
from sightline.tasks.attributes.explain.evidence import TYPICAL, Evidence
from sightline.tasks.attributes.explain.selection import Role, Statement, select
from sightline.tasks.attributes.explain.speaking import PictureOutput, SpeakingModel
from sightline.tasks.attributes.explain.strategies import Linear
from sightline.tasks.attributes.network.skill import SEEN

SURE = 0.5
"""Nothing is named that is less likely than not, however low the threshold of its best F-score lies."""


@dataclass(frozen=True, eq=False)
class DecisionAnalysis:
    """One decision on one picture.

    Args:
        model: the network.
        output: what it said of the picture.
        decision: class A, and B where one was asked for.
    """

    model: SpeakingModel
    output: PictureOutput
    decision: Decision

    @cached_property
    def this(self) -> int:
        """Class A."""
        return self.decision.index or 0

    @cached_property
    def other(self) -> int:
        """Class B: the one that was asked for, or the best of the rest."""
        if self.decision.against is not None:
            return self.decision.against
        rest = self.output.scores.clone()
        rest[self.this] = -torch.inf
        return int(rest.argmax())

    @property
    def causal(self) -> bool:
        """Whether the class is decided from attributes."""
        return self.output.strategy.causal

    @property
    def partly(self) -> bool:
        """Whether features without a name take part in the decision."""
        return self.causal and not self.model.named

    @cached_property
    def decided(self) -> bool:
        """Whether A is the predicted class."""
        return int(self.output.scores.argmax()) == self.this

    @cached_property
    def margin(self) -> float:
        """By how much A's score is above B's."""
        return float(self.output.scores[self.this] - self.output.scores[self.other])

    @property
    def lead(self) -> float:
        """By how much the predicted class is above the one that a change leads to."""
        if self.decided:
            return self.margin
        return float(self.output.scores.max() - self.output.scores[self.this])

    @cached_property
    def carried(self) -> float:
        """What all attributes together add to A's lead over B."""
        return float(self.pair.contributions.sum())

    @cached_property
    def complete(self) -> bool:
        """Whether contributions add up to A's lead over B."""
        return self.output.strategy.complete(self._mixture(self.other))

    @cached_property
    def pair(self) -> Evidence:
        """Why A and not B."""
        return self._evidence(self._contributions(self.other), against=self.other)

    @cached_property
    def alone(self) -> Evidence:
        """Why A; against B where that was the question."""
        contrastive = self.decision.against is not None
        return self._evidence(self.pair.contributions if contrastive else self._contributions(None))

    def evidence(self, role: Role) -> Evidence:
        """What a statement of this role is taken from."""
        return self.pair if role in ("contrast", "absent") else self.alone

    @cached_property
    def statements(self) -> tuple[Statement, ...]:
        """All that is said."""
        return select(self.alone, self.pair if self.margin > 0 else None, counterfactual=self.counterfactual)

    @cached_property
    def counterfactual(self) -> Counterfactual | None:
        """The fewest changes to B, or to A where it is not predicted; towards what is usual where those do."""
        strategy, prototypes = self.output.strategy, self.model.calibration.prototypes
        if not isinstance(strategy, Linear):
            return None
        top = int(self.output.scores.argmax())
        start, goal = (self.this, self.other) if self.decided else (top, self.this)
        likely = self.output.probabilities.clamp(0, 1)
        for usual in (prototypes, None):
            changes = counterfactual(
                strategy.weights,
                strategy.rest,
                likely,
                self.model.vocabulary,
                target=start,
                against=goal,
                prototypes=usual,
                present=self._present,
            )
            if changes.wins:
                return changes
        return None

    def _evidence(self, contributions: Tensor, *, against: int | None = None) -> Evidence:
        calibration = self.model.calibration
        return Evidence(
            self.model.vocabulary,
            present=self._present,
            thresholds=self._thresholds,
            standing=self.model.skill.standing,
            contributions=contributions,
            prototypes=calibration.prototypes,
            target=self.this,
            against=against,
        )

    @cached_property
    def _present(self) -> Float[Tensor, "k"]:
        """The one calibrated probability by which presence is decided."""
        return self.model.calibration.calibrated(self.output.probabilities[None])[0]

    @property
    def _thresholds(self) -> Float[Tensor, "k"]:
        """What is called seen has to be as sure as was true often enough on validation pictures."""
        skill, threshold = self.model.skill, self.model.calibration.threshold.clamp(min=SURE)
        return torch.where(skill.standing == SEEN, torch.maximum(threshold, skill.floor), threshold)

    def _contributions(self, against: int | None) -> Float[Tensor, "k"]:
        """What every attribute contributes to A's score, or to its lead over B."""
        return self.output.strategy.contributions(self._mixture(against), self._nameable)

    def _mixture(self, against: int | None) -> Float[Tensor, "y"]:
        """A's score, or A's less B's, as weights of all scores."""
        weights = torch.zeros_like(self.output.scores)
        weights[self.this] = 1.0
        if against is not None:
            weights[against] -= 1.0
        return weights

    @cached_property
    def _nameable(self) -> tuple[int, ...]:
        """Attributes that may be named: what is there, and what most pictures of B have."""
        present = self._evidence(torch.zeros_like(self.output.probabilities)).candidates
        usual = torch.nonzero(torch.nan_to_num(self.model.calibration.prototypes[self.other]) >= TYPICAL)[:, 0]
        return tuple(sorted({*present, *usual.tolist()}))
