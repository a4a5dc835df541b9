"""`Skill`: which attributes a network has been shown to read, measured against two controls on validation pictures.

The controls never look at the attribute: one says how frequent it is, the other what the predicted class alone
implies. A text may speak only of what beats them. Pure functions of tensors; knows no network and no sentence.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import isnan

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sightline.common.statistics.bootstrap import mean_columns
from sightline.common.statistics.intervals import wilson
from sightline.common.statistics.significance import discoveries
from sightline.tasks.attributes.network.calibration import Calibration, log_odds, platt

UNMEASURED, UNREAD, TYPICAL, SEEN = -1.0, 0.0, 1.0, 2.0
"""Standing of an attribute: nobody measured it; it beats no control; only the frequency; both controls."""
FEW = 5
"""An attribute that fewer validation pictures have, or lack, is not measured."""
FOLDS = 5
TRUE = 0.9
"""Share of what is called seen that has to be true, surely: the lower end of its interval on validation pictures."""
FLOORS = tuple(level / 100 for level in range(50, 96, 5))
"""Probabilities from which attributes may be called seen; the lowest that is true often enough is taken."""


@dataclass(frozen=True, eq=False)
class Skill:
    """What was measured of each attribute.

    Args:
        over_frequent: gain over the frequency of the attribute, as a difference of Brier scores: mean, lower and
            upper end of its 95 % interval; NaN where it was not measured.
        over_class: the same over what the predicted class implies.
        standing: `UNMEASURED`, `UNREAD`, `TYPICAL` or `SEEN`.
        floor: calibrated probability from which an attribute may be called seen.
        pictures: validation pictures on which the attribute is known.
    """

    over_frequent: Float[Tensor, "3 k"]
    over_class: Float[Tensor, "3 k"]
    standing: Float[Tensor, " k"]
    floor: Float[Tensor, " k"]
    pictures: Float[Tensor, " k"]

    @classmethod
    def unmeasured(cls, attributes: int) -> Skill:
        """Of a network whose attributes nobody compared with the controls."""
        nothing = torch.full((3, attributes), torch.nan)
        return cls(
            over_frequent=nothing,
            over_class=nothing.clone(),
            standing=torch.full((attributes,), UNMEASURED),
            floor=torch.full((attributes,), FLOORS[-1]),
            pictures=torch.zeros(attributes),
        )

    @classmethod
    def given(cls, standing: Float[Tensor, " k"], floor: float = 0.5) -> Skill:
        """Of attributes whose standing is known from elsewhere, such as a test's."""
        own = {"standing": standing.float(), "floor": torch.full((len(standing),), floor)}
        return cls(**{**cls.unmeasured(len(standing)).tensors(), **own})

    @property
    def measured(self) -> bool:
        """Whether anybody compared the network with the controls."""
        return bool((self.standing > UNMEASURED).any())

    def tensors(self) -> dict[str, Tensor]:
        """By name, to be saved."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, eq=False)
class Answers:
    """What a network says of validation pictures, and what is true of them.

    Args:
        probabilities: a, not calibrated.
        predicted: predicted class of every picture.
        targets: what is true, 0..1; from a half on an attribute counts as there.
        weights: how sure that is; 0 unknown.
        implied: what the predicted class alone implies; None takes the calibration's prototypes. Where networks were
            cross-fitted, those of each fold belong here.
    """

    probabilities: Float[Tensor, "n k"]
    predicted: Int[Tensor, " n"]
    targets: Float[Tensor, "n k"]
    weights: Float[Tensor, "n k"]
    implied: Float[Tensor, "n k"] | None = None

    def and_of(self, others: Answers) -> Answers:
        """These and those of other pictures; both say what the predicted class implies."""
        return Answers(*(torch.cat([getattr(one, field.name) for one in (self, others)]) for field in fields(self)))


def measure_skill(answers: Answers, calibration: Calibration, *, folds: int = FOLDS, seed: int = 0) -> Skill:
    """Compare a network with both controls, all three calibrated on other pictures than those they are judged on.

    An attribute is `SEEN` where its Brier score beats both controls - the paired interval of the difference lies
    above zero, and it is a discovery among all attributes (false discovery rate 5 %) - `TYPICAL` where it beats the
    frequency only, `UNREAD` otherwise.

    Args:
        answers: what the network says of pictures that it was not trained on.
        calibration: prior correction and class prototypes of its training pictures.
        folds: number of folds; each is calibrated on the others.
        seed: seed of the folds.
    """
    scores = brier_scores(answers, calibration, folds=folds, seed=seed)
    enough = scores.enough
    gains = [
        torch.where(enough, control - scores.network, torch.nan) for control in (scores.frequent, scores.by_class)
    ]
    intervals = [mean_columns(gain) for gain in gains]
    frequent_wins, class_wins = (_better(gain, interval) for gain, interval in zip(gains, intervals, strict=True))
    standing = torch.where(frequent_wins, torch.where(class_wins, SEEN, TYPICAL), UNREAD)
    known, truth = answers.weights > 0, (answers.targets >= 0.5).double()
    floor = floor_of(scores.read, truth, known & (standing == SEEN), calibration.threshold)
    return Skill(
        over_frequent=intervals[0].float(),
        over_class=intervals[1].float(),
        standing=standing,
        floor=torch.full_like(standing, floor),
        pictures=known.sum(0).float(),
    )


@dataclass(frozen=True, eq=False)
class BrierScores:
    """Squared errors of a network and of both controls, picture by picture; NaN where the attribute is not known.

    Args:
        read: calibrated probabilities of the network.
        network: its errors.
        frequent: errors of whoever knows only how frequent the attribute is.
        by_class: errors of whoever knows only the predicted class.
        enough: known, and of an attribute that enough pictures have and enough lack.
    """

    read: Float[Tensor, "n k"]
    network: Float[Tensor, "n k"]
    frequent: Float[Tensor, "n k"]
    by_class: Float[Tensor, "n k"]
    enough: Bool[Tensor, "n k"]


def brier_scores(answers: Answers, calibration: Calibration, *, folds: int = FOLDS, seed: int = 0) -> BrierScores:
    """Errors of a network and of both controls, all calibrated on other pictures than those they are judged on.

    Arguments as for `measure_skill`.
    """
    known, truth = answers.weights > 0, (answers.targets >= 0.5).double()
    read = cross_fitted(calibration.corrected(answers.probabilities), answers, folds, seed)
    by_class = cross_fitted(_implied(answers, calibration), answers, folds, seed)
    frequent = cross_fitted(torch.full_like(answers.probabilities, 0.5), answers, folds, seed)
    errors = [torch.where(known, (said - truth) ** 2, torch.nan) for said in (read, frequent, by_class)]
    common = ((known & (truth > 0)).sum(0) >= FEW) & ((known & (truth == 0)).sum(0) >= FEW)
    return BrierScores(read, errors[0], errors[1], errors[2], known & common)


def cross_fitted(
    probabilities: Float[Tensor, "n k"], answers: Answers, folds: int = FOLDS, seed: int = 0
) -> Float[Tensor, "n k"]:
    """Probabilities calibrated by Platt's method, each picture from the pictures of the other folds.

    Args:
        probabilities: what is calibrated: those of the network, or of a control.
        answers: what is true.
        folds: number of folds.
        seed: seed of the folds.
    """
    count = len(probabilities)
    fold = torch.randperm(count, generator=torch.Generator().manual_seed(seed)) % max(2, min(folds, count))
    out = probabilities.double().clone()
    for one in range(int(fold.max()) + 1):
        own, rest = fold == one, fold != one
        slope, offset = platt(probabilities[rest], answers.targets[rest], answers.weights[rest])
        out[own] = (slope * log_odds(probabilities[own]) + offset).sigmoid().double()
    return out


def floor_of(
    said: Float[Tensor, "n k"], truth: Float[Tensor, "n k"], counted: Bool[Tensor, "n k"], threshold: Tensor
) -> float:
    """The lowest of `FLOORS` from which surely a share of `TRUE` of what is said is true; else the highest.

    Surely: the lower end of Wilson's 95 % interval. The share alone, of the lowest of many floors that reaches it,
    is too high by luck, and on other pictures less is true.
    """
    for floor in FLOORS:
        mentions = counted & (said >= threshold.clamp(min=floor))
        low, _ = wilson(int(truth[mentions].sum()), int(mentions.sum()))
        if low >= TRUE:
            return floor
    return FLOORS[-1]


def implied_by(prototypes: Float[Tensor, "y k"], predicted: Int[Tensor, " n"]) -> Float[Tensor, "n k"]:
    """What the predicted class alone says; the mean over classes where nobody knows the class.

    Args:
        prototypes: per class the share of training pictures that have an attribute; NaN where unknown.
        predicted: predicted class of every picture.
    """
    table: Tensor = torch.where(prototypes.isnan(), prototypes.nanmean(0), prototypes).nan_to_num(0.5)
    return table[predicted]


def _implied(answers: Answers, calibration: Calibration) -> Float[Tensor, "n k"]:
    own = answers.implied
    return (implied_by(calibration.prototypes, answers.predicted) if own is None else own).clamp(0.02, 0.98)


def _better(gain: Float[Tensor, "n k"], interval: Float[Tensor, "3 k"]) -> Bool[Tensor, " k"]:
    """Whether a gain is above zero by its interval, and remains so among as many as were looked at."""
    from scipy.stats import ttest_1samp

    above = interval[1] > 0
    measured = ~interval[0].isnan()
    if not bool(measured.any()):
        return above
    chances = ttest_1samp(gain[:, measured].numpy(), 0, axis=0, nan_policy="omit", alternative="greater").pvalue
    certain = torch.zeros_like(above)
    # a gain without any spread has no p: it is no evidence either way
    certain[measured] = torch.tensor(discoveries([1.0 if isnan(chance) else float(chance) for chance in chances]))
    return above & certain
