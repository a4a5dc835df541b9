"""Labels of attributes that are probably wrong, ranked; a label is judged by what never saw it.

Heads on frozen features answer out of fold; they are told the class too, so it weighs as much as the other folds show
that it should. (A prototype counted without the fold would tell the fold's labels: it is low where they are high.)
With noise of rate e that picks any other of m values alike, a head says q_v = (1 - e) p_v + e (1 - p_v) / (m - 1),
where p is what is true. e is estimated where the head is surest (its surest half), q is turned back into p, and
Bayes' rule gives the chance that label l is wrong:

    1 - (1 - e) p_l / ((1 - e) p_l + e (1 - p_l) / (m - 1))
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sightline.attributes.audit.crossfit import folds, narrowed, out_of_fold, readable
from sightline.attributes.audit.findings import Fact, Finding, Verdict, skip
from sightline.attributes.audit.observed import Observations, Question
from sightline.attributes.audit.trials import wilson

KIND = "label-noise"
REPEATS = 3
"""Refits on resampled pictures, each with folds of its own."""
WRONG = 0.9
"""A label is reported from this chance of being wrong on."""
TINY = 1e-4
LEAST = 40
RULE = (
    f"a label is reported where it is wrong with a chance of {WRONG:g} or more, one half lies outside the interval "
    f"over {REPEATS} refits, and the class's prototype does not side with the label; only questions that "
    "out-of-fold heads answer better than their most frequent value are judged; the expected share of right labels "
    "among those reported is in the summary (false discovery rate)"
)


@dataclass(frozen=True, eq=False)
class Suspicions:
    """How probably each answered question was answered wrongly in the labels.

    Args:
        questions: those that are judged.
        chance: that the label is wrong; NaN where there is none.
        low: lower end of its 95 % interval over refits.
        high: upper end.
        instead: position in the question of the likeliest answer.
        label: position of the label's; -1 where there is none.
        sided: share of the class's pictures that have the likeliest answer, less those that have the label's.
        rates: estimated share of wrong labels, by question.
        unreadable: names of the questions that nobody could answer.
    """

    questions: tuple[Question, ...]
    chance: Float[Tensor, "n q"]
    low: Float[Tensor, "n q"]
    high: Float[Tensor, "n q"]
    instead: Int[Tensor, "n q"]
    label: Int[Tensor, "n q"]
    sided: Float[Tensor, "n q"]
    rates: tuple[float, ...]
    unreadable: tuple[str, ...]

    @property
    def ranking(self) -> Float[Tensor, "n q"]:
        """The chance, or -1 where there is no label, or the class sides with it, or nothing else is likelier."""
        judged = (self.label >= 0) & (self.instead != self.label) & (self.sided >= 0)
        return torch.where(judged, self.chance.nan_to_num(-1.0), -1.0)

    @property
    def flagged(self) -> Bool[Tensor, "n q"]:
        """The labels that are reported."""
        return (self.ranking >= WRONG) & (self.low > 0.5)


def suspicions(seen: Observations, repeats: int = REPEATS) -> Suspicions:
    """Judge every label out of fold, several times.

    Args:
        seen: with `features`.
        repeats: refits on resampled pictures.
    """
    runs = [_answered(seen, repeat) for repeat in range(repeats)]
    mean = torch.stack([run.log() for run in runs]).mean(0).exp()
    judged, unreadable = _readable(seen, mean)
    columns = [_judged(seen, question, runs, mean) for question in judged]
    if not columns:
        empty = torch.zeros(len(seen), 0)
        whole = empty.long()
        return Suspicions((), empty, empty, empty, whole, whole, empty, (), unreadable)
    rates = tuple(float(column[-1]) for column in columns)
    chance, low, high, instead, label, sided = (
        torch.stack([torch.as_tensor(column[i]) for column in columns], dim=1) for i in range(6)
    )
    return Suspicions(judged, chance, low, high, instead.long(), label.long(), sided, rates, unreadable)


def label_noise(seen: Observations) -> Verdict:
    """Labels that are probably wrong, the likeliest first."""
    if seen.features is None:
        return skip("no features of the network were read, so no label can be judged out of fold")
    if len(seen) < LEAST:
        return skip(f"{len(seen)} pictures are too few to judge labels by the others; {LEAST} are needed")
    found = suspicions(seen)
    flagged = torch.nonzero(found.flagged)
    order = flagged[found.ranking[found.flagged].argsort(descending=True, stable=True)].tolist()
    findings = tuple(_finding(seen, found, row, q) for row, q in order)
    tested = int((found.label >= 0).sum())
    low, high = wilson(len(findings), tested)
    summary: dict[str, Fact] = {
        "labels judged": tested,
        "reported": len(findings),
        "share reported": len(findings) / max(1, tested),
        "share from": low,
        "share to": high,
        "expected share of right labels among them": float(1 - found.ranking[found.flagged].mean())
        if findings
        else 0.0,
        "questions that nobody can answer": ", ".join(found.unreadable) or "none",
    }
    return Verdict(findings, tested, RULE, summary=summary)


def _answered(seen: Observations, repeat: int) -> Float[Tensor, "n k"]:
    """One round of out-of-fold answers."""
    fold = folds(seen.names, salt=repeat)
    kinds = torch.nn.functional.one_hot(seen.labels.clamp(min=0), len(seen.classes)) * (seen.labels >= 0)[:, None]
    features = torch.zeros(len(seen), 0) if seen.features is None else seen.features
    table = torch.cat([narrowed(features), kinds.double()], dim=1)
    bagged = repeat if repeat else None
    return out_of_fold(table, seen.targets, seen.weights, seen.questions, fold, bagged=bagged).clamp(1e-9, 1 - 1e-9)


def _readable(seen: Observations, said: Tensor) -> tuple[tuple[Question, ...], tuple[str, ...]]:
    """Questions answered better out of fold than by their most frequent value, and the names of the others."""
    kept: list[Question] = []
    lost: list[Question] = []
    for question in seen.questions:
        label = _label(seen, question)
        score, base, count = readable(_values(said, question), label, label >= 0)
        good = count >= LEAST and wilson(round(score * count), count, len(seen.questions))[0] > base
        (kept if good else lost).append(question)
    return tuple(kept), tuple(question.name for question in lost)


def _values(said: Tensor, question: Question) -> Float[Tensor, "n m"]:
    """Probabilities of a question's answers; absent and present for an attribute alone."""
    own = said[:, list(question.members)]
    return own if question.exclusive else torch.cat([1 - own, own], dim=1)


