"""Localisation by overlap: what the map marks, cut at a threshold, against the mask of the object."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sightline.errors import InputError
from sightline.metrics.localisation import FULL_CANNOT, on_masks, positive_check
from sightline.metrics.masks import mask_check
from sightline.metrics.registry import LOCALISATION, metric
from sightline.metrics.scores import Scores, map_check, scored


@metric(
    "iou-best",
    title="IoU at the best threshold (labelled oracle)",
    signed="every threshold of the signed values",
    cannot="what anybody could use: the threshold is chosen by looking at the answer. " + FULL_CANNOT,
    cite=("choe2020evaluating",),
    chance="none in closed form; at least the mask's share, which taking everything gives",
    **LOCALISATION,
)
def iou_best(maps: Float[Tensor, "b ..."], masks: Bool[Tensor, "b ..."]) -> Scores:
    r"""$\max_t |\{M \ge t\} \cap \Omega| / |\{M \ge t\} \cup \Omega|$ over every threshold [choe2020evaluating].

    Args:
        maps: one per sample; enlarged to the masks' grid.
        masks: where the object is.

    Raises:
        InputError: shapes do not fit.
    """
    values, inside = on_masks(maps, masks)
    ordered = values.flatten(1).sort(1, descending=True)
    covered = inside.flatten(1).gather(1, ordered.indices).double().cumsum(1)
    taken = torch.arange(1, covered.shape[1] + 1, device=covered.device)
    union = taken + covered[:, -1:] - covered
    # a threshold takes all that share a value, so a count inside a run of ties is none
    last = torch.ones_like(covered, dtype=torch.bool)
    last[:, :-1] = ordered.values[:, :-1] != ordered.values[:, 1:]
    best = (covered / union * last).amax(1).to(values.dtype)
    return scored(best, map_check(maps), mask_check(inside))


@metric(
    "iou",
    title="IoU at a fixed share of the largest value",
    signed="positive part",
    cannot=FULL_CANNOT + "; the threshold suits some methods better than others",
    cite=("choe2020evaluating",),
    chance="exact sum over a binomial distribution, see expected_iou",
    expected=lambda maps, masks, *, threshold=0.5: expected_iou(masks, threshold=threshold),
    **LOCALISATION,
)
def iou(maps: Float[Tensor, "b ..."], masks: Bool[Tensor, "b ..."], *, threshold: float = 0.5) -> Scores:
    r"""$|\{M^+ \ge \tau \max M^+\} \cap \Omega| / |\cdot \cup \Omega|$ [choe2020evaluating].

    Args:
        maps: one per sample; enlarged to the masks' grid.
        masks: where the object is.
        threshold: $\tau$ in (0, 1].

    Raises:
        InputError: shapes do not fit, or the threshold is out of range.
    """
    if not 0 < threshold <= 1:
        raise InputError(f"a threshold is a share of the largest value, in (0, 1]; got {threshold}")
    values, inside = on_masks(maps, masks)
    flat, flags = values.clamp(min=0).flatten(1), inside.flatten(1)
    taken = flat >= threshold * flat.amax(1, keepdim=True)
    both, either = (taken & flags).sum(1), (taken | flags).sum(1)
    return scored((both / either).to(values.dtype), map_check(maps), positive_check(maps), mask_check(inside))


def expected_iou(masks: Bool[Tensor, "b ..."], *, threshold: float = 0.5) -> Float[Tensor, "b"]:
    r"""Expectation of `iou` over maps of independent uniform values.

    Given the largest value, every other element is taken with probability $p = 1 - \tau$. With $a$ elements inside,
    $o$ outside, and the largest one inside with probability $a/(a+o)$, $E = \sum_k P(O = k)\, E[I]/(a + k)$, where
    $I$ and $O$ count what is taken inside and outside.

    Args:
        masks: where the object is.
        threshold: as for `iou`.
    """
    flat = masks.bool().flatten(1)
    values = [_expected_iou(int(row), flat.shape[1], 1 - threshold) for row in flat.sum(1).tolist()]
    return torch.tensor(values, device=masks.device)


def _expected_iou(inside: int, count: int, chance: float) -> float:
    outside = count - inside
    if inside == 0:
        return 0.0
    peak_inside = (1 + (inside - 1) * chance) * _inverse(inside, outside, chance)
    peak_outside = inside * chance * _inverse(inside + 1, outside - 1, chance) if outside else 0.0
    return (inside * peak_inside + outside * peak_outside) / count


def _inverse(start: int, trials: int, chance: float) -> float:
    """Mean of 1/(start + K), K binomial."""
    if trials < 1 or chance <= 0:
        return 1 / start
    k = torch.arange(trials + 1, dtype=torch.float64)
    if chance >= 1:
        return 1 / (start + trials)
    log = torch.lgamma(torch.tensor(trials + 1.0, dtype=torch.float64)) - torch.lgamma(k + 1)
    log = log - torch.lgamma(trials - k + 1) + k * math.log(chance) + (trials - k) * math.log1p(-chance)
    return float((log.exp() / (start + k)).sum())
