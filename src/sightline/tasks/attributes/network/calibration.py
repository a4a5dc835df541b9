"""`Calibration`: what an attribute network must know of its training set to speak - calibration, thresholds, means.

All of it is learnt on the training and validation pictures, never on those it is judged by.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from jaxtyping import Float
from torch import Tensor

EDGE = 1e-6


@dataclass(frozen=True, eq=False)
class Calibration:
    """Tensors, one entry per attribute (`prototypes`: per class and attribute).

    Args:
        slope: Platt's A of the calibration r = sigmoid(A logit(a) + B).
        offset: Platt's B.
        threshold: calibrated probability from which an attribute is said to be there.
        mean: training mean of a.
        mean_logit: training mean of z.
        prototypes: per class the share of training pictures that have the attribute; NaN where unknown.
        prior: log of how much more a positive counted in the training loss; None where all counted alike.
        choice: number of the exclusive group of each attribute, -1 for none; None where `prior` is.
    """

    slope: Float[Tensor, " k"]
    offset: Float[Tensor, " k"]
    threshold: Float[Tensor, " k"]
    mean: Float[Tensor, " k"]
    mean_logit: Float[Tensor, " k"]
    prototypes: Float[Tensor, "y k"]
    prior: Float[Tensor, " k"] | None = None
    choice: Float[Tensor, " k"] | None = None

    @classmethod
    def nothing(cls, classes: int, attributes: int) -> Calibration:
        """Before training: no calibration, a half as threshold and as mean."""
        half = torch.full((attributes,), 0.5)
        zero, one = torch.zeros(attributes), torch.ones(attributes)
        return cls(one, zero, half, half.clone(), zero.clone(), torch.full((classes, attributes), torch.nan))

    def calibrated(self, probabilities: Float[Tensor, "b k"]) -> Float[Tensor, "b k"]:
        """r_k: the probability that the attribute is there, from what the network says."""
        return (self.slope * log_odds(self.corrected(probabilities)) + self.offset).sigmoid()

    def corrected(self, probabilities: Float[Tensor, "b k"]) -> Float[Tensor, "b k"]:
        r"""Probabilities of a network whose loss had counted every answer alike.

        A loss that counts positives $w$ times as much learns odds that are $w$ times too high, and in a choice shares
        $\propto w_k p_k$: that is taken back here.
        """
        if self.prior is None or self.choice is None:
            return probabilities
        prior = self.prior.to(probabilities)
        own = (log_odds(probabilities) - prior).sigmoid()
        shares = probabilities * (-prior).exp()
        for group in sorted(set(self.choice[self.choice >= 0].tolist())):
            at = torch.nonzero(self.choice == group)[:, 0]
            own[..., at] = shares[..., at] / shares[..., at].sum(-1, keepdim=True).clamp(min=EDGE)
        return own

    def tensors(self) -> dict[str, Tensor]:
        """By name, to be saved; without the correction where there is none."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


def log_odds(probabilities: Float[Tensor, "*b k"]) -> Float[Tensor, "*b k"]:
    """The logarithm of a / (1 - a), kept finite."""
    return probabilities.clamp(EDGE, 1 - EDGE).logit()


def platt(
    probabilities: Float[Tensor, "n k"], targets: Float[Tensor, "n k"], weights: Float[Tensor, "n k"], steps: int = 50
) -> tuple[Float[Tensor, " k"], Float[Tensor, " k"]]:
    """Slope and offset per attribute that maximise the likelihood of what is known [platt1999probabilistic].

    Targets are drawn in to (N+ + 1) / (N+ + 2) and 1 / (N- + 2), so that a perfect head stays finite. Newton's
    method, in double precision, all attributes at once. An attribute with fewer than two pictures on either side is
    left as it is: slope 1, offset 0.

    Args:
        probabilities: a of the validation pictures.
        targets: what is true of them, 0..1; from a half on it counts as present.
        weights: m, 0 for unknown.
        steps: number of steps of Newton's method.
    """
    x, m = log_odds(probabilities.double()), weights.double()
    present = (targets >= 0.5).double()
    yes, no = (m * present).sum(0), (m * (1 - present)).sum(0)
    goal = present * (yes + 1) / (yes + 2) + (1 - present) / (no + 2)
    slope, offset = torch.ones_like(yes), torch.zeros_like(yes)
    for _ in range(steps):
        p = (slope * x + offset).sigmoid()
        error, bend = m * (p - goal), m * p * (1 - p)
        g1, g2 = (error * x).sum(0), error.sum(0)
        # the small numbers keep the Hessian invertible where all probabilities are one and the same
        h11, h12, h22 = (bend * x * x).sum(0) + 1e-6, (bend * x).sum(0), bend.sum(0) + 1e-6
        det = (h11 * h22 - h12 * h12).clamp(min=1e-12)
        # steps of at most 1: where the sigmoid is flat, Newton's method overshoots
        slope = slope - ((h22 * g1 - h12 * g2) / det).clamp(-1, 1)
        offset = offset - ((h11 * g2 - h12 * g1) / det).clamp(-1, 1)
    fitted = (yes >= 2) & (no >= 2) & (slope > 0) & slope.isfinite() & offset.isfinite()
    return torch.where(fitted, slope, 1.0).float(), torch.where(fitted, offset, 0.0).float()


def best_thresholds(
    calibrated: Float[Tensor, "n k"], targets: Float[Tensor, "n k"], weights: Float[Tensor, "n k"], beta: float = 1.0
) -> Float[Tensor, " k"]:
    """Per attribute the threshold of the highest F_beta among those that the pictures' own values allow.

    F = (1 + beta^2) tp / ((1 + beta^2) tp + beta^2 fn + fp), weighted; a half where the attribute is never there.

    Args:
        calibrated: r of the validation pictures.
        targets: what is true of them, 0..1; from a half on it counts as present.
        weights: m, 0 for unknown.
        beta: below 1 precision counts more, above 1 recall.
    """
    order = calibrated.argsort(dim=0, descending=True)
    sorted_r = calibrated.gather(0, order)
    present, m = (targets >= 0.5).float(), weights.float()
    right = (m * present).gather(0, order).cumsum(0)
    wrong = (m * (1 - present)).gather(0, order).cumsum(0)
    total = right[-1]
    score = (1 + beta**2) * right / ((1 + beta**2) * right + beta**2 * (total - right) + wrong).clamp(min=EDGE)
    # a threshold cannot part equal values: only the last of them may be one
    last = torch.ones_like(sorted_r, dtype=torch.bool)
    last[:-1] = sorted_r[:-1] > sorted_r[1:]
    at = score.masked_fill(~last, -1).argmax(0)
    best = sorted_r.gather(0, at[None])[0]
    # half-way to the next value below, so that a probability just under the best still counts
    below = sorted_r.gather(0, (at + 1).clamp(max=len(sorted_r) - 1)[None])[0]
    return torch.where(total > 0, (best + below) / 2, 0.5).clamp(EDGE, 1 - EDGE)
