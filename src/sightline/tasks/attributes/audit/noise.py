"""Labels of attributes that are probably wrong, ranked; a label is judged by two who do not repeat it.

One is a head on frozen features that was fitted without the picture's fold; it is told the class too, so the class
weighs as much as the other folds show that it should. (A prototype counted without the fold would tell the fold's
labels: it is low where they are high.) All labels are ranked by what this head says against them, those of questions
that it answers badly too. The other is the network itself, of pictures that it was not trained on: where it was, it
leans towards the label, so there the head stands for it. Only a label that both contradict is reported. Their pool is
q_v ~ sqrt(head_v network_v); with e the share of labels that the surest tenth of q contradicts, and m values, Bayes'
rule gives the chance that label l is wrong,

    o (1 - q_l) / (o (1 - q_l) + (1 - e) q_l),  o = e / (m - 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sightline.common.statistics.intervals import wilson
from sightline.tasks.attributes.audit.crossfit import readable
from sightline.tasks.attributes.audit.findings import Fact, Finding, Verdict, Weakness, skip
from sightline.tasks.attributes.audit.judges import judges
from sightline.tasks.attributes.audit.observed import Observations, Question
from sightline.tasks.attributes.audit.trials import strict

WEAKNESS = Weakness("label-noise", "data", "chance that the label is wrong", null=0.5)
REPEATS = 5
"""Refits on resampled pictures, each with folds of its own."""
STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}
"""97.5 % quantile of Student's t by number of refits."""
WRONG = 0.5
"""A label is reported where it is more probably wrong than right."""
SUREST = 0.1
UNREAD = 0.15
"""A question is not judged where its surest quarter of answers contradicts a larger share of labels: there the
answers are wrong rather than the labels."""
TINY = 1e-3
OPPOSITE = 0.9
"""Two labels are opposites where at least this share of the pictures has one of them and not the other."""
LEAST = 40
LISTED = 200
"""Labels in the table of suspects."""
RULE = (
    "a label is reported where it is more probably wrong than right, at the lower end of its interval over "
    f"{REPEATS} refits too, where both predictors disagree with it and the class's prototype does too; only "
    "questions that are answered better than by their most frequent value, and of whose surest quarter of answers "
    f"at most {UNREAD:.0%} contradict the labels, are judged; the expected share of right labels among those "
    "reported is in the summary (false discovery rate)"
)


@dataclass(frozen=True, eq=False)
class Suspicions:
    """How probably each question was answered wrongly in the labels.

    Args:
        questions: all questions.
        judged: whether labels of the question may be reported.
        chance: probability that the label is wrong; NaN where there is none.
        against: log of the heads' probability of the likeliest other answer over the label's; NaN without a label.
        agreed: whether both judges contradict the label.
        low: lower end of its 95 % interval over refits.
        high: upper end.
        instead: position in the question of the likeliest answer.
        label: position of the label's; -1 where there is none.
        sided: share of the class's pictures that have the likeliest answer, less those that have the label's.
        rates: estimated share of wrong labels, by question.
    """

    questions: tuple[Question, ...]
    judged: Bool[Tensor, " q"]
    chance: Float[Tensor, "n q"]
    against: Float[Tensor, "n q"]
    agreed: Bool[Tensor, "n q"]
    low: Float[Tensor, "n q"]
    high: Float[Tensor, "n q"]
    instead: Int[Tensor, "n q"]
    label: Int[Tensor, "n q"]
    sided: Float[Tensor, "n q"]
    rates: tuple[float, ...]

    @property
    def ranking(self) -> Float[Tensor, "n q"]:
        """What speaks against each label, also where none may be reported; -inf without a label."""
        return self.against.nan_to_num(-torch.inf)

    @property
    def flagged(self) -> Bool[Tensor, "n q"]:
        """The labels that are reported."""
        candidate = (self.label >= 0) & self.judged & self.agreed & (self.sided >= 0)
        reported = candidate & (self.chance > WRONG) & (self.low > WRONG)
        return reported & ~((self.twin >= 0) & reported.gather(1, self.twin.clamp(min=0)))

    @cached_property
    def twin(self) -> Int[Tensor, "n q"]:
        """For each label the earlier question that says the same of this picture, as its opposite; -1 for none.

        Two questions of yes and no are opposites where all but a few pictures are labelled with one of them.
        """
        twins = torch.full_like(self.label, -1)
        single = [at for at, question in enumerate(self.questions) if not question.exclusive]
        for place, at in enumerate(single):
            for other in reversed(single[:place]):
                known = (self.label[:, at] >= 0) & (self.label[:, other] >= 0)
                opposite = known & (self.label[:, at] != self.label[:, other])
                if int(known.sum()) >= LEAST and int(opposite.sum()) >= OPPOSITE * int(known.sum()):
                    twins[opposite, at] = other
        return twins

    @property
    def facts(self) -> Bool[Tensor, "n q"]:
        """The labels, each that is the opposite of another one left out."""
        return (self.label >= 0) & (self.twin < 0)

    @property
    def unreadable(self) -> tuple[str, ...]:
        """Names of the questions of which no label may be reported."""
        return tuple(one.name for one, own in zip(self.questions, self.judged.tolist(), strict=True) if not own)

    def reported(self) -> list[tuple[int, int]]:
        """Picture and question of the labels that are reported, the worst first."""
        flagged = self.flagged
        order = self.ranking[flagged].argsort(descending=True, stable=True)
        return [(row, column) for row, column in torch.nonzero(flagged)[order].tolist()]

    def first(self, most: int) -> list[tuple[int, int]]:
        """Picture and question of the labels that most speaks against, the worst first."""
        order = self.ranking.masked_fill(~self.facts, -torch.inf).flatten().argsort(descending=True, stable=True)
        places = [divmod(at, len(self.questions)) for at in order[:most].tolist()]
        return [(row, column) for row, column in places if bool(self.facts[row, column])]