def _label(seen: Observations, question: Question) -> Int[Tensor, " n"]:
    """The label's answer, -1 for none; an attribute alone answers 0 or 1."""
    if question.exclusive:
        return seen.answers(question.members)
    at = question.members[0]
    return torch.where(seen.weights[:, at] > 0, (seen.targets[:, at] >= 0.5).long(), -1)


def _judged(seen: Observations, question: Question, runs: list[Tensor], mean: Tensor) -> tuple[Tensor, ...]:
    """Chance, its interval, the likelier answer, the label, the class's side, and the rate of noise."""
    label, values = _label(seen, question), _values(mean, question)
    rows = label.clamp(min=0)[:, None]
    rate = noise_rate(values, label)
    odds = torch.stack([_odds(_values(run, question).gather(1, rows)[:, 0], values.shape[1], rate) for run in runs])
    centre, spread = odds.mean(0), odds.std(0) / math.sqrt(len(runs)) if len(runs) > 1 else torch.zeros(len(seen))
    reach = NormalDist().inv_cdf(0.975) * spread
    unknown = label < 0
    ends = [(centre + way * reach).sigmoid().masked_fill(unknown, torch.nan) for way in (0, -1, 1)]
    instead = values.argmax(1)
    usual = _values(seen.prototypes, question)[seen.labels.clamp(min=0)].nan_to_num()
    sided = usual.gather(1, instead[:, None])[:, 0] - usual.gather(1, rows)[:, 0]
    sided = torch.where(seen.labels >= 0, sided + _doubt(seen, question), 0.0)
    return (*ends, instead, label, sided, torch.tensor(rate))


def _doubt(seen: Observations, question: Question) -> Float[Tensor, " n"]:
    """Two standard errors of a difference of shares in the picture's class: smaller ones side with nobody."""
    known = seen.known(question.members)
    counts = torch.stack([(known & (seen.labels == y)).sum() for y in range(len(seen.classes))]).clamp(min=1)
    return (2 * (0.5 / counts).sqrt())[seen.labels.clamp(min=0)]


def noise_rate(values: Float[Tensor, "n m"], label: Int[Tensor, " n"]) -> float:
    """Share of labels that the surest half of the answers contradicts, never quite 0."""
    known = label >= 0
    sure, said = values[known].max(1)
    kept = sure >= sure.median()
    wrong = int((said != label[known])[kept].sum())
    return min(0.4, max(TINY, wrong / max(1, int(kept.sum()))))


def _odds(said: Float[Tensor, " n"], values: int, rate: float) -> Float[Tensor, " n"]:
    """Log-odds that a label is wrong, from what an out-of-fold head says of it."""
    other = rate / (values - 1)
    true = ((said - other) / (1 - rate - other)).clamp(TINY, 1 - TINY)
    return (other * (1 - true)).log() - ((1 - rate) * true).log()


def _finding(seen: Observations, found: Suspicions, row: int, column: int) -> Finding:
    question, chance = found.questions[column], float(found.chance[row, column])
    says, instead = (_named(seen, question, int(table[row, column])) for table in (found.label, found.instead))
    own = float(found.sided[row, column])
    return Finding(
        KIND,
        "data",
        f"{seen.names[row]}: {question.name}",
        f"The label of {seen.names[row]} says {says}; heads that never saw it say {instead}",
        chance,
        "chance that the label is wrong",
        float(found.low[row, column]),
        float(found.high[row, column]),
        0.5,
        evidence={
            "label": says,
            "instead": instead,
            "class": seen.classes[int(seen.labels[row])] if int(seen.labels[row]) >= 0 else "none",
            "class sides by": own,
            "estimated noise of the question": found.rates[column],
            "the network says": _named(
                seen, question, int(_values(seen.probabilities[row : row + 1], question).argmax())
            ),
        },
    )


def _named(seen: Observations, question: Question, at: int) -> str:
    if question.exclusive:
        return f"{question.name}: {seen.vocabulary.attributes[question.members[at]].value}"
    return f"{question.name}: {'present' if at else 'absent'}"
