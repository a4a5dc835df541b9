"""Pages of signals, volumes and clips in a real Chromium: the same pixels as Python's, values with their section."""

import pytest

from sightline.reports import save_page
from sightline.reports.density import unit_of
from sightline.reports.panels import drawable

from .browsing import overflow
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
    opened.press("Home", "ArrowRight", "s", "n", "o", "e")
    opened.point(0.4, 0.5)
    assert opened.complaints == []
    assert opened.page.locator("main.wide").count() == 1
    assert overflow(opened.page) == 0


def test_pixels_equal_those_of_python(opened, kind):
    opened.press("Home")
    (drawn,) = drawable(item(kind))
    map_ = drawn.flow[0]
    ratio = opened.page.evaluate(
        "(() => { const c = document.getElementById('map'); return [c.height, c.width]; })()"
    )
    places = [(y, x) for y in range(1, ratio[0], 7) for x in range(2, ratio[1], 17)]
    most, mean = opened.away(map_, unit_of(map_), places, size=tuple(ratio))
    assert most <= 12
    assert mean < 1


def test_the_pointer_names_the_section_and_the_value(opened, kind):
    opened.press("Home")
    opened.point(0.4073, 0.71)
    (drawn,) = drawable(item(kind))
    map_ = drawn.flow[0]
    row, column = int(0.71 * map_.shape[0]), int(0.4073 * map_.shape[1])
    assert float(opened.text("#readout .value").split(" ")[0]) == pytest.approx(
        float(map_.values[row, column]), abs=0.01
    )
    text = opened.text("#readout")
    if kind == "signal":
        assert f"at [0, {column}] of 1×32" in text
    else:
        assert f"at [{row}, {column % 10}] in {map_.domain.labels[column // 10]} of 12×10 in 8 sections" in text


def test_a_line_has_its_map_as_a_curve_too(opened, kind):
    assert opened.visible("#curve") == (kind == "signal")
    if kind == "signal":
        assert opened.page.locator("#curve path.favour").get_attribute("d").count("V") == 9  # eight cells, and down


def test_hiding_a_frame_hides_what_lies_in_it(opened, kind):
    opened.press("End", "b")
    opened.page.locator("#spoken", has_text="hidden: ").wait_for(state="attached")
    assert " of the evidence at this layer, under " in opened.page.locator("#spoken").inner_text()
