"""Peaks against parts and against fixed places, recomputed by hand."""

import pytest
import torch

from sightline.tasks.attributes.data import Attribute, Vocabulary
from sightline.tasks.attributes.metrics.pointing import (
    CONTROLS,
    GRID,
    REACH,
    Spots,
    hit_tables,
    own_points,
    peaks_of,
    pointing,
    spots_of,
)

PARTS = ("beak", "left wing", "right wing", "object")
WORDS = Vocabulary(
    (
        Attribute("has_bill_color::red", "has_bill_color", "red", "bill", "part"),
        Attribute("has_wing_color::red", "has_wing_color", "red", "wing", "part"),
        Attribute("has_size::small", "has_size", "small", "", "object"),
    )
)


def scene(count=40, seed=0):
    draw = torch.Generator().manual_seed(seed)
    points = torch.rand(count, 4, 2, generator=draw)
    points[::5, 1] = torch.nan
    points[::7, :3] = torch.nan
    boxes = torch.tensor([0.1, 0.2, 0.6, 0.5]) + 0.1 * torch.rand(count, 4, generator=draw)
    return Spots(points, boxes), torch.rand(count, 3, 2, generator=draw), draw


def test_a_group_is_read_on_any_of_its_parts_points():
    assert own_points(WORDS, PARTS) == ((0,), (1, 2), ())


def test_middles_and_boxes_of_maps_of_ids():
    parts = torch.zeros(1, 10, 10, dtype=torch.uint8)
    parts[0, 2:4, 6:9] = 1
    parts[0, 7, 1] = 4
    spots = spots_of(parts, 4)
    assert spots.points[0, 0].tolist() == pytest.approx([0.75, 0.3])
    assert spots.points[0, 1].isnan().all()
    assert spots.boxes[0].tolist() == pytest.approx([0.1, 0.2, 0.8, 0.6])


def test_the_peak_of_a_map_is_a_share_of_the_side():
    maps = torch.zeros(1, 1, 6, 6)
    maps[0, 0, 1, 4] = 1
    assert peaks_of(maps)[0, 0].tolist() == pytest.approx([4.5 / 6, 1.5 / 6], abs=0.03)


def near(place, points, box):
    reach = REACH * (box[2] ** 2 + box[3] ** 2) ** 0.5
    return any(((place[0] - x) ** 2 + (place[1] - y) ** 2) ** 0.5 <= reach for x, y in points.tolist() if x == x)


def test_hits_and_all_fixed_places_are_those_of_a_loop():
    spots, peaks, _ = scene()
    tables = hit_tables(peaks, spots, own_points(WORDS, PARTS), torch.ones(40, 3, dtype=torch.bool))
    cells = [((i % GRID + 0.5) / GRID, (i // GRID + 0.5) / GRID) for i in range(GRID * GRID)]
    for g, own in enumerate(([0], [1, 2])):
        rows = [n for n in range(40) if not spots.points[n, own].isnan().all()]
        for n in range(40):
            if n not in rows:
                assert all(tables[name][n, g].isnan() for name in ("network", *CONTROLS))
        at = {n: (spots.points[n, own], spots.boxes[n].tolist()) for n in rows}
        score = {c: [near(cells[c], *at[n]) for n in rows] for c in range(len(cells))}
        for position, n in list(enumerate(rows))[:6]:
            points, box = at[n]
            assert tables["network"][n, g] == near(peaks[n, g].tolist(), points, box)
            others = [at[m][0].nanmean(0) for m in rows if m != n]
            mean = torch.stack(others).mean(0).tolist()
            assert tables["mean place"][n, g] == near(mean, points, box)
            best = max(score, key=lambda c: sum(score[c]) - score[c][position])
            assert tables["best place"][n, g] == near(cells[best], points, box)


def test_places_in_the_box_move_with_the_box():
    """The same part at the same place of every box is always hit from the box, not from the picture."""
    draw = torch.Generator().manual_seed(0)
    boxes = torch.cat([0.6 * torch.rand(30, 2, generator=draw), torch.full((30, 2), 0.3)], 1)
    points = (boxes[:, :2] + 0.3 * torch.tensor([0.9, 0.2]))[:, None]
    tables = hit_tables(torch.zeros(30, 1, 2), Spots(points, boxes), ((0,),), torch.ones(30, 1, dtype=torch.bool))
    assert tables["mean place in the box"].mean() == 1
    assert tables["best place in the box"].mean() == 1
    assert tables["mean place"].mean() < 0.5


def test_differences_are_paired_over_pictures():
    spots, _, _ = scene()
    truth = spots.points[:, [0, 1, 3]].nan_to_num(0.0)
    truth[:, 1] = torch.where(spots.points[:, 1].isnan(), spots.points[:, 2], spots.points[:, 1]).nan_to_num(0.0)
    judged = pointing(truth, spots, own_points(WORDS, PARTS), torch.ones(40, 3, dtype=torch.bool))
    assert judged.hits.mean == 1
    assert judged.groups == 2
    assert judged.pictures == 34
    for name in CONTROLS:
        assert judged.over[name].mean == pytest.approx(1 - judged.controls[name].mean)


def test_without_parts_there_is_nothing_to_point_at():
    spots, peaks, _ = scene()
    assert pointing(peaks, spots, ((), (), ()), torch.ones(40, 3, dtype=torch.bool)) is None
