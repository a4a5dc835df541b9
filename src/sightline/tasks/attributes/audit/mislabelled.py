"""Class labels that are probably wrong: the class as one more question, judged as labels of attributes are.

Two judges that do not repeat the label: a head on frozen features that never saw the picture, and the network where
it was not trained on the picture. (A network that learnt a wrong label repeats it: counted as a judge of its own
training pictures it made the ranking worse than the head alone.)
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from sightline.errors import InputError
from sightline.tasks.attributes.audit.findings import Fact, Finding, Verdict, Weakness, skip
from sightline.tasks.attributes.audit.noise import LEAST, REPEATS, Suspicions, shares, suspects, suspicions
from sightline.tasks.attributes.audit.noise import UNREAD as UNREAD_LABEL
from sightline.tasks.attributes.audit.observed import Observations
from sightline.tasks.attributes.data.vocabulary import Attribute, Vocabulary

WEAKNESS = Weakness("class-noise", "data", "chance that the class label is wrong", null=0.5)
CLASS = "class"
UNREAD = 0.3
"""More than for attributes: that classes are named far better than by chance is seen in the answers themselves."""
RULE = (
    "a class label is reported where it is more probably wrong than right, at the lower end of its interval over "
    f"{REPEATS} refits too, and where both judges disagree with it: a head on frozen features that never saw the "
    "picture, and the network where it was not trained on it"
)

OF_ATTRIBUTES: dict[str, Any] = dict.fromkeys(("head", "contributions", "part_attention", "skill", "calibration"))
"""What is known of attributes; nothing where classes or labels are the question."""
RULE_OF_LABELS = (
    f"{RULE}; only labels that are answered better than by their most frequent value, and of whose surest quarter of "
    f"answers at most {UNREAD_LABEL:.0%} contradict the labels, are judged; all are ranked"
)


def class_noise(observations: Observations) -> Verdict:
    """Class labels that are probably wrong, the likeliest first."""
    if observations.features is None:
        return skip("no features of the network were read, so no label can be judged out of fold")
    if observations.label_table is not None:
        return _of_labels(observations)
    if int((observations.labels >= 0).sum()) < LEAST:
        return skip(f"fewer than {LEAST} pictures have a class; their labels cannot be judged by one another")
    doubts = class_suspicions(observations)
    if not bool(doubts.judged.any()):
        return skip("heads on the network's features do not name these classes well enough to judge their labels")
    flagged, order = doubts.flagged[:, 0], doubts.ranking[:, 0].argsort(descending=True, stable=True).tolist()
    findings = tuple(_finding(observations, doubts, row) for row in order if bool(flagged[row]))
    tested = int((doubts.label >= 0).sum())
    summary: dict[str, Fact] = {
        "labels judged": tested,
        **shares(len(findings), tested),
        "the most suspicious": ", ".join(observations.names[row] for row in order[:5]),
    }
    return Verdict(findings, tested, RULE, summary=summary, table=suspects(as_question(observations), doubts))


def _of_labels(observations: Observations) -> Verdict:
    """Labels that are probably wrong where a picture may have several: each label is a question of its own."""
    asked = as_questions(observations)
    if int((asked.weights > 0).any(1).sum()) < LEAST:
        return skip(f"fewer than {LEAST} pictures have a known label; they cannot be judged by one another")
    doubts = suspicions(asked)
    findings = tuple(_label_finding(observations, doubts, row, at) for row, at in doubts.reported())
    tested = int((doubts.facts & doubts.judged).sum())
    summary: dict[str, Fact] = {
        "labels ranked": int(doubts.facts.sum()),
        "labels judged": tested,
        **shares(len(findings), tested),
        "labels without a reliable answer": ", ".join(doubts.unreadable) or "none",
    }
    return Verdict(findings, tested, RULE_OF_LABELS, summary=summary, table=suspects(asked, doubts))


def as_questions(observations: Observations) -> Observations:
    """The same pictures with each label as a question, present or absent, and no class beside it."""
    table = observations.label_table
    if table is None:
        raise InputError("labels are asked about one by one where pictures may have several; these have one class")
    return replace(
        observations,
        vocabulary=Vocabulary(tuple(Attribute(name, name, "yes") for name in observations.classes)),
        probabilities=observations.class_logits.sigmoid(),
        targets=table.nan_to_num(0.0),
        weights=(~table.isnan()).float(),
        label_table=None,
        flags=None,
        implied=None,
        **OF_ATTRIBUTES,
    )


def class_suspicions(observations: Observations, repeats: int = REPEATS) -> Suspicions:
    """How probably each class label is wrong.

    Args:
        observations: observations with `features`.
        repeats: refits on resampled pictures.
    """
    return suspicions(as_question(observations), repeats, unread=UNREAD)


def as_question(observations: Observations) -> Observations:
    """The same pictures with the class as their one question, and no class beside it."""
    words = Vocabulary(tuple(Attribute(f"{CLASS}::{name}", CLASS, name) for name in observations.classes), (CLASS,))
    with_class = observations.labels >= 0
    count, classes = len(observations), len(observations.classes)
    labels = torch.nn.functional.one_hot(observations.labels.clamp(min=0), classes).float()
    return replace(
        observations,
        vocabulary=words,
        probabilities=observations.class_logits.softmax(1),
        targets=labels,
        weights=with_class.float()[:, None].expand(count, classes).contiguous(),
        labels=torch.full_like(observations.labels, -1),
        **OF_ATTRIBUTES,
    )


def _label_finding(observations: Observations, doubts: Suspicions, row: int, at: int) -> Finding:
    picture, name = observations.names[row], observations.classes[at]
    says, instead = ("present", "absent") if int(doubts.label[row, at]) else ("absent", "present")
    return WEAKNESS.finding(
        f"{picture}: {name}",
        f"The labels of {picture} say {name}: {says}; judges that never saw it say {instead}",
        effect=float(doubts.chance[row, at]),
        ends=(float(doubts.low[row, at]), float(doubts.high[row, at])),
        evidence={
            "label": f"{name}: {says}",
            "instead": f"{name}: {instead}",
            "labels": observations.labelled_as(row),
            "log odds against the label": float(doubts.against[row, at]),
            "estimated noise of the labels": doubts.rates[at],
            "the network's probability": float(observations.class_logits[row, at].sigmoid()),
        },
        pictures=(picture,),
    )


def _finding(observations: Observations, doubts: Suspicions, row: int) -> Finding:
    label, instead = (observations.classes[int(table[row, 0])] for table in (doubts.label, doubts.instead))
    return WEAKNESS.finding(
        observations.names[row],
        f"{observations.names[row]} is labelled {label}; judges that never saw it say {instead}",
        effect=float(doubts.chance[row, 0]),
        ends=(float(doubts.low[row, 0]), float(doubts.high[row, 0])),
        evidence={
            "label": label,
            "instead": instead,
            "log odds against the label": float(doubts.against[row, 0]),
            "estimated noise of the labels": doubts.rates[0],
        },
        pictures=(observations.names[row],),
    )
