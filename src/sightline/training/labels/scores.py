"""What a network of several labels can do on its test pictures, label by label, beside its controls.

AUROC and average precision with resampled intervals; controls are chance (AUROC 0.5, average precision the share of
positives) and a linear probe on the same pictures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.common.statistics.bootstrap import Interval
from sightline.common.statistics.intervals import wilson
from sightline.common.statistics.ranking import auroc, average_precision, interval_of, resampled
from sightline.training.operating import OperatingPoint, Share
from sightline.training.standing import CURE

CHANCE = 0.5


@dataclass(frozen=True)
class LabelScore:
    """One label on the test pictures.

    Args:
        label: its name.
        positives: test pictures that have it.
        negatives: test pictures that are known not to.
        auroc: area under the ROC curve; NaN where one kind of picture is missing.
        precision: average precision.
        probe: the linear probe's AUROC; None without a probe.
        over_probe: AUROC less the probe's, paired over pictures; None without a probe.
        point: the threshold, and what it reached.
    """

    label: str
    positives: int
    negatives: int
    auroc: Interval
    precision: Interval
    probe: Interval | None
    over_probe: Interval | None
    point: OperatingPoint

    @property
    def prevalence(self) -> float:
        """Share of positives among the known: the average precision of chance."""
        return self.positives / max(1, self.positives + self.negatives)


@dataclass(frozen=True)
class MultiLabelled:
    """What a training left behind.

    Args:
        scores: for each label.
        mean: mean AUROC over the labels that could be measured.
        over_probe: mean AUROC less the probe's, paired over pictures; None without a probe.
        clear: share of the test pictures without any finding on which no label is flagged; None where there is none.
        total: test pictures.
        grouped: whether whole groups were resampled.
        epochs: how many were trained.
        best: the epoch whose weights are kept, by validation loss; 0 for the linear probe that training began with.
        parameters: number of parameters.
        files: weights, card, page.
        notes: what was noticed in the data.
    """

    scores: tuple[LabelScore, ...]
    mean: Interval
    over_probe: Interval | None
    clear: Share | None
    total: int
    grouped: bool
    epochs: int
    best: int
    parameters: int
    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def alarm(self) -> str:
        """A sentence where training is below the probe or at chance; empty otherwise."""
        gap = self.over_probe
        if gap is not None and gap.mean < 0:
            firm = "" if gap.high < 0 else ", which may be chance"
            return (
                f"Below the linear probe: mean AUROC {self.mean.mean:.3f} (difference {gap.mean:+.3f} "
                f"[{gap.low:+.3f}, {gap.high:+.3f}]{firm}). Logistic regression on the features before training does "
                f"better: {CURE}."
            )
        if self.mean.low <= CHANCE:
            return f"No better than chance is shown: mean AUROC {self.mean}. Do not use these weights."
        return ""


def label_scores(
    logits: Float[Tensor, "n k"],
    truth: Float[Tensor, "n k"],
    points: Sequence[OperatingPoint],
    *,
    probe: Float[Tensor, "n k"] | None = None,
    groups: Sequence[str] = (),
    draws: int = 1000,
) -> tuple[tuple[LabelScore, ...], Interval, Interval | None]:
    """Every label's figures, the mean AUROC, and that mean less the probe's.

    All intervals are of the same resamples: pictures, or whole groups.

    Args:
        logits: of the test pictures.
        truth: 1, 0, or NaN for unknown.
        points: operating points, judged.
        probe: the probe's logits of the same pictures.
        groups: group of each picture.
        draws: number of resamples.
    """
    ours = _areas(logits, truth, groups, draws)
    theirs = None if probe is None else _areas(probe, truth, groups, draws)
    scores = []
    for at, point in enumerate(points):
        own, positives = truth[:, at], int((truth[:, at] == 1).sum())
        negatives, n = int((own == 0).sum()), int(torch.isfinite(own).sum())
        value = float(average_precision(logits[:, at], own)) if positives else math.nan
        among = _resampled_precision(logits[:, at], own, groups, draws)
        scores.append(
            LabelScore(
                label=point.label,
                positives=positives,
                negatives=negatives,
                auroc=interval_of(float(ours[0][at]), ours[1][:, at], n),
                precision=interval_of(value, among, n),
                probe=None if theirs is None else interval_of(float(theirs[0][at]), theirs[1][:, at], n),
                over_probe=None if theirs is None else _gap(ours, theirs, at, n),
                point=point,
            )
        )
    mean = interval_of(float(ours[0].nanmean()), ours[1].nanmean(1), len(truth))
    if theirs is None:
        return tuple(scores), mean, None
    gap = float((ours[0] - theirs[0]).nanmean())
    return tuple(scores), mean, interval_of(gap, (ours[1] - theirs[1]).nanmean(1), len(truth))


def clear_share(
    probabilities: Float[Tensor, "n k"], truth: Float[Tensor, "n k"], points: Sequence[OperatingPoint]
) -> Share | None:
    """Share of the pictures without any finding on which no label reaches its threshold, with Wilson's interval.

    Args:
        probabilities: of the test pictures.
        truth: 1, 0, or NaN for unknown; only pictures of zeros are without a finding.
        points: thresholds.
    """
    empty = (truth == 0).all(1)
    if not bool(empty.any()):
        return None
    thresholds = torch.tensor([point.threshold for point in points], dtype=torch.float64)
    quiet = (probabilities[empty].double() < thresholds).all(1)
    hits, total = int(quiet.sum()), int(empty.sum())
    return hits / total, *wilson(hits, total)


def mean_auroc(logits: Float[Tensor, "n k"], truth: Float[Tensor, "n k"]) -> Float[Tensor, ""]:
    """Mean AUROC over the labels that have pictures of both kinds; chance where none has."""
    areas = torch.cat([auroc(own, known) for own, known in zip(logits.T, truth.T, strict=True)])
    return areas.nanmean().float().nan_to_num(CHANCE)


Areas = tuple[Float[Tensor, "k"], Float[Tensor, "d k"]]


def _areas(logits: Tensor, truth: Tensor, groups: Sequence[str], draws: int) -> Areas:
    """AUROC of every label, of all pictures and of each resample."""

    def areas(counts: Tensor) -> Tensor:
        own = [auroc(scores, known, counts) for scores, known in zip(logits.T, truth.T, strict=True)]
        return torch.stack(own, 1)

    return areas(torch.ones(1, len(truth)))[0], resampled(areas, len(truth), groups=groups, draws=draws)


def _resampled_precision(scores: Tensor, truth: Tensor, groups: Sequence[str], draws: int) -> Float[Tensor, "d"]:
    return resampled(lambda counts: average_precision(scores, truth, counts), len(truth), groups=groups, draws=draws)


def _gap(ours: Areas, theirs: Areas, at: int, n: int) -> Interval:
    return interval_of(float(ours[0][at] - theirs[0][at]), ours[1][:, at] - theirs[1][:, at], n)