def suspicions(observations: Observations, repeats: int = REPEATS, *, unread: float = UNREAD) -> Suspicions:
    """Judge every label out of fold, several times.

    Args:
        observations: observations with `features`.
        repeats: refits with other folds, and as many on resampled pictures.
        unread: a question is not judged whose surest quarter of answers contradicts a larger share of labels.
    """
    heads = judges(observations)
    mean = torch.stack([heads.answers(salt) for salt in range(repeats)]).mean(0)
    # resampled pictures say how far the answers move; they are fewer distinct ones, so they do not answer themselves
    runs = [heads.answers(salt, bagged=True) for salt in range(repeats)]
    if observations.trained is not None:
        own = torch.where(
            observations.trained[:, None], mean.to(observations.probabilities), observations.probabilities
        )
        observations = replace(observations, probabilities=own)
    columns = [_column(observations, question, runs, mean) for question in observations.questions]
    rates = tuple(
        noise_rate(_pooled(observations, question, mean), _label(observations, question))
        for question in observations.questions
    )
    return Suspicions(
        observations.questions,
        torch.tensor([_readable(observations, question, mean, unread) for question in observations.questions]),
        **{name: torch.stack([one[name] for one in columns], dim=1) for name in columns[0]},
        rates=rates,
    )


def label_noise(observations: Observations) -> Verdict:
    """Labels that are probably wrong, the likeliest first."""
    if observations.features is None:
        return skip("no features of the network were read, so no label can be judged out of fold")
    if len(observations) < LEAST:
        return skip(f"{len(observations)} pictures are too few to judge labels by the others; {LEAST} are needed")
    doubts = suspicions(observations)
    findings = tuple(_finding(observations, doubts, row, q) for row, q in doubts.reported())
    tested = int((doubts.facts & doubts.judged).sum())
    right = float(1 - doubts.chance[doubts.flagged].mean()) if findings else 0.0
    summary: dict[str, Fact] = {
        "labels ranked": int(doubts.facts.sum()),
        "labels judged": tested,
        "reported": len(findings),
        **shares(len(findings), tested),
        **({"expected share of right labels among them": right} if findings else {}),
        "questions without a reliable answer": ", ".join(doubts.unreadable) or "none",
    }
    return Verdict(findings, tested, RULE, summary=summary, table=suspects(observations, doubts))


def shares(reported: int, judged: int) -> dict[str, Fact]:
    """The share of labels that are reported, with its interval; nothing where none was judged."""
    if not judged:
        return {}
    low, high = wilson(reported, judged, confidence=strict())
    return {"share reported": reported / judged, "share from": low, "share to": high}


def suspects(observations: Observations, doubts: Suspicions) -> tuple[dict[str, Fact], ...]:
    """The labels to look at first, reported or not, one record each.

    Args:
        observations: what was judged.
        doubts: how suspicious each label is.
    """
    flagged = doubts.flagged
    return tuple(
        {
            "picture": observations.names[row],
            "question": doubts.questions[column].name,
            "label": _value(observations, doubts.questions[column], int(doubts.label[row, column])),
            "heads say": _value(observations, doubts.questions[column], int(doubts.instead[row, column])),
            "log odds against the label": float(doubts.against[row, column]),
            "reported": "yes" if bool(flagged[row, column]) else "no",
        }
        for row, column in doubts.first(LISTED)
    )


def _readable(observations: Observations, question: Question, heads: Tensor, unread: float) -> bool:
    """Whether a question is answered better out of fold than by its most frequent value."""
    label = _label(observations, question)
    score, base, count = readable(_values(heads, question), label, label >= 0)
    if count < LEAST:
        return False
    low, _ = wilson(round(score * count), count, confidence=strict(len(observations.questions)))
    return low > base and contradicted(_pooled(observations, question, heads), label, 0.25) <= unread


def _values(table: Tensor, question: Question) -> Float[Tensor, "n m"]:
    """Probabilities of a question's answers; absent and present for an attribute alone."""
    own = table[:, list(question.members)]
    return own if question.exclusive else torch.cat([1 - own, own], dim=1)


def _label(observations: Observations, question: Question) -> Int[Tensor, " n"]:
    """The label's answer, -1 for none; an attribute alone answers 0 or 1."""
    if question.exclusive:
        return observations.answers(question.members)
    at = question.members[0]
    return torch.where(observations.weights[:, at] > 0, (observations.targets[:, at] >= 0.5).long(), -1)


