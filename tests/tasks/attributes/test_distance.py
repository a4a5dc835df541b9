"""Ranks and numbers are judged by how far readings are from the truth."""

import pytest
import torch

from sightline.tasks.attributes.data.vocabulary import Attribute, Vocabulary
from sightline.tasks.attributes.metrics.distance import distances, quadratic_kappa

WORDS = Vocabulary((Attribute("size", "size", "size", kind="ordinal"), Attribute("horns", "horns", "horns")))


def kappa_by_table(readings, truth, ranks):
    """Cohen's kappa from its table of counts."""
    seen = torch.zeros(ranks, ranks, dtype=torch.float64)
    for one, other in zip(readings, truth, strict=True):
        seen[one, other] += 1
    cost = (torch.arange(ranks)[:, None] - torch.arange(ranks)).double().square()
    chance = seen.sum(1)[:, None] * seen.sum(0) / seen.sum()
    return float(1 - (cost * seen).sum() / (cost * chance).sum())


def test_kappa_is_that_of_the_table_of_counts():
    draw = torch.Generator().manual_seed(0)
    one, other = (torch.randint(0, 4, (50,), generator=draw) for _ in range(2))
    assert quadratic_kappa(one / 3, other / 3) == pytest.approx(kappa_by_table(one, other, 4), abs=1e-6)


def test_only_ranks_and_numbers_are_judged_by_distance_beside_controls():
    truth = torch.tensor([[0.0, 1], [0.5, 0], [1.0, 1], [1.0, 1], [0.5, 0]])
    weights = torch.ones(5, 2)
    weights[4] = 0
    readings = torch.tensor([[0.1, 1], [0.4, 1], [0.9, 1], [0.6, 1], [0.0, 1]])
    (own,) = distances(readings, torch.full((5, 2), 0.5), truth, weights, WORDS)
    assert (own.name, own.total) == ("size", 4)
    assert own.error.mean == pytest.approx((0.1 + 0.1 + 0.1 + 0.4) / 4)
    assert own.by_class == pytest.approx(1.5 / 4)
    assert own.over_class.mean == pytest.approx((1.5 - 0.7) / 4)
    assert own.median == pytest.approx(1.5 / 4)
    assert own.kappa == pytest.approx(kappa_by_table([0, 1, 2, 1], [0, 1, 2, 2], 3))


def test_one_value_only_is_not_judged():
    ones = torch.ones(4, 2)
    assert distances(ones, ones, ones, ones, WORDS) == ()
