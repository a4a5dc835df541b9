"""Which pairs of fields interact in a whole log, and how well that finds what was planted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.tasks.clicks.explain.attribution import attribution, average_of
from sightline.tasks.clicks.network.network import ClickNet


def pair_map(
    net: ClickNet, ids: Int[Tensor, "b n"], values: Float[Tensor, "b m"], *, most: int = 200, seed: int = 0
) -> Float[Tensor, "n n"]:
    """Root mean square of each pair's interaction over rows; 0 on and below the diagonal.

    Args:
        net: in eval mode.
        ids: rows.
        values: their numbers.
        most: rows that are attributed; the average impression is that of all.
        seed: of the rows and, where it is sampled, of the orders.
    """
    average = average_of(net, ids, values)
    draw = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(ids), generator=draw)[:most].tolist()
    total = torch.zeros(len(net.spec.sizes), len(net.spec.sizes))
    for row in rows:
        own = attribution(net, ids[row : row + 1], values[row : row + 1], average, seed=seed + row)
        # the square of a sampled mean holds its variance, which is taken off
        total += (own.pairs.square() - own.error.square()).float()
    return (total / max(1, len(rows))).clamp(min=0).sqrt()


@dataclass(frozen=True)
class Recovery:
    """How well a map finds planted pairs.

    Args:
        recall: share of the k planted pairs among the k strongest; of equally strong ones, the share expected.
        ranking: probability that a planted pair is above another, ties half: 0.5 is chance.
        chance: recall of a random order, k over the number of pairs.
    """

    recall: float
    ranking: float
    chance: float


def recovery(strengths: Float[Tensor, "n n"], planted: Iterable[tuple[int, int]]) -> Recovery:
    """Recall at k, and the rank statistic, of planted pairs.

    Args:
        strengths: a figure for each pair above the diagonal.
        planted: the pairs that interact.
    """
    from sightline.tasks.clicks.metrics.scores import auc

    count = len(strengths)
    first, second = torch.triu_indices(count, count, 1)
    scores = strengths[first, second].double().numpy()
    wanted = {(min(pair), max(pair)) for pair in planted}
    places = zip(first.tolist(), second.tolist(), strict=True)
    truth = torch.tensor([pair in wanted for pair in places]).double().numpy()
    k = len(wanted)
    level = sorted(scores, reverse=True)[k - 1]
    above, equal = scores > level, scores == level
    hits = truth[above].sum() + truth[equal].mean() * (k - above.sum())
    return Recovery(float(hits / k), auc(scores, truth) or 0.5, k / len(scores))


def named_pairs(
    strengths: Float[Tensor, "n n"], names: Sequence[str], most: int = 10
) -> list[tuple[str, str, float]]:
    """The strongest pairs by name."""
    first, second = torch.triu_indices(len(names), len(names), 1)
    scores = strengths[first, second]
    order = scores.abs().argsort(descending=True)[:most].tolist()
    return [(names[first[place]], names[second[place]], float(scores[place])) for place in order]
