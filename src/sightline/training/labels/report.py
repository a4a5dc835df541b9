"""Figures of several labels in words: facts, verdict, tables and ROC curves, for card and page of every task.

It knows figures and operating points, not how they came about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.common.statistics.bootstrap import Interval
from sightline.training.labels.scores import LabelScore, MultiLabelled
from sightline.training.operating import OperatingPoint, share_text

DRAWN = 12
"""Most labels whose curves are drawn."""
LABELS, POINTS = "Labels on the test pictures", "Thresholds"


def label_facts(outcome: MultiLabelled, aim: str) -> dict[str, str]:
    """What a card's table says of the labels, by name.

    Args:
        outcome: the figures.
        aim: what thresholds were chosen for.
    """
    return {
        "mean AUROC": f"{_interval(outcome.mean)} over {_measured(outcome)} of {len(outcome.scores)} labels; "
        "chance 0.5",
        **_probe(outcome),
        "no finding": "not measured: no test picture is known to have no label"
        if outcome.clear is None
        else f"{share_text(outcome.clear)} of the test pictures without any label are free of alarms",
        "thresholds": f"chosen for {aim}",
    }


def table_words(outcome: MultiLabelled) -> dict[str, str]:
    """What the columns of `tables` mean, by their heading."""
    over = "whole groups of pictures" if outcome.grouped else "pictures"
    return {
        LABELS: "AUROC is the chance that a picture with the label scores above one without; 0.5 is chance. Average "
        f"precision of chance is the share of pictures with the label. Intervals (95 %) are over {over}, for "
        "this one training.",
        POINTS: "A label counts as present from its threshold on. Sensitivity is the share of pictures with the "
        "label that are found, specificity the share of those without it that are cleared.",
    }


def verdict(outcome: MultiLabelled) -> str:
    """What came of the training, beside chance and the probe."""
    gap = outcome.over_probe
    if not outcome.best:
        beside = " No epoch was better on validation than the linear probe that training began with, so it is kept."
        return f"{_reached(outcome)}{beside}"
    beside = (
        ""
        if gap is None
        else (
            f" A linear probe is {abs(gap.mean):.3f} {'below' if gap.mean >= 0 else 'above'} that "
            f"(difference {gap.mean:+.3f} [{gap.low:+.3f}, {gap.high:+.3f}])."
        )
    )
    return f"{_reached(outcome)}{beside}"


def _reached(outcome: MultiLabelled) -> str:
    return (
        f"On {outcome.total} test pictures the mean AUROC over {_measured(outcome)} labels is "
        f"{_interval(outcome.mean)}; chance is 0.5."
    )


def headline(outcome: MultiLabelled) -> list[tuple[str, str, str]]:
    """Figures to look at first: name, value, and what it means."""
    over = "whole groups" if outcome.grouped else "pictures"
    figures = [
        (
            "mean AUROC",
            f"{outcome.mean.mean:.3f}",
            f"over labels; 95 % interval {outcome.mean.low:.3f} to {outcome.mean.high:.3f} over {over}, for "
            "this one training",
        ),
        ("chance", "0.500", "the control: scores that never look at a picture"),
    ]
    if outcome.over_probe is not None:
        words = "the control: logistic regression on the network's features before training"
        figures.append(("linear probe", f"{outcome.mean.mean - outcome.over_probe.mean:.3f}", words))
    if outcome.clear is not None:
        words = "share of pictures without any label on which no label is flagged"
        figures.append(("no finding", f"{outcome.clear[0]:.1%}", words))
    return figures


def tables(outcome: MultiLabelled) -> dict[str, list[tuple[str, ...]]]:
    """Figures and thresholds of every label; the first row is the header."""
    return {
        LABELS: [("label", "with, without", "AUROC", "linear probe", "over the probe", "average precision", "chance"),
                 *map(_label_row, outcome.scores)],
        POINTS: [("label", "threshold", "chosen for", "sensitivity", "specificity", "remark"),
                 *(_point_row(score.point) for score in outcome.scores)],
    }  # fmt: skip


def narrow_tables(outcome: MultiLabelled) -> list[list[tuple[str, ...]]]:
    """The tables with as many columns as a terminal has room for; the first row of each is its header."""
    own = tables(outcome)
    return [[row[:5] for row in own[LABELS]], own[POINTS]]


def kept_text(outcome: MultiLabelled) -> str:
    """Which epoch's weights these are."""
    if outcome.best:
        return f"epoch {outcome.best} kept by validation loss"
    return "none of them better on validation than the linear probe it began with, which is kept"


