"""What a network of several labels is taught by: cross-entropy of each label, unknown entries left out.

Rare positives may weigh more while it learns; their weights are taken back out of the probabilities afterwards. Pure
functions.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as fn

MOST = 20.0
"""Largest weight of a rare label's positives: a handful of pictures should not drive all steps."""


def label_loss(
    logits: Float[Tensor, "b k"], truth: Float[Tensor, "b k"], weights: Float[Tensor, "k"] | None = None
) -> Float[Tensor, ""]:
    """Mean binary cross-entropy over all entries that are known; 0 where none is.

    L = sum_ik m_ik w_ik BCE(z_ik, t_ik) / sum_ik m_ik, with m = 0 for unknown and w = `weights` for positives

    Args:
        logits: of pictures and labels.
        truth: 1, 0, or NaN for unknown.
        weights: weight of each label's positives; None weighs all alike.
    """
    known = torch.isfinite(truth)
    wide = logits if logits.dtype == torch.float64 else logits.float()
    target = torch.where(known, truth, 0.0).to(wide)
    losses = fn.binary_cross_entropy_with_logits(wide, target, reduction="none", pos_weight=weights)
    return (losses * known).sum() / known.sum().clamp(min=1)


def positive_weights(truth: Float[Tensor, "n k"]) -> Float[Tensor, "k"]:
    """Negatives by positives of each label, at least 1 and at most `MOST`.

    Args:
        truth: of the training pictures.
    """
    positives, negatives = (truth == 1).sum(0), (truth == 0).sum(0)
    return (negatives / positives.clamp(min=1)).clamp(1.0, MOST)


@torch.no_grad()
def unweighted(head: nn.Module, weights: Float[Tensor, "k"]) -> None:
    """Take the weights of positives out of a head's bias, in place.

    Weighted cross-entropy is lowest at the logit of the true probability plus log w, so log w is subtracted.

    Args:
        head: the layer that makes the logits, with a bias.
        weights: of each label's positives, as they were learnt with.
    """
    bias: Tensor = head.bias  # type: ignore[assignment]
    bias -= weights.log().to(bias)
