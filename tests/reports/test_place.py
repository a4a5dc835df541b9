from dataclasses import replace

import pytest
import torch

from sightline.reports import montage
from sightline.reports.detail import ground_of
from sightline.reports.drawing import overlay
from sightline.reports.outline import outline
from sightline.reports.photo import fit
from sightline.reports.place import DIMMED, Place
from sightline.reports.subject import subjects_of
from sightline.reports.tint import tint_of
from sightline.results import AttentionMap, Decision, Explanation, Flow, Original

from .samples import photo, smooth


def picture(height, width, seed=0):
    return torch.randint(0, 256, (height, width, 3), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def given(height, width, box, **fields):
    flow = Flow((AttentionMap(smooth(7, 7, 3), "late"),), "gradcam")
    original = Original(picture(height, width), box)
    return Explanation(flow, Decision("cat", 1.0), photo(32, 32), original=original, **fields)


def test_a_map_lies_over_the_part_that_the_network_saw():
    pixels, map_ = picture(100, 200), AttentionMap(smooth(7, 7, 3), "late")
    drawn = overlay(map_, pixels, box=(0.25, 0.0, 0.5, 1.0), outlined=False)
    assert torch.equal(drawn[:, 50:150], overlay(map_, pixels[:, 50:150], outlined=False))


def test_what_the_network_did_not_see_is_dimmed_and_the_part_is_framed():
    pixels = picture(100, 200)
    drawn = overlay(AttentionMap(torch.zeros(7, 7), "late"), pixels, box=(0.25, 0.0, 0.5, 1.0))
    assert torch.equal(drawn[:, 50:150], pixels[:, 50:150])
    assert (drawn[:, :49].float() - DIMMED * pixels[:, :49].float()).abs().max() <= 0.51
    assert drawn[:, 49].unique().tolist() == [255]
    assert drawn[:, 150].unique().tolist() == [255]


def test_a_padded_part_covers_the_photo_with_the_middle_of_its_map():
    values = torch.zeros(4, 4)
    values[0], values[3] = 9.0, 9.0  # evidence on the bars alone
    pixels = picture(100, 200)
    drawn = overlay(AttentionMap(values, "late"), pixels, box=(0.0, -0.5, 1.0, 2.0), outlined=False)
    assert torch.equal(drawn[45:55], pixels[45:55])
    whole = Place.of((0.0, -0.5, 1.0, 2.0), pixels)
    assert (whole.top, whole.height, tuple(whole.cut(pixels).shape)) == (-50, 200, (200, 200, 3))


@pytest.mark.parametrize("inside", [(0.0, 0.25, 1.0, 0.5), (0.3, 0.0, 0.45, 1.0), (0.1, 0.6, 0.8, 0.1)])
def test_bars_count_in_no_local_mean(inside):
    pixels = torch.zeros(80, 120, 3, dtype=torch.uint8)
    x, y, width, height = (round(share * side) for share, side in zip(inside, (120, 80, 120, 80), strict=True))
    pixels[y : y + height, x : x + width] = picture(height, width)
    cells = ground_of(pixels, inside)
    high, wide = cells.shape[:2]
    means = {}
    for row in range(high):
        for column in range(wide):
            rows = range(row * 80 // high, -(-(row + 1) * 80 // high))
            columns = range(column * 120 // wide, -(-(column + 1) * 120 // wide))
            own = [pixels[i, j].tolist() for i in rows for j in columns if y <= i < y + height and x <= j < x + width]
            if own:
                means[row, column] = torch.tensor(own).double().mean(0)
    for row in range(high):
        for column in range(wide):
            nearest = min(means, key=lambda cell: (cell[0] - row) ** 2 + (cell[1] - column) ** 2)
            assert (cells[row, column].double() - means[nearest]).abs().max() <= 0.51


def test_an_even_photo_between_bars_is_painted_evenly():
    pixels = torch.full((100, 200, 3), 230, dtype=torch.uint8)
    drawn = overlay(AttentionMap(torch.ones(4, 4), "late"), pixels, box=(0.0, -0.5, 1.0, 2.0), outlined=False)
    alone = overlay(AttentionMap(torch.ones(4, 4), "late"), pixels, outlined=False)
    assert int((drawn.int() - alone.int()).abs().max()) <= 1


def test_the_shades_of_a_photo_between_bars_are_those_of_the_photo():
    seen = torch.zeros(3, 32, 32)
    seen[:, 12:20] = 1.0
    white = torch.full((25, 100, 3), 255, dtype=torch.uint8)
    item = given(100, 100, (0.0, 0.0, 1.0, 1.0))
    item = replace(item, image=seen, original=Original(white, (0.0, -1.5, 1.0, 4.0)))
    assert subjects_of(item)[0].inside == pytest.approx((0.0, 0.375, 1.0, 0.25))
    assert subjects_of(item)[0].tint("glow") == tint_of("glow", white)
    assert subjects_of(item)[0].tint("glow") != tint_of("glow", torch.zeros_like(white))


def test_the_outline_moves_with_the_part():
    loops = outline(AttentionMap(smooth(7, 7, 3), "late")).loops
    place = Place.of((0.25, 0.1, 0.5, 0.8), picture(100, 200))
    for before, after in zip(loops, place.moved(loops), strict=True):
        for (x, y), (u, v) in zip(before, after, strict=True):
            assert (u, v) == pytest.approx((0.25 + 0.5 * x, 0.1 + 0.8 * y))


def test_a_montage_shows_the_users_picture():
    item = given(90, 240, (0.3, 0.0, 0.375, 1.0), source="wide.jpg")
    shown = [torch.as_tensor(axes.images[0].get_array()) for axes in montage([item]).figure.axes]
    first, second = [array for array in shown if array.shape[0] > 1][:2]
    (subject,) = subjects_of([item])
    assert torch.equal(first, fit(subject.framed, 320, enlarge=True))
    small = fit(item.original.pixels, 320, enlarge=True)
    assert torch.equal(second, overlay(item.flow[0], small, box=item.original.crop))
    assert subject.canvas[1] == (0.3, 0.0, 0.375, 1.0)
    assert subject.pixels.shape == (32, 32, 3)  # as the network saw it


def test_of_a_very_tall_picture_the_part_that_was_seen_is_shown_and_framed_in_the_photo():
    (subject,) = subjects_of([given(900, 90, (0.0, 0.45, 1.0, 0.1))])
    assert subject.canvas[1] == (0.0, 0.0, 1.0, 1.0)
    assert torch.equal(subject.canvas[0], subject.original.pixels[405:495])
    assert subject.framed.shape == (900, 90, 3)
    assert subject.framed[403, 40].tolist() == [255, 255, 255]


def test_without_the_users_picture_maps_lie_over_what_the_network_saw():
    item = Explanation(Flow((AttentionMap(smooth(7, 7, 3), "late"),), "m"), Decision("cat", 1.0), photo(32, 32))
    (subject,) = subjects_of([item])
    assert subject.canvas[1] == (0.0, 0.0, 1.0, 1.0)
    assert torch.equal(subject.canvas[0], subject.pixels)


@pytest.mark.parametrize(("height", "width"), [(1200, 90), (60, 900), (1, 50)])
def test_any_shape_of_picture_is_drawn(height, width):
    item = given(height, width, (0.0, 0.4, 1.0, 0.2))
    assert len(montage([item]).axes) >= 2
