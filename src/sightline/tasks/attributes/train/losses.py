"""What a network is told about attributes: one mean loss over all that is known of each picture.

Pure functions of logits, targets and weights.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as fn

from sightline.tasks.attributes.data import Vocabulary
from sightline.tasks.attributes.network.ordinal import OrderedThresholds


def attribute_loss(
    logits: Float[Tensor, "b k"],
    targets: Float[Tensor, "b k"],
    weights: Float[Tensor, "b k"],
    words: Vocabulary,
    balance: Float[Tensor, " k"] | None = None,
    ranks: OrderedThresholds | None = None,
) -> Float[Tensor, ""]:
    """Mean loss over the questions that are answered, each weighted by how sure the answer is.

    L = sum_q m_q l_q / sum_q m_q. A question q is an exclusive group, with l_q = -sum_k w_k t_k log softmax_k(z) and
    m_q the mean weight of its attributes, or a single attribute, with
    l_q = -w_k t_k log sigmoid(z_k) - (1 - t_k) log sigmoid(-z_k). So the scale depends neither on the number of
    attributes nor on how many are unknown.

    Args:
        logits: z.
        targets: t, 0..1.
        weights: m, 0 for unknown.
        words: vocabulary, which says which attributes form a choice.
        balance: w, more for what is rare, from `imbalance`; None is 1.
        ranks: thresholds of attributes that are ranks, whose l_q is -log P(rank); None reads them as numbers.

    Source:
        xu2020eat (the second task; its losses are not published, this is the reconstruction of
            `docs/theory/attributes.md`).
    """
    gain = logits.new_ones(logits.shape[1]) if balance is None else balance
    losses, masks = [], []
    ranked = () if ranks is None else ranks.positions
    alone = [at for group in words.groups if not group.exclusive for at in group.members if at not in ranked]
    if ranks is not None and ranked:
        losses.append(ranks.losses(logits, targets))
        masks.append(weights[:, list(ranked)])
    if alone:
        z, t = logits[:, alone], targets[:, alone]
        losses.append(-gain[alone] * t * fn.logsigmoid(z) - (1 - t) * fn.logsigmoid(-z))
        masks.append(weights[:, alone])
    for group in words.groups:
        if group.exclusive:
            at = list(group.members)
            losses.append(-(gain[at] * targets[:, at] * logits[:, at].log_softmax(1)).sum(1, keepdim=True))
            masks.append(weights[:, at].mean(1, keepdim=True))
    loss, mask = torch.cat(losses, dim=1), torch.cat(masks, dim=1)
    return (loss * mask).sum() / mask.sum().clamp(min=1e-6)


def imbalance(
    targets: Float[Tensor, "n k"],
    weights: Float[Tensor, "n k"],
    words: Vocabulary,
    power: float = 0.5,
    most: float = 10.0,
) -> Float[Tensor, " k"]:
    """How much more a positive of a rare attribute counts, from the training pictures.

    Alone: w_k = ((1 - p_k) / p_k)^power; in a choice w_k = p_k^-power, scaled so that sum_k p_k w_k is as before.

    Args:
        targets: t of the training pictures.
        weights: m, 0 for unknown.
        words: vocabulary, which says which attributes form a choice.
        power: 0 leaves all as it is, 1 weighs positives and negatives alike.
        most: no attribute counts more than that.
    """
    labels = weights.sum(0).clamp(min=1e-6)
    share = ((targets * weights).sum(0) / labels).clamp(1e-3, 1 - 1e-3)
    gain = ((1 - share) / share).pow(power)
    for group in words.groups:
        if group.exclusive:
            at = list(group.members)
            raw = share[at].pow(-power)
            gain[at] = raw / (share[at] * raw).sum() * share[at].sum()
    return gain.clamp(max=most)
