"""Which attribute heads read nothing: no better than always saying how frequent the attribute is.

A head is judged on pictures that the network was not trained on, after calibration on others of them, so that only
what it sees counts. Beside it stand two controls that never look for the attribute: its frequency, and what the
predicted class alone implies. A skill is the share of the control's squared error that the head takes away: 1 for a
head that is always sure and right, 0 for one that knows what the control knows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sightline.common.statistics.bootstrap import mean_columns
from sightline.tasks.attributes.audit.findings import Fact, Finding, Verdict, Weakness, skip
from sightline.tasks.attributes.audit.observed import Observations
from sightline.tasks.attributes.audit.trials import DRAWS, LEVEL, strict
from sightline.tasks.attributes.network.calibration import Calibration
from sightline.tasks.attributes.network.skill import SEEN, TYPICAL, UNREAD, Answers, brier_scores

READS = 0.1
"""A head that takes away less of the error of always saying the frequency reads nothing worth the name."""
LEAST = 40
WEAKNESS = Weakness(
    "unread", "network", "share of the error of always saying the frequency that the head takes away", null=READS
)
RULE = (
    f"a head is reported where it surely takes away less than {READS:.0%} of the squared error of always saying how "
    f"frequent the attribute is, at {LEVEL:.0%} over all heads together (Bonferroni); only pictures that the network "
    "was not trained on count, and only attributes that at least five of them have and five lack"
)
READINGS = ("read nothing", "say no more than the class does", "read more than the class", "not shown either way")
STORED = {UNREAD: "beats no control", TYPICAL: "beats the frequency only", SEEN: "beats both controls"}


@dataclass(frozen=True)
class HeadSkill:
    """How well one attribute is read.

    Args:
        name: name of the attribute.
        reading: one of `READINGS`.
        over_frequent: share of the error of always saying the frequency that the head takes away: mean, and lower
            and upper end of its 95 % interval.
        over_class: the same of the error of saying what the predicted class implies.
        share: share of pictures that have the attribute.
        pictures: pictures on which it is known.
    """

    name: str
    reading: str
    over_frequent: tuple[float, float, float]
    over_class: tuple[float, float, float]
    share: float
    pictures: int

    def record(self) -> dict[str, Fact]:
        """One line of a table."""
        numbers = {
            f"skill over {name}{end}": value
            for name, column in (("the frequency", self.over_frequent), ("the class", self.over_class))
            for end, value in zip(("", ", from", ", to"), column, strict=True)
        }
        own: dict[str, Fact] = {"attribute": self.name, "reading": self.reading}
        return {**own, **numbers, "share of pictures": self.share, "pictures": self.pictures}


def unread(observations: Observations) -> Verdict:
    """Heads that read nothing, and how many read something."""
    rows = judged_rows(observations)
    if int(rows.sum()) < LEAST:
        return skip(
            f"{int(rows.sum())} pictures that the network was not trained on are too few to judge heads by; "
            f"{LEAST} are needed"
        )
    heads = head_skills(observations)
    if not heads:
        return skip("no attribute is there five times and absent five times")
    nothing = {head.name: head for head in heads if head.reading == READINGS[0]}
    other = {first: second for first, second in _pairs(observations) if first in nothing and second in nothing}
    findings = [
        _finding(observations, head, other.get(name, ""))
        for name, head in nothing.items()
        if name not in other.values()
    ]
    counts: dict[str, Fact] = {f"heads: {one}": sum(head.reading == one for head in heads) for one in READINGS}
    left = len(observations.vocabulary) - len(heads)
    summary = {"pictures judged by": int(rows.sum()), **counts, "heads too rarely answered to tell": left}
    table = tuple(head.record() for head in sorted(heads, key=lambda head: (READINGS.index(head.reading), head.name)))
    order = sorted(findings, key=lambda f: (f.effect, f.where))
    return Verdict(tuple(order), len(heads), RULE, summary=summary, table=table, says=_says(heads, left))


def _pairs(observations: Observations) -> list[tuple[str, str]]:
    """Both values of each question of two: what reads the one reads the other, so they are one fact."""
    words = observations.vocabulary
    pairs = [[words.names[at] for at in group.members] for group in words.groups if group.exclusive]
    return [(pair[0], pair[1]) for pair in pairs if len(pair) == 2]


def _says(heads: tuple[HeadSkill, ...], left: int) -> str:
    counts = [f"{sum(head.reading == one for head in heads)} {one}" for one in READINGS]
    rest = f" {left} of {left + len(heads)} heads are not judged: too few pictures have the attribute, or lack it."
    return f"Of {len(heads)} attribute heads that can be judged: {', '.join(counts)}.{rest if left else ''}"


def judged_rows(observations: Observations) -> Bool[Tensor, " n"]:
    """Pictures that the network was not trained on; all, where that is not known."""
    if observations.trained is None:
        return torch.ones(len(observations), dtype=torch.bool)
    return ~observations.trained


def head_skills(observations: Observations) -> tuple[HeadSkill, ...]:
    """How well each attribute is read, beside both controls; attributes that are too rarely answered are left out."""
    rows, words = judged_rows(observations), observations.vocabulary
    calibration = observations.calibration or _plain(observations)
    answers = Answers(
        observations.probabilities[rows],
        observations.decided[rows],
        observations.targets[rows],
        observations.weights[rows],
        None if observations.implied is None else observations.implied[rows],
    )
    scores = brier_scores(answers, calibration)
    some = torch.nonzero(scores.enough.any(0))[:, 0]
    own, frequent, by_class = (
        table[:, some].where(scores.enough[:, some], torch.nan)
        for table in (scores.network, scores.frequent, scores.by_class)
    )
    gains = [_share(frequent, own), _share(by_class, own)]
    readings = _readings(own, frequent, by_class)
    present = (answers.targets[:, some] >= 0.5).double().where(scores.enough[:, some], torch.nan).nanmean(0)
    counts = scores.enough[:, some].sum(0).tolist()
    return tuple(
        HeadSkill(
            name=words.names[k],
            reading=readings[at],
            over_frequent=_ends(gains[0][:, at]),
            over_class=_ends(gains[1][:, at]),
            share=float(present[at]),
            pictures=counts[at],
        )
        for at, k in enumerate(some.tolist())
    )


def _plain(observations: Observations) -> Calibration:
    """Prototypes of these pictures, and nothing else."""
    empty = Calibration.nothing(len(observations.classes), len(observations.vocabulary))
    return replace(empty, prototypes=observations.prototypes)


def _share(control: Float[Tensor, "n k"], own: Float[Tensor, "n k"]) -> Float[Tensor, "3 k"]:
    """How much of a control's mean error is taken away, with its interval."""
    return mean_columns(control - own) / control.nanmean(0).clamp(min=1e-9)


