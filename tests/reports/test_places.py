"""Signals, volumes and clips are drawn where their maps are, and nothing of a map is left out."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from sightline.errors import ResultError
from sightline.reports import frames, montage, overlay, page, save_animation, save_montage, upsample
from sightline.reports.clip import Reel
from sightline.reports.look import Look
from sightline.reports.panels import drawable
from sightline.reports.payload import subject_payload
from sightline.reports.sections import averaged, middles, section_at, shades
from sightline.reports.signal import WIDTH, plot, ticks
from sightline.reports.subject import subjects_of
from sightline.reports.trajectory import Trajectory
from sightline.results import AttentionMap, Decision, Domain, Explanation, Flow

SIZES = {"signal": ((64,), (32,), (8,)), "volume": ((16, 24, 20), (8, 12, 10), (4, 6, 5))}
SIZES["space-time"] = SIZES["volume"]
each_kind = pytest.mark.parametrize("kind", list(SIZES))


def item(
    kind: str, *, kept: bool = True, method: str = "gradcam", channels: int = 2, **fields: object
) -> Explanation:
    whole, *sizes = SIZES[kind]
    torch.manual_seed(3)
    image = torch.rand(channels if kind == "signal" else 3, *whole)
    maps = tuple(AttentionMap(torch.rand(size), f"layer{n}", Domain(kind)) for n, size in enumerate(sizes))
    return Explanation(Flow(maps, method), Decision("it", 1.0), image if kept else None, "thing", **fields)


@each_kind
@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("differences", [True, False])
def test_every_kind_has_a_montage_a_page_and_an_animation(kind, kept, differences, tmp_path):
    items = [item(kind, kept=kept, rate=8.0), item(kind, kept=kept, rate=8.0, method="lrp")]
    assert save_montage(items, tmp_path / "montage.png", differences=differences).stat().st_size > 1000
    assert "<!doctype html>" in page(items)
    assert save_animation(items, tmp_path / "walk.gif").stat().st_size > 1000


@each_kind
def test_methods_on_one_input_are_one_subject(kind):
    assert len(subjects_of([item(kind), item(kind, method="lrp")])) == 1


@pytest.mark.parametrize("count", [1, 3, 4, 6, 8])
def test_sections_average_the_map_over_their_part_of_the_axis(count):
    values = torch.rand(6, 2, 3)
    drawn = averaged(values, count)
    for number in range(count):
        total, weight = torch.zeros(2, 3), 0.0
        for cell in range(6):
            share = max(0.0, min((cell + 1) / 6, (number + 1) / count) - max(cell / 6, number / count))
            total, weight = total + share * values[cell], weight + share
        assert torch.allclose(drawn[number], total / weight, atol=1e-6)
    assert torch.allclose(drawn.mean(0), values.mean(0), atol=1e-6)


def test_a_section_that_holds_a_value_that_is_not_finite_is_not_finite_there_and_nowhere_else():
    values = torch.ones(4, 2, 2)
    values[1, 0, 1] = math.nan
    drawn = averaged(values, 2)
    assert torch.isnan(drawn).nonzero().tolist() == [[0, 0, 1]]


def test_sections_stand_side_by_side_in_order_and_are_named():
    one = item("space-time", rate=8.0)
    (drawn,) = drawable(one)
    map_ = drawn.flow[0]
    assert map_.domain.labels == tuple(f"{place / 8:.2f} s" for place in middles(16, 8))
    for number in range(8):
        assert torch.equal(map_.values[:, 10 * number : 10 * number + 10], one.flow[0].values[number])
    (volume,) = drawable(item("volume"))
    assert volume.flow[0].domain.labels[:2] == ("slice 2", "slice 4")
    (unknown,) = drawable(item("space-time"))
    assert unknown.flow[0].domain.labels[0] == "frame 1"


def test_the_slice_in_the_middle_of_a_part_lies_under_its_map():
    image = torch.zeros(1, 16, 24, 20)
    image[0, 5] = 1.0  # the middle of the third of eight parts: 4 to 6
    one = Explanation(
        Flow((AttentionMap(torch.ones(4, 6, 5), "a", Domain("volume")),), "m"), Decision("it", 1.0), image
    )
    (drawn,) = drawable(one)
    wide = drawn.image.shape[2] // 8
    light = [float(drawn.image[:, 40:, wide * n + 4 : wide * (n + 1) - 4].mean()) for n in range(8)]
    assert light.index(max(light)) == 2


def test_nothing_bleeds_from_one_section_to_the_next():
    values = torch.zeros(2, 6)
    values[:, 2] = 1.0  # the last cell of the first of two sections
    grown = upsample(values, (8, 48), sections=2)
    assert float(grown[:, :24].max()) == 1.0
    assert float(grown[:, 24:].max()) == 0.0
    assert float(upsample(values, (8, 48))[:, 24:].max()) > 0.0
    assert torch.equal(grown[:, :24], upsample(values[:, :3], (8, 24)))


def test_what_a_scanner_measures_is_spread_over_the_shades_and_pictures_stay():
    values = torch.linspace(-1000, 2000, 1001)
    drawn = shades(values)
    assert float(drawn[5]) == pytest.approx(0.0, abs=0.01)
    assert float(drawn[-6]) == pytest.approx(1.0, abs=0.01)
    picture = torch.rand(3, 4, 4)
    assert torch.equal(shades(picture), picture)


def test_a_line_is_drawn_where_the_signal_is():
    signal = torch.zeros(1, 100)
    signal[0, 75] = 1.0
    light = plot(signal).float().mean(-1)
    top = light[:40]
    assert abs(int(top.max(0).values.argmax()) - round(75.5 / 100 * WIDTH)) <= 3


def test_crowded_samples_keep_their_extremes():
    signal = torch.zeros(1, 200_000)
    signal[0, 150_000] = 1.0
    light = plot(signal).float().mean(-1)[:30]
    assert abs(int(light.max(0).values.argmax()) - round(0.75 * WIDTH)) <= 2


@pytest.mark.parametrize("values", [[math.nan] * 5, [1.0] * 5, [0.0, math.nan, 1.0, math.inf, 2.0], [3.0]])
def test_odd_signals_are_drawn(values):
    assert plot(torch.tensor([values])).shape[1] == WIDTH


def test_many_channels_are_an_even_spread_of_a_dozen():
    assert plot(torch.rand(128, 50)).shape[0] <= 400


@pytest.mark.parametrize("whole", [0.013, 0.5, 1.0, 9.9, 10.0, 4096.0])
def test_ticks_are_few_round_and_within(whole):
    marks = ticks(whole)
    assert 2 <= len(marks) <= 10
    assert all(0 <= mark < whole for mark in marks)


def test_a_strip_has_the_width_of_the_sheet_and_a_photo_does_not():
    look = Look(6, "glow", 1.0, "own", 11, smooth=True)
    (strip,) = subjects_of([item("signal")])
    assert strip.wide
    assert look.of(strip).columns == 1
    photo = Explanation(Flow((AttentionMap(torch.rand(4, 4), "a"),), "m"), Decision("it", 1.0), torch.rand(3, 32, 48))
    assert look.of(subjects_of([photo])[0]).cell == look.cell


@pytest.mark.parametrize("differences", [True, False])
@each_kind
def test_no_two_pictures_of_a_sheet_overlap(kind, differences):
    figure = montage([item(kind), item(kind, method="lrp")], differences=differences)
    boxes = sorted((axes.get_position() for axes in figure.axes), key=lambda box: -box.y1)
    for above, below in pairwise(boxes):
        assert below.y1 <= above.y0 + 1e-6
    assert min(box.y0 for box in boxes) >= 0.0


def test_the_way_of_sections_is_told_by_section_and_has_no_centre():
    (drawn,) = drawable(item("space-time"))
    course = Trajectory(drawn)
    assert course.centres == (None, None)
    assert [region.name for region in course.regions] == list(drawn.flow[0].domain.labels)
    shares = torch.tensor([row[0] for row in course.shares])
    expected = drawn.flow[0].values.unflatten(1, (8, 10)).sum((0, 2)) / drawn.flow[0].values.sum()
    assert torch.allclose(shares, expected, atol=1e-6)
    (line,) = drawable(item("signal"))
    assert [region.name for region in Trajectory(line).regions] == ["beginning", "middle", "end"]


def test_the_page_carries_sections_and_says_that_it_is_wide():
    payload = subject_payload(subjects_of([item("volume")])[0])
    assert payload["wide"]
    assert payload["panels"][0]["maps"][0]["sections"][0] == "slice 2"
    assert payload["panels"][0]["course"]["steps"][0]["sections"][0] == "slice 2"


@pytest.mark.parametrize("kind", ["volume", "space-time"])
def test_a_clip_is_played_frame_by_frame_with_the_cells_of_that_frame(kind):
    one = item(kind, rate=8.0)
    pictures = list(frames([one]))
    assert len(pictures) == 16
    assert pictures[0].seconds == pytest.approx(1 / 8)
    only_last = torch.zeros(8, 12, 10)
    only_last[7] = 1.0
    flow = Flow((AttentionMap(only_last, "a", Domain(kind)),), "m")
    reel = Reel((Explanation(flow, Decision("it", 1.0), one.image),), 200, "glow", 1.0, "own")
    changes = [(reel.pictures(place)[1] - reel.pictures(place)[0]).abs().mean() for place in range(16)]
    assert all(value == 0 for value in changes[:14])
    assert all(value > 30 for value in changes[14:])
    assert torch.equal(section_at(one.flow[1].values, 15, 16), one.flow[1].values[3])
    assert torch.equal(section_at(one.flow[1].values, 4, 16), one.flow[1].values[1])


def test_a_photo_and_a_clip_are_not_one_animation():
    photo = Explanation(Flow((AttentionMap(torch.rand(4, 4), "a"),), "m"), Decision("it", 1.0), None, "thing")
    with pytest.raises(ResultError, match="lie over both"):
        list(frames([item("volume", kept=False), photo]))


def test_a_map_of_one_row_has_no_line_across_its_signal():
    photo, values = torch.full((20, 60, 3), 22, dtype=torch.uint8), torch.zeros(1, 30)
    values[0, 10:13] = 1.0
    map_ = AttentionMap(values, "layer")
    assert torch.equal(overlay(map_, photo), overlay(map_, photo, outlined=False))
