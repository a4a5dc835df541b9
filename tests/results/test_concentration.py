import math

import pytest
import torch

from sightline.results.concentration import concentration
from tests.reports.samples import smooth


def naive(values, top=0.1):
    sizes = sorted((abs(value) for value in values if math.isfinite(value)), reverse=True)
    left, share = top * len(sizes), 0.0
    for size in sizes:
        share += min(1.0, max(0.0, left)) * size
        left -= 1.0
    return share / sum(sizes)


@pytest.mark.parametrize("grid", [(3, 3), (7, 7), (12, 17), (10, 10)])
def test_equals_its_definition(grid):
    values = smooth(*grid, 5, signed=True)
    assert concentration(values) == pytest.approx(naive(values.flatten().tolist()), rel=1e-9)


@pytest.mark.parametrize("grid", [(1, 1), (2, 2), (7, 7), (11, 13)])
def test_an_even_map_has_the_share_of_the_cells(grid):
    assert concentration(torch.full(grid, 3.0)) == pytest.approx(0.1)


def test_one_hot_is_all_in_one_place():
    values = torch.zeros(8, 8)
    values[2, 5] = -4.0
    assert concentration(values) == pytest.approx(1.0)


def test_nothing_to_concentrate_is_nan_and_nan_cells_do_not_count():
    assert math.isnan(concentration(torch.zeros(3, 3)))
    assert concentration(torch.tensor([math.nan, 1.0])) == pytest.approx(0.1)
