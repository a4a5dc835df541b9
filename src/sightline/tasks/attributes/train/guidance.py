"""Losses that teach a network where to look. All are off unless asked for.

Pure functions of maps and masks; which masks there are is the training's business.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as fn

EDGE = 1e-6


def class_maps(score: Float[Tensor, " b"], features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b h w"]:
    """relu(sum_c F_c ds/dF_c), differentiable: where the features speak for a class score.

    Args:
        score: one score per picture, computed from the features.
        features: F.
    """
    gradient = torch.autograd.grad(score.sum(), features, create_graph=True)[0]
    return (features * gradient).sum(1).relu()


def outside_energy(maps: Float[Tensor, "b h w"], inside: Float[Tensor, "b h w"]) -> Float[Tensor, ""]:
    """Mean share of a map that lies outside the object: 1 - sum_p A_p m_p / sum_p A_p.

    Args:
        maps: A, not negative.
        inside: m, the object's share of each cell.
    """
    total = maps.sum((1, 2))
    share = (maps * inside).sum((1, 2)) / total.clamp(min=EDGE)
    measurable = (total > EDGE) & (inside.sum((1, 2)) > 0)
    return ((1 - share) * measurable).sum() / measurable.sum().clamp(min=1)


def part_alignment(
    attention: Float[Tensor, "b q h w"], shares: Float[Tensor, "b q h w"], answered: Bool[Tensor, "b q"]
) -> Float[Tensor, ""]:
    """Mean cross-entropy between where a group is read and where its part is: -sum_p t_p log w_p.

    Args:
        attention: w, how much a group of attributes weighs each place; over places it sums to 1.
        shares: the part's share of each cell; scaled to sum to 1 it is t.
        answered: whether the group's answer is known for the picture.
    """
    total = shares.sum((2, 3))
    measurable = answered & (total > 0)
    target = shares / total.clamp(min=EDGE)[..., None, None]
    losses = -(target * attention.clamp(min=1e-8).log()).sum((2, 3))
    return (losses * measurable).sum() / measurable.sum().clamp(min=1)


def disagreement(one: Float[Tensor, "b y"], other: Float[Tensor, "b y"]) -> Float[Tensor, ""]:
    """Symmetric Kullback-Leibler divergence of the class probabilities of two pictures that should be one to the net.

    Args:
        one: class logits of a picture.
        other: class logits of the same scene drawn again with something changed that must not matter.
    """
    p, q = one.log_softmax(1), other.log_softmax(1)
    return (
        fn.kl_div(q, p, log_target=True, reduction="batchmean")
        + fn.kl_div(p, q, log_target=True, reduction="batchmean")
    ) / 2
