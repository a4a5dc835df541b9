"""What an attribute network says about a decision: sentences, and phrases that are grounded in the picture.

Registers itself with the api, which knows nothing of attributes. Reads the picture once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.api.narration import NARRATORS
from sightline.results import AttentionMap, Decision, Explanation, Narration, Phrase
from sightline.tasks.attributes.explain.analysis import DecisionAnalysis
from sightline.tasks.attributes.explain.grounding import ground
from sightline.tasks.attributes.explain.intervention import corrections
from sightline.tasks.attributes.explain.labelled import LabelAnalysis
from sightline.tasks.attributes.explain.nouns import denied
from sightline.tasks.attributes.explain.selection import Statement
from sightline.tasks.attributes.explain.sentences import (
    Manner,
    Sentence,
    class_name,
    label_shares,
    shares,
    spans,
    tell,
)
from sightline.tasks.attributes.explain.speaking import PictureOutput, SpeakingModel, speaking_model
from sightline.tasks.attributes.network.labelled import LabelledAttributeNet
from sightline.tasks.attributes.network.skill import SEEN
from sightline.training.labels.words import about, finding
from sightline.training.operating import OperatingPoint

STAGE = "attribute_head"
ASSOCIATED = "associated with the decision, not shown to cause it"
IN_PART = "in part: features without a name take part in the decision"
NO_NUMBERS = "No sentence about this image: the network's output is NaN."
NOT_SEEN = "usual for the class; this network was not shown to see it"
UNMEASURED = "this network's readings were never compared with controls"


@NARRATORS.register("attributes")
def narrate(model: nn.Module, explanation: Explanation, inputs: Float[Tensor, "1 c h w"]) -> Narration | None:
    """What a network says of a class that was explained.

    Args:
        model: any network.
        explanation: explanation of one of its decisions.
        inputs: the picture.

    Returns:
        Words; None where the network was taught none, or where the decision is no class of its.
    """
    speaker = speaking_model(model)
    decision = explanation.decision
    if speaker is None or decision.index is None or decision.index >= len(speaker.labels):
        return None
    output = speaker.read(inputs)
    if isinstance(model, LabelledAttributeNet):
        words = label_narration(speaker, output, decision, model.points)
    else:
        words = narration(speaker, output, decision)
    return replace(words, corrections=corrections(model, output))


def narration(model: SpeakingModel, output: PictureOutput, decision: Decision) -> Narration:
    """Why A, why A and not B, what speaks against it, what is odd, and what would have to change.

    B is the class that the decision was weighed against, or else the best of the rest.

    Args:
        model: the network.
        output: what it said of the picture.
        decision: class A, and B where one was asked for.
    """
    if not all(bool(torch.isfinite(part).all()) for part in (output.scores, output.logits, output.probabilities)):
        return Narration((NO_NUMBERS,), ())
    analysis = DecisionAnalysis(model, output, decision)
    names = model.labels[analysis.this], model.labels[analysis.other]
    sentences = tell(analysis.statements, *names, manner=manner_of(analysis))
    if analysis.partly and analysis.margin > 0:
        sentences = (*sentences, Sentence(shares(names[1], analysis.carried, analysis.margin)))
    return _grounded(analysis, sentences)


def label_narration(
    model: SpeakingModel, output: PictureOutput, decision: Decision, points: Sequence[OperatingPoint]
) -> Narration:
    """Which labels a picture has, and what speaks for the one that was asked for, unless it is below its threshold.

    Args:
        model: the network.
        output: what it said of the picture.
        decision: the label.
        points: operating points.
    """
    if not all(bool(torch.isfinite(part).all()) for part in (output.scores, output.logits, output.probabilities)):
        return Narration((NO_NUMBERS,), ())
    point = points[decision.index or 0]
    analysis = LabelAnalysis(model, output, decision, point.threshold)
    likely = output.scores.double().sigmoid().tolist()
    sentences = [Sentence(finding(points, likely)), Sentence(about(point, likely[analysis.this]))]
    if analysis.decided:
        sentences += tell(analysis.statements, point.label, manner=manner_of(analysis))
        if analysis.partly and analysis.statements:
            sentences.append(Sentence(label_shares(analysis.carried, analysis.margin)))
    return _grounded(analysis, sentences)


def _grounded(analysis: DecisionAnalysis, sentences: Sequence[Sentence]) -> Narration:
    """Sentences with their phrases, each grounded in the picture."""
    phrases = [
        phrase(analysis, statement, None if span is None else (number, *span))
        for number, sentence in enumerate(sentences)
        for statement, span in zip(sentence.statements, spans(sentence), strict=True)
    ]
    return Narration(tuple(sentence.text for sentence in sentences), tuple(phrases))


def manner_of(analysis: DecisionAnalysis) -> Manner:
    """What may be claimed of a decision."""
    skill = analysis.model.skill
    return Manner(
        causal=analysis.causal,
        decided=analysis.decided,
        partly=analysis.partly,
        carries=analysis.carried > 0,
        reads=bool((skill.standing == SEEN).any()) if skill.measured else None,
        label=isinstance(analysis, LabelAnalysis),
    )


def phrase(analysis: DecisionAnalysis, statement: Statement, place: tuple[int, int, int] | None) -> Phrase:
    """A statement with its map, its box and its numbers.

    Args:
        analysis: analysis of the decision.
        statement: what is said.
        place: number of the sentence, and the phrase's span in it.
    """
    members = statement.others if statement.role == "change" else statement.members
    located = bool(members) and statement.role != "typical"
    grounded = ground(analysis.output.maps, members, analysis.model.vocabulary) if located else None
    words = denied(statement.words) if statement.role == "absent" else statement.words
    return Phrase(
        text=words.text,
        probability=statement.probability,
        contribution=_share(analysis, statement),
        map=None if grounded is None else AttentionMap(grounded.map, STAGE, signed=True),
        box=None if grounded is None or statement.role == "absent" else grounded.box,
        role=statement.role,
        note=_note(analysis, statement),
        said=place,
    )


def _share(analysis: DecisionAnalysis, statement: Statement) -> float | None:
    """Of all that was weighed; None for what is no reason: a change, and what was not shown to be read."""
    if statement.role in ("change", "typical", "unproven"):
        return None
    total = float(analysis.evidence(statement.role).contributions.abs().sum())
    return statement.contribution / total if total > 0 else None


def _note(analysis: DecisionAnalysis, statement: Statement) -> str:
    if statement.role == "change":
        gone = "" if statement.other is None else f"instead of {statement.other}; "
        return f"{gone}moves the decision by {statement.contribution:.3g} where {abs(analysis.lead):.3g} are needed"
    if statement.role in ("typical", "unproven"):
        return NOT_SEEN if statement.role == "typical" else UNMEASURED
    notes = [] if analysis.causal else [ASSOCIATED]
    if statement.other is not None:
        other = class_name(analysis.model.labels[analysis.other])
        notes.append(f"a typical {other}: {statement.other.text}")
    if analysis.partly:
        notes.append(IN_PART)
    if not analysis.complete:
        notes.append("contributions are approximate")
    return "; ".join(notes)
