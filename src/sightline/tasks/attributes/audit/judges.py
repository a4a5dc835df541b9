"""Heads that judge labels: of several strengths, for each question the one that foretells its labels best.

A head sees features and the class. With a strong penalty it repeats fewer wrong labels, with a weak one it reads more
off the features; where the class weighs much, attributes that the class decides are read off it. Which of these suits
a question is chosen by the mean log probability of its labels in folds that the head has not seen. Knows no network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.tasks.attributes.audit.crossfit import folds, narrowed, out_of_fold
from sightline.tasks.attributes.audit.observed import Observations, Question

FLOOR = 1e-9


class Strength(NamedTuple):
    """How strongly a head's weights are penalised, and by what its inputs for the class are multiplied."""

    penalty: float
    class_weight: float


STRENGTHS = tuple(Strength(penalty, weight) for penalty in (1e-2, 5e-2, 0.25) for weight in (1.0, 10.0))
CHOOSING = 3
"""Folds by which a strength is chosen: fewer than heads answer by, to spare time."""


@dataclass(frozen=True, eq=False)
class Judges:
    """What the heads are fitted on, and the strength that suits each question.

    Args:
        features: narrowed features.
        classes: one-hot classes, or labels; zeros for a picture without a class, no column where these are the
            question.
        targets: the labels, 0..1.
        weights: how sure they are.
        questions: what has one answer.
        names: names of the pictures, which decide the folds.
        chosen: position in `STRENGTHS` of each question's.
    """

    features: Float[Tensor, "n d"]
    classes: Float[Tensor, "n y"]
    targets: Float[Tensor, "n k"]
    weights: Float[Tensor, "n k"]
    questions: tuple[Question, ...]
    names: tuple[str, ...]
    chosen: tuple[int, ...]

    def answers(self, salt: int = 0, *, bagged: bool = False) -> Float[Tensor, "n k"]:
        """Probabilities by heads that were fitted without the picture's fold.

        Args:
            salt: another division into folds.
            bagged: whether the pictures that are fitted on are drawn with replacement.
        """
        out, fold = torch.full_like(self.targets, torch.nan), folds(self.names, salt=salt)
        for at in sorted(set(self.chosen)):
            own = [one for one, strength in zip(self.questions, self.chosen, strict=True) if strength == at]
            members = [member for question in own for member in question.members]
            drawn = salt + 1 if bagged else None
            out[:, members] = _answers(self, _moved(own), members, STRENGTHS[at], fold=fold, bagged=drawn)
        return out.clamp(FLOOR, 1 - FLOOR)


def judges(observations: Observations) -> Judges:
    """Heads for every question, with the strength that suits it.

    Args:
        observations: observations with `features`.
    """
    features = torch.zeros(len(observations), 0) if observations.features is None else observations.features
    plain = Judges(
        narrowed(features),
        _classes(observations).double(),
        observations.targets,
        observations.weights,
        observations.questions,
        observations.names,
        (0,) * len(observations.questions),
    )
    return Judges(**(vars(plain) | {"chosen": _suited(plain)}))


def _classes(observations: Observations) -> Float[Tensor, "n y"]:
    """What is known of each picture's class or labels; no column where these are the question."""
    if observations.label_table is not None:
        return torch.where(
            observations.label_table.isnan(), observations.label_table.nanmean(0), observations.label_table
        ).nan_to_num(0.5)
    labels = observations.labels
    classes = torch.nn.functional.one_hot(labels.clamp(min=0), len(observations.classes)) * (labels >= 0)[:, None]
    # the class itself may be the question: then no picture has one beside it
    return classes if bool((labels >= 0).any()) else classes[:, :0]


def _suited(judges: Judges) -> tuple[int, ...]:
    """Position of each question's best strength."""
    members, fold = range(judges.targets.shape[1]), folds(judges.names, CHOOSING)
    gains = torch.full((len(STRENGTHS), len(judges.questions)), -torch.inf)
    for at, strength in enumerate(STRENGTHS):
        # without a class beside the question its weight changes nothing
        if judges.classes.shape[1] or strength.class_weight == 1:
            gains[at] = _gains(judges, _answers(judges, judges.questions, members, strength, fold=fold))
    return tuple(gains.argmax(0).tolist())


def _answers(
    judges: Judges,
    questions: Sequence[Question],
    members: Sequence[int],
    strength: Strength,
    *,
    fold: Int[Tensor, " n"],
    bagged: int | None = None,
) -> Float[Tensor, "n k"]:
    return out_of_fold(
        torch.cat([judges.features, strength.class_weight * judges.classes], dim=1),
        judges.targets[:, members],
        judges.weights[:, members],
        questions,
        fold,
        penalty=strength.penalty,
        bagged=bagged,
    )


def _moved(questions: Sequence[Question]) -> tuple[Question, ...]:
    """The same questions of a table that has their columns only."""
    out, at = [], 0
    for question in questions:
        out.append(question._replace(members=tuple(range(at, at + len(question.members)))))
        at += len(question.members)
    return tuple(out)


def _gains(judges: Judges, answers: Float[Tensor, "n k"]) -> Float[Tensor, " q"]:
    """Log probability of all labels of each question."""
    values, sure = answers.double().clamp(FLOOR, 1 - FLOOR), judges.weights.double()
    there = (sure * judges.targets * values.log()).sum(0)
    absent = (sure * (1 - judges.targets) * (1 - values).log()).sum(0)
    return torch.stack(
        [
            there[list(one.members)].sum() + (0.0 if one.exclusive else absent[list(one.members)].sum())
            for one in judges.questions
        ]
    ).float()
