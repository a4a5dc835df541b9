import math

import pytest
import torch

from sightline.reports import resize
from sightline.reports.resize import upsample

from .samples import smooth


def bilinear(values, height, width):
    """Bilinear enlarging, pixel by pixel, from its definition."""
    rows, columns = len(values), len(values[0])
    result = [[0.0] * width for _ in range(height)]
    for y in range(height):
        for x in range(width):
            v = max(0.0, (y + 0.5) * rows / height - 0.5)
            u = max(0.0, (x + 0.5) * columns / width - 0.5)
            top, left = min(int(v), rows - 1), min(int(u), columns - 1)
            below, right = min(top + 1, rows - 1), min(left + 1, columns - 1)
            b, a = v - top, u - left
            result[y][x] = (values[top][left] * (1 - a) + values[top][right] * a) * (1 - b) + (
                values[below][left] * (1 - a) + values[below][right] * a
            ) * b
    return torch.tensor(result)


@pytest.mark.parametrize(
    ("grid", "size"), [((3, 4), (13, 9)), ((1, 1), (4, 4)), ((5, 2), (5, 2)), ((9, 9), (4, 5)), ((40, 33), (50, 47))]
)
def test_bilinear_equals_its_definition(grid, size):
    values = smooth(*grid, 1, signed=True)
    torch.testing.assert_close(upsample(values, size), bilinear(values.tolist(), *size))


def test_small_and_large_grids_are_grown_alike(monkeypatch):
    values = smooth(14, 9, 1, signed=True)
    small = upsample(values, (224, 150))
    monkeypatch.setattr(resize, "SMALL", 0)
    torch.testing.assert_close(small, upsample(values, (224, 150)))


def test_nearest_repeats_cells():
    grown = upsample(torch.tensor([[1.0, 2.0]]), (2, 4), smoothing="nearest")
    assert grown.tolist() == [[1.0, 1.0, 2.0, 2.0]] * 2


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("smoothing", ["bilinear", "nearest"])
def test_a_cell_that_is_not_finite_stays_so_and_does_not_bleed(bad, smoothing):
    values = torch.ones(3, 3)
    values[1, 1] = bad
    grown = upsample(values, (9, 9), smoothing=smoothing)
    hole = torch.zeros(9, 9, dtype=torch.bool)
    hole[3:6, 3:6] = True
    assert torch.equal(torch.isnan(grown), hole)
    torch.testing.assert_close(grown[~hole], torch.ones(72))


def test_values_whose_sum_overflows_are_finite():
    assert torch.equal(upsample(torch.full((2, 2), 3e38), (4, 4)), torch.full((4, 4), 3e38))


def test_half_precision_is_read():
    assert upsample(torch.ones(2, 2, dtype=torch.bfloat16), (4, 4)).dtype == torch.float32
