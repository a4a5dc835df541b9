"""Differences, centres and regions against cases worked out by hand."""

import math

import pytest
import torch

from sightline.reports.motion import (
    NO_EVIDENCE,
    centre,
    common_grid,
    difference,
    inside,
    mass,
    moved,
    regrid,
    silence,
)
from sightline.results import AttentionMap

from .samples import smooth


def grid(*rows):
    return torch.tensor(rows, dtype=torch.float64)


def test_mass_is_the_positive_part_of_sum_one():
    signed = AttentionMap(torch.tensor([[1.0, -8.0], [0.0, 3.0]]), "s", signed=True)
    assert mass(signed).tolist() == [[0.25, 0.0], [0.0, 0.75]]


def test_mass_of_tiny_and_huge_half_precision_values_is_still_a_mass():
    for values in (torch.tensor([[6e4, 6e4], [0.0, 6e4]]).half(), torch.tensor([[1e-40, 1e-40], [0.0, 1e-40]])):
        assert mass(AttentionMap(values, "s")).flatten().tolist() == pytest.approx([1 / 3, 1 / 3, 0, 1 / 3])


@pytest.mark.parametrize(
    ("values", "word"),
    [
        (torch.zeros(2, 2), "zero"),
        (torch.ones(2, 2), "flat"),
        (torch.tensor([[1.0, math.nan]]), "nan"),
        (torch.tensor([[1.0, math.inf]]), "nan"),
        (torch.tensor([[-1.0, 0.0]]), NO_EVIDENCE),
    ],
)
def test_maps_that_say_nothing_have_no_mass_and_say_why(values, word):
    map_ = AttentionMap(values, "s", signed=True)
    assert mass(map_) is None
    assert silence(map_) == word


def test_a_map_with_evidence_is_not_silent():
    assert silence(AttentionMap(torch.tensor([[1.0, 0.0]]), "s")) == ""


def test_regrid_splits_cells_by_area():
    assert regrid(grid([0.5, 0.25, 0.25]), (1, 2)).tolist() == [[0.625, 0.375]]
    assert regrid(grid([1.0]), (2, 2)).tolist() == [[0.25, 0.25], [0.25, 0.25]]
    quarters = grid([0.1, 0.2, 0, 0], [0.3, 0.4, 0, 0])
    assert regrid(quarters, (1, 2)).flatten().tolist() == pytest.approx([1.0, 0.0])


@pytest.mark.parametrize("size", [(3, 3), (5, 8), (11, 2), (1, 1), (24, 32)])
def test_regrid_keeps_the_sum_and_never_goes_below_zero(size):
    new = regrid(mass(AttentionMap(smooth(12, 16, 4), "s")), size)
    assert float(new.sum()) == pytest.approx(1.0)
    assert float(new.min()) >= 0


def test_maps_are_compared_on_the_coarser_grid_of_each_side():
    assert common_grid((56, 56), (7, 14)) == (7, 14)
    assert common_grid((7, 14), (14, 7)) == (7, 7)
    assert common_grid((112, 56), (112, 56), finest=28) == (28, 14)
    assert common_grid((300, 2), (300, 2), finest=28) == (28, 1)


def test_difference_is_gain_above_and_loss_below_zero():
    change = difference(grid([0.75, 0.25]), grid([0.25, 0.25, 0.0, 0.5]))
    assert change.tolist() == [[-0.25, 0.25]]
    assert moved(change) == 0.25


def test_the_same_evidence_drawn_finer_has_not_moved():
    coarse = mass(AttentionMap(smooth(6, 8, 3), "s"))
    fine = regrid(coarse, (24, 32))
    assert moved(difference(coarse, fine)) == pytest.approx(0.0, abs=1e-12)
    assert vars(centre(fine)) == pytest.approx(vars(centre(coarse)))


def test_evidence_that_jumps_has_moved_whole():
    assert moved(difference(grid([1.0, 0.0]), grid([0.0, 1.0]))) == 1.0


def test_centre_and_spread_by_hand():
    found = centre(grid([0.25, 0.75], [0.0, 0.0]))
    assert (found.x, found.y) == (0.625, 0.25)
    # along the width: two cells at 1/4 and 3/4 with 1/4 and 3/4 of the mass, each spread over half the side
    assert found.across == pytest.approx(math.sqrt(0.25 * 0.375**2 + 0.75 * 0.125**2 + 1 / 48))
    assert found.down == pytest.approx(math.sqrt(1 / 48))


def test_even_mass_spreads_as_an_even_distribution_on_any_grid():
    for size in ((1, 1), (3, 7)):
        found = centre(torch.full(size, 1 / (size[0] * size[1]), dtype=torch.float64))
        assert vars(found) == pytest.approx({"x": 0.5, "y": 0.5, "across": 12**-0.5, "down": 12**-0.5})


def test_mass_in_a_box_counts_cells_in_part():
    cells = grid([0.5, 0.3], [0.2, 0.0])
    wanted = {
        (0.0, 0.0, 1.0, 1.0): 1.0,
        (0.25, 0.0, 0.5, 0.5): 0.4,
        (0.0, 0.5, 0.5, 0.25): 0.1,
        (0.9, 0.9, 5.0, 5.0): 0.0,
        (-1.0, -1.0, 1.5, 1.5): 0.5,
        (0.5, 0.5, -0.2, 0.2): 0.0,
    }
    assert inside(cells, list(wanted)) == pytest.approx(tuple(wanted.values()))
