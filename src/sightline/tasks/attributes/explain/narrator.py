"""What an attribute network says about a decision: sentences, and phrases that are grounded in the picture.

Registers itself at the front door, which knows nothing of attributes. Reads the picture once; where the class score
is linear in attributes nothing is sent back through the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.api.narration import NARRATORS
from sightline.results import AttentionMap, Decision, Explanation, Narration, Phrase
from sightline.tasks.attributes.explain.contributions import (
    Integrated,
    Score,
    integrated_contributions,
    linear_contributions,
)
from sightline.tasks.attributes.explain.counterfactual import Counterfactual, counterfactual
from sightline.tasks.attributes.explain.grounding import ground
from sightline.tasks.attributes.explain.nouns import denied
from sightline.tasks.attributes.explain.reader import Decide, Reader, Seen, reader_of
from sightline.tasks.attributes.explain.selection import (
    TYPICAL,
    Evidence,
    Statement,
    absent,
    against,
    change,
    contrast,
    doubt,
    why,
)
from sightline.tasks.attributes.explain.sentences import Sentence, class_name, shares, spans, tell

STAGE = "attribute_head"
ASSOCIATED = "associated with the decision, not shown to cause it"
IN_PART = "in part: features without a name take part in the decision"
SURE = 0.5
"""Nothing is named that is less likely than not, however low the threshold of its best F-score lies."""
MOST = 4
"""Most reasons for a decision that are said."""
WORTH = 0.1
"""What speaks against a decision is said from this share of its strongest reason on."""
GAP = 0.01
"""Integrated contributions that miss more than this share of what they should add up to are called approximate."""


@NARRATORS.register("attributes")
def narrate(model: nn.Module, explanation: Explanation, inputs: Float[Tensor, "1 c h w"]) -> Narration | None:
    """What a network says of a class that was explained.

    Args:
        model: any network.
        explanation: of one of its decisions.
        inputs: the picture.

    Returns:
        Words; None where the network was taught none, or where the decision is no class of its.
    """
    reader = reader_of(model)
    decision = explanation.decision
    if reader is None or decision.index is None or decision.index >= len(reader.labels):
        return None
    return narration(reader, reader.read(inputs), decision)


def narration(reader: Reader, seen: Seen, decision: Decision) -> Narration:
    """Why A, why A and not B, what speaks against it, what is odd, and what would have to change.

    B is the class that the decision was weighed against, or else the best of the rest.

    Args:
        reader: of the network.
        seen: what it said of the picture.
        decision: class A, and B where one was asked for.
    """
    case = Case(reader, seen, decision)
    statements = case.statements
    names, partly = (reader.labels[case.this], reader.labels[case.other]), case.causal and not reader.named
    sentences = tell(statements, *names, causal=case.causal, decided=case.decided, partly=partly)
    if partly and case.margin > 0:
        sentences = (*sentences, Sentence(shares(names[1], case.moved, case.margin)))
    phrases = [
        case.phrase(statement, None if span is None else (number, *span))
        for number, sentence in enumerate(sentences)
        for statement, span in zip(sentence.statements, spans(sentence), strict=True)
    ]
    return Narration(tuple(sentence.text for sentence in sentences), tuple(phrases))


@dataclass(frozen=True, eq=False)
class Case:
    """One decision on one picture.

    Args:
        reader: of the network.
        seen: what it said of the picture.
        decision: class A, and B where one was asked for.
    """

    reader: Reader
    seen: Seen
    decision: Decision

    @cached_property
    def this(self) -> int:
        """Class A."""
        return self.decision.index or 0

    @cached_property
    def other(self) -> int:
        """Class B."""
        if self.decision.against is not None:
            return self.decision.against
        rest = self.seen.scores.clone()
        rest[self.this] = -torch.inf
        return int(rest.argmax())

    @property
    def causal(self) -> bool:
        """Whether the class is decided from attributes."""
        return self.seen.associate is None

    @cached_property
    def decided(self) -> bool:
        """Whether A is what the network decides for."""
        return int(self.seen.scores.argmax()) == self.this

    @cached_property
    def margin(self) -> float:
        """By how much A's score is above B's."""
        return float(self.seen.scores[self.this] - self.seen.scores[self.other])

    @property
    def moved(self) -> float:
        """By how much attributes move A's lead over B, against those of the average picture."""
        return float(self.pair.contributions.sum())

    @cached_property
    def present(self) -> Float[Tensor, "k"]:
        """Calibrated probabilities."""
        return self.reader.calibration.calibrated(self.seen.probabilities[None])[0]

    @cached_property
    def threshold(self) -> Float[Tensor, "k"]:
        """From which calibrated probability an attribute is said to be there."""
        return self.reader.calibration.threshold.clamp(min=SURE)

    @cached_property
    def pair(self) -> Evidence:
        """Why A and not B."""
        return self._evidence(self.other)

    @cached_property
    def alone(self) -> Evidence:
        """Why A; against B where that was the question."""
        if self.decision.against is None:
            return self._evidence(None)
        return self._evidence(None, self.pair.contributions)

    @cached_property
    def statements(self) -> tuple[Statement, ...]:
        """All that is said."""
        said = [*why(self.alone, most=MOST)]
        if self.margin > 0:
            said += [*contrast(self.pair), *absent(self.pair)]
        least = WORTH * max((one.contribution for one in said if one.role == "why"), default=0.0)
        said += [one for one in against(self.alone) if -one.contribution >= least]
        said += doubt(self.alone, besides={at for statement in said for at in statement.members})
        return (*said, *self._changes)

    @cached_property
    def counterfactual(self) -> Counterfactual | None:
        """The fewest changes to B, or to A where it is not decided for; towards what is usual where those do."""
        weights = self.seen.weights
        if weights is None:
            return None
        top = int(self.seen.scores.argmax())
        start, goal = (self.this, self.other) if self.decided else (top, self.this)
        a, known = self.seen.probabilities.clamp(0, 1), self.reader.calibration.prototypes
        bias = self.seen.scores - weights @ self.seen.probabilities
        for wished in (known, None):
            found = counterfactual(
                weights, bias, a, self.reader.vocabulary, target=start, against=goal, prototypes=wished
            )
            if found.wins:
                return found
        return None

    @property
    def _changes(self) -> tuple[Statement, ...]:
        """What would have to change; nothing where an answer that would go is not sure to be there."""
        found = self.counterfactual
        changes = () if found is None else change(found, self.reader.vocabulary)
        return changes if all(set(one.others) <= set(self.alone.candidates) for one in changes) else ()

    def phrase(self, statement: Statement, said: tuple[int, int, int] | None) -> Phrase:
        """A statement with its map, its box and its numbers.

        Args:
            statement: what is said.
            said: where in the sentences.
        """
        shown = statement.others if statement.role == "change" else statement.members
        found = ground(self.seen.maps, shown, self.reader.vocabulary) if shown else None
        words = denied(statement.words) if statement.role == "absent" else statement.words
        return Phrase(
            text=words.text,
            probability=statement.probability,
            contribution=self._share(statement),
            map=None if found is None else AttentionMap(found.map, STAGE, signed=True),
            box=None if found is None or statement.role == "absent" else found.box,
            role=statement.role,
            note=self._note(statement),
            said=said,
        )

    def _share(self, statement: Statement) -> float | None:
        """Of all that was weighed; None for a change, which was not there to be weighed."""
        if statement.role == "change":
            return None
        evidence = self.pair if statement.role in ("contrast", "absent") else self.alone
        total = float(evidence.contributions.abs().sum())
        return statement.contribution / total if total > 0 else None

    def _note(self, statement: Statement) -> str:
        other = class_name(self.reader.labels[self.other])
        if statement.role == "change":
            gone = "" if statement.other is None else f"instead of {statement.other}; "
            return f"{gone}moves the decision by {statement.contribution:.3g} where {abs(self._lead):.3g} are needed"
        notes = [] if self.causal else [ASSOCIATED]
        if statement.other is not None:
            notes.append(f"a typical {other}: {statement.other.text}")
        if self.causal and not self.reader.named:
            notes.append(IN_PART)
        if self._approximate:
            notes.append("contributions are approximate")
        return "; ".join(notes)

    @property
    def _lead(self) -> float:
        """Of what is decided for over what a change leads to."""
        if self.decided:
            return self.margin
        return float(self.seen.scores.max() - self.seen.scores[self.this])

    @cached_property
    def _approximate(self) -> bool:
        decide = self.seen.decide
        if self.seen.weights is not None or decide is None:
            return False
        return not self._integrated(decide, self.other).complete(GAP)

    def _evidence(self, against: int | None, weighed: Float[Tensor, "k"] | None = None) -> Evidence:
        known = self.reader.calibration
        return Evidence(
            self.reader.vocabulary,
            self.present,
            self.threshold,
            self._weighed(against) if weighed is None else weighed,
            known.prototypes,
            self.this,
            against,
        )

    def _weighed(self, against: int | None) -> Float[Tensor, "k"]:
        """What every attribute contributes to A's score, or to its lead over B."""
        seen, mean = self.seen, self.reader.calibration.mean
        if seen.weights is not None:
            ours, theirs = torch.tensor([self.this]), None if against is None else torch.tensor([against])
            return linear_contributions(seen.weights, seen.probabilities[None], mean, target=ours, against=theirs)[0]
        if seen.decide is not None:
            return self._integrated(seen.decide, against).contributions[0]
        if seen.associate is not None:
            return seen.associate(self._mixture(against), self._nameable)
        return torch.zeros_like(mean)

    def _integrated(self, decide: Decide, against: int | None) -> Integrated:
        mixture = self._mixture(against)
        score: Score = lambda a: decide(a) @ mixture  # noqa: E731 - as short as it is
        return integrated_contributions(score, self.seen.probabilities[None], self.reader.calibration.mean)

    def _mixture(self, against: int | None) -> Float[Tensor, "y"]:
        """A's score, or A's less B's, as weights of all scores."""
        weights = torch.zeros_like(self.seen.scores)
        weights[self.this] = 1.0
        if against is not None:
            weights[against] -= 1.0
        return weights

    @cached_property
    def _nameable(self) -> Sequence[int]:
        """Attributes that may be named: what is there, and what most pictures of B have."""
        known = self.reader.calibration
        nothing = torch.zeros_like(self.present)
        there = Evidence(self.reader.vocabulary, self.present, self.threshold, nothing, known.prototypes, self.this)
        usual = torch.nonzero(torch.nan_to_num(known.prototypes[self.other]) >= TYPICAL)[:, 0].tolist()
        return sorted({*there.candidates, *usual})
