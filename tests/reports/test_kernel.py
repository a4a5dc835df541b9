import math

import pytest
import torch

from sightline.reports.kernel import deviation_of, grown, kernel_weights, kernel_words, spread
from sightline.results import AttentionMap
from sightline.results.domains import Domain

from .samples import smooth


def naive_weight(cells, pixels, deviation, pixel, cell):
    """The integral of a Gaussian over a cell and its mirror images, summed strip by strip."""
    x = (pixel + 0.5) * cells / pixels
    total = 0.0
    for fold in range(-6, 7):
        start = fold * cells + (cell if fold % 2 == 0 else cells - 1 - cell)
        total += 0.5 * (math.erf((start + 1 - x) / deviation / 2**0.5) - math.erf((start - x) / deviation / 2**0.5))
    return total


@pytest.mark.parametrize(("cells", "pixels", "deviation"), [(3, 12, 0.5), (8, 5, 1.5), (1, 4, 0.5), (4, 4, 2.0)])
def test_weights_are_the_gaussian_over_each_cell_folded_at_the_borders(cells, pixels, deviation):
    weights = kernel_weights(cells, pixels, deviation)
    for pixel in range(pixels):
        for cell in range(cells):
            assert float(weights[pixel, cell]) == pytest.approx(
                naive_weight(cells, pixels, deviation, pixel, cell), abs=1e-5
            )


@pytest.mark.parametrize("deviation", [0.5, 1.0, 2.0])
def test_the_kernel_keeps_the_sum_and_an_even_map(deviation):
    values = smooth(9, 14, 3, signed=True)
    fine = spread(values, (9 * 40, 14 * 40), deviation)
    assert float(fine.sum()) / 1600 == pytest.approx(float(values.sum()), rel=1e-3, abs=1e-3)
    assert spread(torch.full((9, 14), 3.0), (90, 50), deviation).allclose(torch.tensor(3.0), atol=1e-5)


def test_a_fine_grid_is_smoothed_over_more_cells_and_that_is_said():
    fine, coarse = AttentionMap(torch.rand(112, 112), "fine"), AttentionMap(torch.rand(7, 7), "coarse")
    assert deviation_of(fine) == 2.0
    assert deviation_of(coarse) == 0.5
    assert kernel_words(fine) == "smoothed for display over 2 cells"
    assert kernel_words(coarse) == ""


def test_a_line_is_never_smoothed_over_its_neighbours():
    assert deviation_of(AttentionMap(torch.rand(1, 1000), "line")) == 0.5


def test_raw_values_stay_raw():
    values = torch.rand(112, 112, generator=torch.Generator().manual_seed(0))
    map_ = AttentionMap(values.clone(), "fine")
    grown(map_, (224, 224))
    assert torch.equal(map_.values, values)


def test_what_is_not_finite_is_a_hole_that_does_not_bleed():
    values = torch.ones(4, 4)
    values[1, 2] = math.nan
    picture = grown(AttentionMap(values, "holed"), (16, 16))
    hole = torch.zeros(16, 16, dtype=torch.bool)
    hole[4:8, 8:12] = True
    assert torch.equal(torch.isnan(picture), hole)
    assert picture[~hole].allclose(torch.tensor(1.0), atol=1e-5)


def test_sections_side_by_side_do_not_mix():
    values = torch.cat([torch.zeros(5, 5), torch.ones(5, 5)], 1)
    picture = grown(AttentionMap(values, "two", Domain("image", ("left", "right"))), (20, 41))
    assert picture[:, :21].abs().max() < 1e-6  # 20.5 pixels, rounded half up
    assert picture[:, 21:].allclose(torch.tensor(1.0), atol=1e-5)


def test_hard_cells_are_rectangles_of_one_value():
    values = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    picture = grown(AttentionMap(values, "hard"), (4, 4), smooth=False)
    assert torch.equal(picture, values.repeat_interleave(2, 0).repeat_interleave(2, 1))