@dataclass(frozen=True)
class LabelCurve:
    """What a label's threshold trades, to be drawn.

    Args:
        label: the label.
        curve: share of false alarms and of finds at every threshold.
        point: its operating point, judged.
    """

    label: str
    curve: tuple[tuple[float, float], ...]
    point: OperatingPoint

    @property
    def title(self) -> str:
        """Heading of the drawing."""
        return f"Threshold of {self.label}"

    @property
    def words(self) -> str:
        """What is seen in it."""
        own = self.point
        return (
            f"Threshold {own.threshold:.3f}: sensitivity {share_text(own.sensitivity)}, specificity "
            f"{share_text(own.specificity)}. {own.remark.capitalize()}"
        ).strip()


def label_curves(
    probabilities: Float[Tensor, "n k"], truth: Float[Tensor, "n k"], points: Sequence[OperatingPoint]
) -> tuple[LabelCurve, ...]:
    """Curves of the labels with most test pictures.

    Args:
        probabilities: of the test pictures.
        truth: 1, 0, or NaN for unknown.
        points: operating points, judged.
    """
    order = sorted(range(len(points)), key=lambda at: (-int((truth[:, at] == 1).sum()), at))
    usable = [at for at in order if {0.0, 1.0} <= set(truth[:, at].tolist())]
    return tuple(
        LabelCurve(points[at].label, tuple(roc_curve(probabilities[:, at], truth[:, at])), points[at])
        for at in usable[:DRAWN]
    )


def roc_curve(scores: Float[Tensor, "n"], truth: Float[Tensor, "n"]) -> list[tuple[float, float]]:
    """Share of false alarms and of finds at every threshold, from the highest down; equal scores are one step.

    Args:
        scores: of pictures.
        truth: 1, 0, or NaN for unknown; both kinds are there.
    """
    known = torch.isfinite(truth)
    distinct, place = torch.unique(scores[known], return_inverse=True)
    empty = torch.zeros(len(distinct), dtype=torch.float64)
    hits, alarms = (empty.index_add(0, place, part.double()).flip(0).cumsum(0) for part in _kinds(truth[known]))
    points = zip((alarms / alarms[-1]).tolist(), (hits / hits[-1]).tolist(), strict=True)
    return [(0.0, 0.0), *points]


def _kinds(truth: Tensor) -> tuple[Tensor, Tensor]:
    return truth == 1, truth == 0


def _measured(outcome: MultiLabelled) -> int:
    return sum(bool(score.positives and score.negatives) for score in outcome.scores)


def _probe(outcome: MultiLabelled) -> dict[str, str]:
    gap = outcome.over_probe
    if gap is None:
        return {}
    words = f"{gap.mean:+.3f} [{gap.low:+.3f}, {gap.high:+.3f}]"
    return {"linear probe": f"mean AUROC {outcome.mean.mean - gap.mean:.3f}; this training less the probe {words}"}


def _label_row(score: LabelScore) -> tuple[str, ...]:
    gap = score.over_probe
    return (
        score.label,
        f"{score.positives}, {score.negatives}",
        _interval(score.auroc),
        "" if score.probe is None else _interval(score.probe),
        "" if gap is None or gap.mean != gap.mean else f"{gap.mean:+.3f} [{gap.low:+.3f}, {gap.high:+.3f}]",
        _interval(score.precision),
        f"{score.prevalence:.3f}",
    )


def _point_row(point: OperatingPoint) -> tuple[str, ...]:
    shares = share_text(point.sensitivity), share_text(point.specificity)
    return point.label, f"{point.threshold:.4f}", point.aim, *shares, point.remark


def _interval(interval: Interval) -> str:
    return "not measured" if interval.mean != interval.mean else str(interval)
