"""`OrderedThresholds`: ranks read by cumulative logits - one score, and ordered thresholds on it for each step up.

Knows vocabularies and tensors. Without it a rank is read as a number, as if all steps were of one size.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as fn

from sightline.tasks.attributes.data.vocabulary import Vocabulary

LEAST = 1e-3
"""Least distance of two thresholds."""
REACH = 1.0
"""Thresholds begin evenly between this and its opposite."""


class OrderedThresholds(nn.Module):
    r"""Thresholds $\theta_1 < ... < \theta_{R-1}$ of every ordinal attribute whose values are known, with R ranks.

    $P(rank > r) = \sigma(z - \theta_r)$; what is read is the expected rank as a share of the scale,
    $a = \frac{1}{R-1} \sum_r \sigma(z - \theta_r)$.

    Args:
        words: the attributes.

    Source:
        mccullagh1980regression.
    """

    def __init__(self, words: Vocabulary) -> None:
        super().__init__()
        own = [(at, len(word.order)) for at, word in enumerate(words.attributes) if len(word.order) > 1]
        self.positions = tuple(at for at, _ in own)
        self.steps = nn.ParameterList(_even(ranks) for _, ranks in own)

    def thresholds(self) -> list[Float[Tensor, " r"]]:
        """Of every attribute, in rising order: the first is free, each further one lies above the one before."""
        return [torch.cat([own[:1], fn.softplus(own[1:]) + LEAST]).cumsum(0) for own in self.steps]

    def read(self, logits: Float[Tensor, "b k"], probabilities: Float[Tensor, "b k"]) -> Float[Tensor, "b k"]:
        """Activations of all attributes, with the expected rank of those that have thresholds.

        Args:
            logits: z.
            probabilities: a of the attributes without thresholds.
        """
        out = probabilities.clone()
        for at, edges in zip(self.positions, self.thresholds(), strict=True):
            out[:, at] = (logits[:, at, None] - edges.to(logits)).sigmoid().mean(1).to(out)
        return out

    def losses(self, logits: Float[Tensor, "b k"], targets: Float[Tensor, "b k"]) -> Float[Tensor, "b m"]:
        """-log P(rank) of every attribute with thresholds; a target between two ranks is shared among them.

        Args:
            logits: z.
            targets: ranks as shares of the scale, 0..1.
        """
        columns = [
            _surprise(logits[:, at, None] - edges.to(logits), targets[:, at])
            for at, edges in zip(self.positions, self.thresholds(), strict=True)
        ]
        return torch.stack(columns, 1) if columns else logits[:, :0]


def rank_logs(above: Float[Tensor, "b r"]) -> Float[Tensor, "b s"]:
    r"""Log P(rank) of every rank, from the logits of being above each threshold.

    $\sigma(u) - \sigma(v) = \sigma(u) \sigma(-v) (1 - e^{v - u})$ keeps what is small exact.

    Args:
        above: z - theta_r, falling along r.
    """
    upper, lower = above[:, :-1], above[:, 1:]
    between = fn.logsigmoid(upper) + fn.logsigmoid(-lower) + torch.log(-torch.expm1(lower - upper))
    return torch.cat([fn.logsigmoid(-above[:, :1]), between, fn.logsigmoid(above[:, -1:])], 1)


def _surprise(above: Float[Tensor, "b r"], target: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
    logs = rank_logs(above)
    place = (target * above.shape[1]).clamp(0, above.shape[1])
    low = place.floor().long().clamp(max=above.shape[1] - 1)
    share = place - low
    return -(1 - share) * logs.gather(1, low[:, None])[:, 0] - share * logs.gather(1, low[:, None] + 1)[:, 0]


def _even(ranks: int) -> nn.Parameter:
    """Steps of thresholds that lie evenly."""
    if ranks == 2:
        return nn.Parameter(torch.zeros(1))
    gap = torch.full((ranks - 2,), 2 * REACH / (ranks - 2) - LEAST)
    return nn.Parameter(torch.cat([torch.tensor([-REACH]), torch.log(torch.expm1(gap))]))
