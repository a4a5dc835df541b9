"""`ClickFigures`: what a network of clicks reaches on rows, beside the constant rate and logistic regression."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sightline.tasks.clicks.data.batches import Part, Rows
from sightline.tasks.clicks.metrics.choices import CaseTally
from sightline.tasks.clicks.metrics.scores import (
    LEAST,
    Bin,
    Estimate,
    Floats,
    auc,
    auc_interval,
    calibration_error,
    group_auc,
    log_losses,
    normalised_entropy,
    off_policy,
    position_rates,
    reliability,
)
from sightline.tasks.clicks.metrics.tally import Tally
from sightline.tasks.clicks.network.network import ClickNet

CHUNK = 2**13
"""Rows that are predicted at a time."""
EXACT = 2**18
"""Rows up to which all logits are held and sorted; beyond, they are counted in bins."""
SAME = "all test rows have the same label: AUC and normalised entropy do not exist"


@dataclass(frozen=True, kw_only=True)
class ClickFigures:
    """Figures on rows that training did not see.

    Args:
        rows: how many.
        clicks: of them clicked.
        auc: None where all labels are the same.
        interval: 95 % interval of the AUC over rows.
        loss: log loss.
        constant: log loss of always predicting the training rows' rate.
        entropy: normalised entropy; None where all labels are the same.
        group_auc: AUC within users and the number of users it is from; None without users.
        error: expected calibration error.
        predicted: mean probability.
        bins: predicted and observed rates.
        estimates: rates by position and values of other policies, where the log has them.
        cases: choices, where rows are their alternatives; 0 where rows are apart. Log losses are by case then, the
            constant's of equal shares, and probabilities are shares.
        hits: share of the cases whose likeliest alternative was chosen.
        logistic: the same figures of logistic regression; None where there is none.
        epochs: epochs that were trained.
        best: the epoch that was kept.
        notes: what was noticed.
        files: what was written.
    """

    rows: int
    clicks: int
    auc: float | None
    interval: tuple[float, float] | None
    loss: float
    constant: float
    entropy: float | None
    group_auc: tuple[float, int] | None
    error: float
    predicted: float
    bins: tuple[Bin, ...]
    estimates: tuple[Estimate, ...] = ()
    cases: int = 0
    hits: float = 0.0
    logistic: ClickFigures | None = None
    epochs: int = 0
    best: int = 0
    notes: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()

    @property
    def rate(self) -> float:
        """Share that was clicked."""
        return self.clicks / max(1, self.rows)

    @property
    def alarm(self) -> str:
        """A sentence where the network is not better than the simplest things; empty where it is."""
        if self.loss >= self.constant:
            control = "equal shares" if self.cases else "always predicting the click rate"
            return f"The log loss is not below that of {control}: do not use these weights."
        if self.logistic is not None and self.loss > self.logistic.loss:
            control = "A linear utility" if self.cases else "Logistic regression"
            return f"{control} on the same rows has the lower log loss: take it, or train otherwise."
        return ""


@torch.inference_mode()
def logits_of(net: ClickNet, rows: Rows) -> NDArray[np.float32]:
    """The utility of clicking, row by row; the network is in eval mode."""
    pairs = zip(torch.split(rows.ids, CHUNK), torch.split(rows.values, CHUNK), strict=True)
    parts = [net(ids.long(), values) for ids, values in pairs]
    return np.asarray(torch.cat(parts).float().numpy()) if parts else np.zeros(0, np.float32)


def tested(net: ClickNet, part: Part, rate: float, items: int, *, outside: bool) -> ClickFigures:
    """The figures of a network on a part of a log.

    Args:
        net: in eval mode.
        part: encoded rows.
        rate: share of training rows that was clicked.
        items: number of items that could have been shown, for the value of showing any at random; 0 where unknown.
        outside: whether a case may end without a choice, where rows have cases.
    """
    if len(part.sizes) and len(next(part.in_turn()).case):
        return tested_cases(net, part, outside=outside)
    if len(part) > EXACT and not _is_grouped(part):
        return tallied(net, part, rate)
    logits, columns = [], []
    for rows in part.in_turn():
        logits.append(logits_of(net, rows))
        columns.append((rows.labels.numpy(), rows.group.numpy(), rows.position.numpy(), rows.propensity.numpy()))
    labels, groups, positions, propensities = (np.concatenate(one) for one in zip(*columns, strict=True))
    figures = figures_of(np.concatenate(logits).astype(np.float64), labels.astype(np.float64), groups, rate)
    estimates: tuple[Estimate, ...] = ()
    if len(positions):
        estimates += position_rates(labels, positions)
    if len(propensities) and items:
        weights = 1 / items / np.maximum(propensities.astype(np.float64), 1e-12)
        estimates += off_policy("any item at random", labels.astype(np.float64), weights)
    return replace(figures, estimates=estimates)


def tested_cases(net: ClickNet, part: Part, *, outside: bool) -> ClickFigures:
    """The figures of choices.

    Args:
        net: in eval mode.
        part: encoded rows with cases.
        outside: whether a case may end without a choice.
    """
    tally, shares, labels, cases = CaseTally(), [], [], []
    for rows in part.in_turn():
        utilities = torch.from_numpy(logits_of(net, rows).astype(np.float64))
        shares.append(tally.add(utilities, rows.labels.double(), rows.case, outside=outside).numpy())
        labels.append(rows.labels.numpy().astype(np.float64))
        cases.append(rows.case.numpy())
    share, label = np.clip(np.concatenate(shares), LEAST, 1 - LEAST), np.concatenate(labels)
    figures = figures_of(np.log(share / (1 - share)), label, np.concatenate(cases), 0.5)
    return replace(
        figures,
        loss=tally.loss / tally.cases,
        constant=tally.equal / tally.cases,
        entropy=None,
        cases=tally.cases,
        hits=tally.hits / tally.cases,
    )


def _is_grouped(part: Part) -> bool:
    """Whether figures by user, position or propensity are wanted, for which all rows are held."""
    first = next(part.in_turn())
    return bool(len(first.position) or len(first.propensity) or (first.group != first.group[0]).any())


def tallied(net: ClickNet, part: Part, rate: float) -> ClickFigures:
    """The figures of a large part, in a memory that does not grow with it.

    Args:
        net: in eval mode.
        part: encoded rows without users, positions and propensities.
        rate: share of training rows that was clicked.
    """
    tally, constant, predicted = Tally(), 0.0, 0.0
    for rows in part.in_turn():
        logits, labels = logits_of(net, rows).astype(np.float64), rows.labels.numpy().astype(np.float64)
        tally.add(logits, labels)
        constant += float(log_losses(np.full(len(labels), rate), labels).sum())
        predicted += float((1 / (1 + np.exp(-logits))).sum())
    bins = tally.reliability()
    loss = tally.loss / tally.rows
    return ClickFigures(
        rows=tally.rows,
        clicks=tally.clicks,
        auc=tally.auc,
        interval=tally.auc_interval,
        loss=loss,
        constant=constant / tally.rows,
        entropy=normalised_entropy(loss, tally.clicks / tally.rows),
        group_auc=None,
        error=calibration_error(bins),
        predicted=predicted / tally.rows,
        bins=bins,
        notes=() if tally.auc is not None else (SAME,),
    )


def figures_of(logits: Floats, labels: Floats, groups: NDArray[np.int64], rate: float) -> ClickFigures:
    """The figures of logits."""
    probabilities = 1 / (1 + np.exp(-logits))
    loss = float(log_losses(probabilities, labels).mean())
    bins = reliability(probabilities, labels)
    several = len(groups) and (groups != groups[0]).any()
    value = auc(logits, labels)
    return ClickFigures(
        rows=len(labels),
        clicks=int(labels.sum()),
        auc=value,
        interval=auc_interval(logits, labels),
        loss=loss,
        constant=float(log_losses(np.full(len(labels), rate), labels).mean()),
        entropy=normalised_entropy(loss, float(labels.mean())),
        group_auc=group_auc(logits, labels, groups) if several else None,
        error=calibration_error(bins),
        predicted=float(probabilities.mean()),
        bins=bins,
        notes=() if value is not None else (SAME,),
    )