def _ends(column: Float[Tensor, "3"]) -> tuple[float, float, float]:
    mean, low, high = column.tolist()
    return mean, low, high


def _readings(own: Float[Tensor, "n k"], frequent: Float[Tensor, "n k"], by_class: Float[Tensor, "n k"]) -> list[str]:
    """What is sure of each head, over all heads together.

    A ratio of means lies on one side of a number where the mean of a difference does.
    """
    confidence = strict(own.shape[1])
    draws = max(DRAWS, min(20_000, math.ceil(40 / (1 - confidence))))
    over, beyond = (
        mean_columns(gain, draws=draws, confidence=confidence)
        for gain in (frequent - own - READS * frequent, by_class - own)
    )
    readings = []
    for (_, low, high), (_, more, _) in zip(over.T.tolist(), beyond.T.tolist(), strict=True):
        if high < 0:
            readings.append(READINGS[0])
        elif low <= 0:
            readings.append(READINGS[3])
        else:
            readings.append(READINGS[2] if more > 0 else READINGS[1])
    return readings


def _taken(share: float) -> str:
    """What becomes of an error.

    Example:
        >>> _taken(0.04), _taken(-0.04)
        ('takes away 4% of', 'adds 4% to')
    """
    return f"takes away {share:.0%} of" if share >= 0 else f"adds {-share:.0%} to"


def _finding(observations: Observations, head: HeadSkill, opposite: str = "") -> Finding:
    skill, at = observations.skill, observations.vocabulary.index(head.name)
    standing = "not measured" if skill is None else STORED.get(float(skill.standing[at]), "not measured")
    effect, low, high = head.over_frequent
    nor = f" (nor that of {opposite}, the opposite)" if opposite else ""
    return WEAKNESS.finding(
        head.name,
        f"The head of {head.name} reads nothing{nor}: it {_taken(effect)} the error of always saying that "
        f"{head.share:.0%} have it",
        effect=effect,
        ends=(low, high),
        evidence={
            **dict(zip(("of the class's error", "from", "to"), head.over_class, strict=True)),
            "share of pictures that have it": head.share,
            "pictures": head.pictures,
            "when it was trained": standing,
        },
    )
