"""Attributions of a click to fields and pairs of fields, which sum to the logit.

Everything is measured against the average impression: each field at its mean embedding. Where the logit is a sum over
pairs, the attribution is exact. Elsewhere it is the mean over random orders of the fields, each of which sums to the
logit: the Shapley-Taylor index of order 2 [sundararajan2020taylor], sampled.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sightline.tasks.clicks.network.network import ClickNet

ORDERS = 32
"""Random orders of the fields, where the attribution is sampled."""
CHUNK = 4_096
"""Rows that are computed at a time."""


@dataclass(frozen=True)
class Average:
    """The average impression.

    Args:
        fields: mean embedding of each field.
        linear: mean linear term of each field.
    """

    fields: Float[Tensor, "n d"]
    linear: Float[Tensor, " n"]


@dataclass(frozen=True)
class Attribution:
    """What makes a logit: `base + sum_i main_i + sum_{i<j} pairs_ij`.

    Args:
        base: logit of the average impression.
        main: what each field adds alone.
        pairs: what each pair adds beyond its two fields; 0 on and below the diagonal.
        logit: the network's own.
        exact: whether it follows from the model's form; else it is sampled.
        error: standard errors of `pairs` over orders; 0 where it is exact.
    """

    base: float
    main: Float[Tensor, " n"]
    pairs: Float[Tensor, "n n"]
    logit: float
    exact: bool
    error: Float[Tensor, "n n"]

    @property
    def gap(self) -> float:
        """What the parts miss of the logit: rounding."""
        return self.logit - self.base - float(self.main.sum()) - float(self.pairs.sum())


@torch.no_grad()
def average_of(net: ClickNet, ids: Int[Tensor, "b n"], values: Float[Tensor, "b m"]) -> Average:
    """The mean embedding and linear term of each field over rows."""
    return Average(net.fields(ids, values).mean(0), net.linear_terms(ids, values).mean(0))


@torch.no_grad()
def attribution(
    net: ClickNet, ids: Int[Tensor, "1 n"], values: Float[Tensor, "1 m"], average: Average, *, seed: int = 0
) -> Attribution:
    """Attribute one click.

    Args:
        net: in eval mode.
        ids: the row.
        values: its numbers.
        average: the average impression.
        seed: of the orders, where it is sampled.
    """
    fields, linear = net.fields(ids, values)[0], net.linear_terms(ids, values)[0] - average.linear
    logit = float(net(ids, values))
    base = float(net.bias + average.linear.sum() + net.interaction(average.fields[None])[0])
    if net.pairs is not None or net.spec.model == "lr":
        main, pairs = exact_parts(net, fields, average.fields)
        error = torch.zeros_like(pairs)
    else:
        main, pairs, error = sampled_parts(net, fields, average.fields, seed=seed)
    return Attribution(base, main + linear, pairs, logit, net.pairs is not None or net.spec.model == "lr", error)


def exact_parts(
    net: ClickNet, fields: Float[Tensor, "n d"], mean: Float[Tensor, "n d"]
) -> tuple[Float[Tensor, " n"], Float[Tensor, "n n"]]:
    """Main effects and interactions of a sum over pairs.

    With `t_ij` what an ordered pair adds, m the mean and f the row: the interaction of i and j is
    `t(f_i, f_j) - t(f_i, m_j) - t(m_i, f_j) + t(m_i, m_j)`, both orders added; the main effect of i is what changes
    when only i is at its own value.
    """
    count = len(fields)
    if net.pairs is None:
        return fields.new_zeros(count), fields.new_zeros(count, count)
    alone = mean.expand(count, -1, -1).clone()
    alone[torch.arange(count), torch.arange(count)] = fields
    tables = net.pairs.terms(torch.cat([mean[None], fields[None], alone]))
    at_mean, whole, single = tables[0], tables[1], tables[2:]
    main = (single - at_mean).sum((1, 2))
    place = torch.arange(count)
    from_mean = single[place, place]  # row i: t(f_i, m_j) for every j
    to_mean = single[place, :, place].T  # column j: t(m_i, f_j) for every i
    pairs = whole - from_mean - to_mean + at_mean
    return main, (pairs + pairs.T).triu(1)


def sampled_parts(
    net: ClickNet, fields: Float[Tensor, "n d"], mean: Float[Tensor, "n d"], *, seed: int, orders: int = ORDERS
) -> tuple[Float[Tensor, " n"], Float[Tensor, "n n"], Float[Tensor, "n n"]]:
    """Main effects and interactions of any utility, averaged over random orders of the fields.

    In one order the interaction of i and an earlier j is `g_i(before j, and j) - g_i(before j)` with
    `g_i(S) = v(S and i) - v(S)`; summed over j this is what i adds to those before it, less what it adds alone, so
    that every order sums to `v(all) - v(none)`.
    """
    count = len(fields)
    draw = torch.Generator().manual_seed(seed)
    tables = []
    single = _utilities(net, fields, mean, torch.eye(count, dtype=torch.bool))
    base = _utilities(net, fields, mean, torch.zeros(1, count, dtype=torch.bool))[0]
    for _ in range(orders):
        order = torch.randperm(count, generator=draw)
        tables.append(_one_order(net, fields, mean, order))
    stacked = torch.stack(tables)
    spread = stacked.std(0) / orders**0.5 if orders > 1 else torch.zeros_like(stacked[0])
    return single - base, stacked.mean(0), spread


def _one_order(net: ClickNet, fields: Tensor, mean: Tensor, order: Int[Tensor, " n"]) -> Float[Tensor, "n n"]:
    count = len(order)
    rank = torch.empty(count, dtype=torch.long)
    rank[order] = torch.arange(count)
    before = torch.stack([rank < place for place in range(count + 1)])  # the first fields of the order
    with_one = before[:, None] | torch.eye(count, dtype=torch.bool)[None]  # and one more
    values = _utilities(net, fields, mean, torch.cat([before, with_one.flatten(0, 1)]))
    plain, more = values[: count + 1], values[count + 1 :].view(count + 1, count)
    gains = more - plain[:, None]  # g_i after the first fields
    steps = gains[1:] - gains[:-1]  # row s: what the field at place s changes of the gain of i
    table = fields.new_zeros(count, count)
    for place, own in enumerate(order.tolist()):
        later = order[place + 1 :]
        table[torch.minimum(later, torch.tensor(own)), torch.maximum(later, torch.tensor(own))] = steps[place, later]
    return table


def _utilities(
    net: ClickNet, fields: Float[Tensor, "n d"], mean: Float[Tensor, "n d"], present: Bool[Tensor, "s n"]
) -> Float[Tensor, " s"]:
    """The interaction's utility with some fields at their own value and the others at their mean."""
    parts = [net.interaction(torch.where(own[:, :, None], fields, mean)) for own in torch.split(present, CHUNK)]
    return torch.cat(parts)
