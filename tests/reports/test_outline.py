import itertools
import math

import pytest
import torch

from sightline.reports.drawing import map_record
from sightline.reports.outline import area_of, fine_field, half_area, loops_of, outline, smallest_area, thinned
from sightline.results import AttentionMap

from .samples import smooth


def shoelace(loop):
    return 0.5 * abs(sum(x * b - a * y for (x, y), (a, b) in zip(loop, (*loop[1:], loop[0]), strict=True)))


@pytest.mark.parametrize("seed", range(4))
def test_the_area_holds_half_and_no_smaller_one_does(seed):
    field = torch.rand(3, 4, generator=torch.Generator().manual_seed(seed)).double() ** 3
    mask, level, _ = smallest_area(field)
    half = 0.5 * float(field.sum())
    assert float(field[mask].sum()) >= half - 1e-12
    assert float(field[mask].min()) == level
    cells = field.flatten().tolist()
    fewest = next(n for n in range(1, 13) if any(sum(some) >= half for some in itertools.combinations(cells, n)))
    assert int(mask.sum()) == fewest


def test_its_share_counts_the_last_cell_in_part():
    field = torch.tensor([[4.0, 2.0], [1.0, 1.0]])
    assert smallest_area(field, share=0.5)[2] == pytest.approx(1 / 4)
    assert smallest_area(field, share=0.625)[2] == pytest.approx(1.5 / 4)
    assert smallest_area(torch.ones(5, 5))[2] == pytest.approx(0.5)


def test_only_evidence_for_the_decision_counts():
    values = torch.full((8, 8), -5.0)
    values[2:4, 2:4] = 1.0
    assert half_area(AttentionMap(values, "signed", signed=True)) < 4 / 64


def test_the_lines_enclose_the_area_that_is_named():
    map_ = AttentionMap(smooth(14, 14, 5), "layer")
    line = outline(map_)
    inner = [loop for loop in line.loops if any(loop is not other and inside(loop[0], other) for other in line.loops)]
    enclosed = sum(shoelace(loop) * (-1 if loop in inner else 1) for loop in line.loops)
    assert enclosed == pytest.approx(line.area, abs=0.01)


def inside(place, loop):
    """Whether a place lies within a loop, by the crossings of a ray."""
    x, y = place
    crossings = 0
    for (ax, ay), (bx, by) in zip(loop, (*loop[1:], loop[0]), strict=True):
        if (ay > y) != (by > y) and x < ax + (y - ay) * (bx - ax) / (by - ay):
            crossings += 1
    return crossings % 2 == 1


def test_a_line_closes_at_the_edge_of_the_picture():
    values = torch.zeros(10, 10)
    values[:, :3] = 1.0
    (loop,) = outline(AttentionMap(values, "edge")).loops
    assert {min(x for x, _ in loop), min(y for _, y in loop)} == {0.0}
    assert max(y for _, y in loop) == 1.0


def test_the_size_of_the_grid_hardly_matters_to_the_area():
    coarse = smooth(16, 16, 3)
    fine = coarse.repeat_interleave(4, 0).repeat_interleave(4, 1)
    assert half_area(AttentionMap(fine, "fine")) == pytest.approx(half_area(AttentionMap(coarse, "coarse")), abs=0.02)


@pytest.mark.parametrize("values", [torch.zeros(4, 4), torch.full((4, 4), 0.3), torch.full((4, 4), math.nan)])
def test_a_map_that_prefers_no_place_has_no_outline(values):
    line = outline(AttentionMap(values, "none"))
    assert math.isnan(line.area)
    assert line.loops == ()


def test_tiny_islands_have_no_line():
    field = torch.zeros(100, 100)
    field[50, 50] = 9.0
    assert loops_of(field, 5.0) == ()
    field[20:30, 20:30] = 9.0
    assert len(loops_of(field, 5.0)) == 1


def test_thinning_keeps_every_point_near_the_line():
    angles = torch.linspace(0, 2 * math.pi, 400, dtype=torch.float64)
    circle = torch.stack([50 * angles.cos(), 50 * angles.sin()], 1)
    few = thinned(circle, 0.3)
    assert len(few) < 60
    assert float(area_of(few)) == pytest.approx(float(area_of(circle)), rel=0.01)
    assert thinned(circle, 0.0).shape[0] > 300


def test_evidence_on_bars_is_in_no_area_and_no_line():
    """A photo twice as wide as high between bars: three quarters of the evidence lie on the upper one."""
    values = torch.zeros(8, 8)
    values[0, :], values[5, 6] = 3.0, 8.0
    map_, crop = AttentionMap(values, "layer"), (0.0, -0.5, 1.0, 2.0)
    own = outline(map_, inside=(0.0, 0.25, 1.0, 0.5))
    assert all(0.25 <= y <= 0.75 and x > 0.5 for loop in own.loops for x, y in loop)
    assert half_area(map_, crop=crop) == pytest.approx(own.area * 2)
    field = fine_field(map_)
    rows = slice(field.shape[0] // 4, 3 * field.shape[0] // 4)
    assert own.area == pytest.approx(smallest_area(field[rows])[2] / 2, rel=1e-6)
    assert map_record(map_, (0.0, 0.25, 1.0, 0.5))["area"] == own.area
    assert outline(map_).area != own.area


def test_cells_that_lie_on_a_bar_in_part_count_in_part():
    field = outline(AttentionMap(torch.ones(4, 4), "layer"), inside=(0.0, 0.0, 0.9, 1.0)).field
    assert float(field.sum() / field.shape[0]) == pytest.approx(0.9 * field.shape[1])
