"""Pages of signals, volumes and clips in a real Chromium: the same pixels as Python's, values with their section."""

import pytest
import torch

from sightline.reports import overlay, own_scale, save_page
from sightline.reports.panels import drawable
from sightline.reports.photo import pixels_of

from .test_page_in_browser import Opened
from .test_places import SIZES, item

pytestmark = pytest.mark.browser


@pytest.fixture(params=list(SIZES))
def kind(request):
    return request.param


@pytest.fixture
def opened(browser, kind, tmp_path):
    opened = Opened(browser, save_page([item(kind), item(kind, method="lrp")], tmp_path / "page.html"))
    yield opened
    opened.page.close()


def test_walks_and_points_without_complaint(opened):
    opened.press("Home", "ArrowRight", "s", "n")
    opened.point(1, 0.4, 0.5)
    assert opened.complaints == []
    assert opened.text(".photo h2") == "Input"
    assert opened.page.locator("#panels.wide, #flows.wide").count() == 2


@pytest.mark.parametrize("smoothing", ["bilinear", "nearest"])
def test_pixels_equal_those_of_python(opened, kind, smoothing):
    opened.press("Home")
    opened.page.locator({"bilinear": "#smooth", "nearest": "#cells"}[smoothing]).click()
    (drawn,) = drawable(item(kind))
    map_, picture = drawn.flow[0], pixels_of(drawn.image)
    expected = overlay(map_, picture, scale=own_scale(map_), opacity=0.6, smoothing=smoothing)
    height, width = picture.shape[:2]
    assert opened.page.locator("article.panel canvas").first.get_attribute("width") == str(width)
    places = [(y, x) for y in range(3, height, 17) for x in range(2, width, 37)]
    shown = torch.tensor(opened.pixels(1, places))
    wanted = torch.stack([expected[place] for place in places]).int()
    # a cell's edge may be rounded to the next pixel
    assert ((shown - wanted).abs().amax(1) <= 4).float().mean() > 0.99


def test_the_pointer_names_the_section_and_the_value(opened, kind):
    opened.press("Home")
    opened.point(1, 0.4073, 0.71)
    one = item(kind)
    (drawn,) = drawable(one)
    map_ = drawn.flow[0]
    row, column = int(0.71 * map_.shape[0]), int(0.4073 * map_.shape[1])
    value = opened.panel(1).locator(".readout .value").inner_text().split(" ")[0]
    assert float(value) == pytest.approx(float(map_.values[row, column]), abs=0.01)
    text = opened.panel(1).locator(".readout").inner_text()
    if kind == "signal":
        assert f"at [0, {column}] of 1×32" in text
    else:
        assert f"at [{row}, {column % 10}] in {map_.domain.labels[column // 10]} of 12×10 in 8 sections" in text


def test_a_line_has_its_map_as_a_curve_too(opened, kind):
    curve = opened.panel(1).locator("svg.curve")
    assert curve.is_visible() == (kind == "signal")
    if kind == "signal":
        assert curve.locator("path").get_attribute("d").count("V") == 9  # the eight cells, and back to the ground
