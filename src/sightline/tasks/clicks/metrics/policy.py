"""The value of a network's own choices, from a log of what another policy showed with known propensities.

The network's policy shows item a with the share `exp(V_a) / sum_b exp(V_b)` over the catalogue: the choice model that
its utilities are. Items are known from the training rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.common.statistics.intervals import NOMINAL
from sightline.tasks.clicks.data.batches import Part, Rows
from sightline.tasks.clicks.data.encoder import Encoder
from sightline.tasks.clicks.metrics.scores import Estimate, Floats, off_policy
from sightline.tasks.clicks.network.network import ClickNet

MOST = 20_000
"""Test rows whose whole catalogue is scored."""
CELLS = 2**16
"""Rows times items that are scored at a time."""
NAME = "what this network would choose"


@dataclass(frozen=True)
class Catalogue:
    """The items that training showed.

    Args:
        key: place of the field that names the item.
        places: columns of ids that belong to the item, `key` among them.
        columns: columns of the numbers that belong to the item.
        ids: their rows of the embedding tables, an item each.
        values: their numbers.
    """

    key: int
    places: tuple[int, ...]
    columns: tuple[int, ...]
    ids: Int[Tensor, "a p"]
    values: Float[Tensor, "a c"]


def catalogue_of(encoder: Encoder, train: Part) -> Catalogue | None:
    """The items, by the table that is joined to the log; None where there is none.

    Args:
        encoder: how the log became numbers.
        train: training rows.
    """
    schema, names = encoder.schema, [own.name for own in encoder.fields]
    key = next((key for _, key in schema.sides if key in names), "")
    if not key:
        return None
    fields = tuple(place for place, name in enumerate(names) if name == key or name not in schema.columns)
    further = [len(names) + column for column, owner in enumerate(encoder.owners) if owner in fields]
    places = (*fields, *further)
    columns = tuple(column for column, place in enumerate(encoder.numbers) if place in places)
    known: dict[int, tuple[Tensor, Tensor]] = {}
    for rows in train.in_turn():
        items, first = np.unique(rows.ids[:, names.index(key)].numpy(), return_index=True)
        for item, row in zip(items.tolist(), first.tolist(), strict=True):
            known.setdefault(item, (rows.ids[row, list(places)].long(), rows.values[row, list(columns)]))
    ids, values = (torch.stack(parts) for parts in zip(*known.values(), strict=True))
    return Catalogue(names.index(key), places, columns, ids, values)


@torch.inference_mode()
def utilities(net: ClickNet, rows: Rows, items: Catalogue) -> Float[Tensor, "b a"]:
    """The utility of every item in the place of the one that was shown."""
    result = []
    for part in torch.split(torch.arange(len(rows)), max(1, CELLS // len(items.ids))):
        ids = rows.ids[part].long()[:, None].repeat(1, len(items.ids), 1)
        values = rows.values[part][:, None].repeat(1, len(items.ids), 1)
        ids[:, :, list(items.places)] = items.ids
        values[:, :, list(items.columns)] = items.values
        result.append(net(ids.flatten(0, 1), values.flatten(0, 1)).view(len(part), -1))
    return torch.cat(result)


def own_value(net: ClickNet, test: Part, items: Catalogue) -> tuple[Estimate, ...]:
    """Click rate of the network's own choices: IPS, SNIPS and doubly robust, with 95 % intervals over rows.

    Args:
        net: in eval mode.
        test: rows that training did not see, with propensities.
        items: the catalogue.
    """
    own, key, done = [], items.ids[:, list(items.places).index(items.key)], 0
    for rows in test.in_turn():
        scores = utilities(net, rows, items).double()
        # all zero for an item that training never showed, which this policy never chooses
        shown = (rows.ids[:, items.key].long()[:, None] == key).double()
        shares, rates = scores.softmax(1), scores.sigmoid()
        weights = (shares * shown).sum(1) / rows.propensity.double().clamp(min=1e-12)
        own.append((rows.labels.double(), weights, (shares * rates).sum(1), (rates * shown).sum(1)))
        done += len(rows)
        if done >= MOST:
            break
    clicked, weighed, expected, rated = (torch.cat(parts).numpy() for parts in zip(*own, strict=True))
    return (*off_policy(NAME, clicked, weighed), doubly_robust(NAME, clicked, weighed, expected, rated))


def doubly_robust(name: str, rewards: Floats, weights: Floats, expected: Floats, rated: Floats) -> Estimate:
    """`mean( sum_a pi(a) q(a) + w (r - q(shown)) )` [dudik2011doubly].

    Args:
        name: the policy.
        rewards: 1 for a click.
        weights: probability of what was shown under the policy, over that under which it was shown.
        expected: the model's rate under the policy.
        rated: the model's rate of what was shown.
    """
    from scipy.stats import norm

    terms = expected + weights * (rewards - rated)
    half = float(norm.ppf((1 + NOMINAL) / 2) * terms.std(ddof=1) / np.sqrt(len(terms)))
    value = float(terms.mean())
    return Estimate(f"{name}, doubly robust", value, value - half, value + half, len(terms))