def _pooled(observations: Observations, question: Question, heads: Tensor) -> Float[Tensor, "n m"]:
    """The two judges' answers as one: the geometric mean, scaled to sum to 1."""
    own, network = (
        _values(table, question).double().clamp(1e-9, 1.0) for table in (heads, observations.probabilities)
    )
    return ((own.log() + network.log()) / 2).softmax(1)


def _column(observations: Observations, question: Question, runs: list[Tensor], mean: Tensor) -> dict[str, Tensor]:
    """All of `Suspicions` that one question has a column for."""
    label, pool, heads = (
        _label(observations, question),
        _pooled(observations, question, mean),
        _values(mean, question),
    )
    rows, unknown, rate = label.clamp(min=0)[:, None], label < 0, noise_rate(pool, label)
    odds = torch.stack(
        [_odds(_pooled(observations, question, run).gather(1, rows)[:, 0], pool.shape[1], rate) for run in runs]
    )
    spread = odds.std(0) / math.sqrt(len(runs)) if len(runs) > 1 else torch.zeros(len(observations), dtype=odds.dtype)
    reach = STUDENT.get(len(runs), 2.776) * spread
    names = {"low": -1, "chance": 0, "high": 1}
    ends = {n: (odds.mean(0) + way * reach).sigmoid().masked_fill(unknown, torch.nan) for n, way in names.items()}
    others, own = (table.scatter(1, rows, 0.0) for table in (pool, heads))
    instead = torch.where(unknown, pool.argmax(1), others.argmax(1))
    usual = _values(observations.prototypes, question)[observations.labels.clamp(min=0)].nan_to_num()
    sided = usual.gather(1, instead[:, None])[:, 0] - usual.gather(1, rows)[:, 0]
    return {
        **ends,
        "against": (own.amax(1).log() - heads.gather(1, rows)[:, 0].log()).masked_fill(unknown, torch.nan),
        "agreed": (heads.argmax(1) != label) & (others.amax(1) > pool.gather(1, rows)[:, 0]),
        "instead": instead,
        "label": label,
        "sided": torch.where(observations.labels >= 0, sided + _doubt(observations, question), 0.0),
    }


def _doubt(observations: Observations, question: Question) -> Float[Tensor, " n"]:
    """Two standard errors of a difference of shares in the picture's class: smaller ones side with nobody."""
    labelled = observations.labelled(question.members)
    counts = torch.stack(
        [(labelled & (observations.labels == y)).sum() for y in range(len(observations.classes))]
    ).clamp(min=1)
    return (2 * (0.5 / counts).sqrt())[observations.labels.clamp(min=0)]


def contradicted(values: Float[Tensor, "n m"], label: Int[Tensor, " n"], share: float) -> float:
    """Share of labels that the surest answers contradict.

    Args:
        values: probabilities of the answers.
        label: the labels, -1 for none.
        share: how many of the answers count as the surest.
    """
    labelled = label >= 0
    if not bool(labelled.any()):
        return 0.0
    sure, answer = values[labelled].max(1)
    surest = sure >= sure.quantile(1 - share)
    return float((answer != label[labelled])[surest].float().mean())


def noise_rate(values: Float[Tensor, "n m"], label: Int[Tensor, " n"]) -> float:
    """Share of labels that the surest tenth of the answers contradicts, never quite 0."""
    return max(TINY, contradicted(values, label, SUREST))


def _odds(probability: Float[Tensor, " n"], values: int, rate: float) -> Float[Tensor, " n"]:
    """Log-odds that a label is wrong, from the probability that the judges give it."""
    right = probability.clamp(1e-9, 1 - 1e-9)
    return (rate / (values - 1) * (1 - right)).log() - ((1 - rate) * right).log()


def _finding(observations: Observations, doubts: Suspicions, row: int, column: int) -> Finding:
    question = doubts.questions[column]
    says, instead = (
        _answer(observations, question, int(table[row, column])) for table in (doubts.label, doubts.instead)
    )
    own = float(doubts.sided[row, column])
    return WEAKNESS.finding(
        f"{observations.names[row]}: {question.name}",
        f"The label of {observations.names[row]} says {says}; heads that never saw it say {instead}",
        effect=float(doubts.chance[row, column]),
        ends=(float(doubts.low[row, column]), float(doubts.high[row, column])),
        evidence={
            "label": says,
            "instead": instead,
            "class" if observations.label_table is None else "labels": observations.labelled_as(row),
            "log odds against the label": float(doubts.against[row, column]),
            "class sides by": own,
            "estimated noise of the question": doubts.rates[column],
            "the network says": _answer(
                observations, question, int(_values(observations.probabilities[row : row + 1], question).argmax())
            ),
        },
        pictures=(observations.names[row],),
    )


def _answer(observations: Observations, question: Question, at: int) -> str:
    return f"{question.name}: {_value(observations, question, at)}"


def _value(observations: Observations, question: Question, at: int) -> str:
    if question.exclusive:
        return observations.vocabulary.attributes[question.members[at]].value
    return "present" if at else "absent"
