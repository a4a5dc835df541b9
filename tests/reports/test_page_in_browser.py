"""The page in a real Chromium, opened from a file."""

from itertools import pairwise

import pytest
import torch

from sightline.reports import overlay, own_scale, save_page, shared_scale
from sightline.reports.colour import overlay_difference
from sightline.reports.motion import difference, mass, moved
from sightline.reports.photo import pixels_of
from sightline.results import AttentionMap, Flow

from .samples import HOSTILE, explanation, gallery, photo, smooth

pytestmark = pytest.mark.browser

PIXELS = """([canvas, places]) => {
    const pen = canvas.getContext("2d", { willReadFrequently: true });
    return places.map(([y, x]) => [...pen.getImageData(x, y, 1, 1).data].slice(0, 3));
}"""


class Opened:
    """A page in the browser, with all that it complained about and asked for."""

    def __init__(self, browser, path, **options):
        self.page = browser.new_page(**{"viewport": {"width": 1280, "height": 900}, **options})
        self.complaints, self.requests = [], []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("article.panel canvas")

    def panel(self, number):
        return self.page.locator("article.panel").nth(number - 1)

    def text(self, selector):
        return self.page.locator(selector).inner_text()

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)

    def wait_for_panels(self, count):
        self.panel(count).wait_for()
        self.panel(count + 1).wait_for(state="detached")

    def pixels(self, number, places):
        canvas = self.panel(number).locator(".frame canvas").element_handle()
        return self.page.evaluate(PIXELS, [canvas, places])

    def point(self, number, across, down):
        box = self.panel(number).locator(".frame").bounding_box()
        self.page.mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"])


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return save_page(gallery(), tmp_path_factory.mktemp("page") / "a page with ümläuts & spaces.html", title=HOSTILE)


@pytest.fixture
def opened(browser, path):
    opened = Opened(browser, path)
    yield opened
    opened.page.close()


@pytest.fixture(scope="module")
def reused(browser, path):
    """A page for tests that set all that they depend on."""
    opened = Opened(browser, path)
    yield opened
    opened.page.close()


def test_opens_from_a_file_without_complaint_and_asks_for_nothing(opened, path):
    opened.press("Home", "s", "n", "s", "PageDown")
    opened.wait_for_panels(1)
    assert opened.complaints == []
    assert [url for url in opened.requests if not url.startswith("data:")] == [path.as_uri()]


def test_begins_at_the_last_stage_and_keys_walk(opened):
    assert opened.text("#layer") == "nan"
    opened.press("Home")
    assert opened.text("#layer") == "early"
    opened.press("ArrowRight", "ArrowRight", "ArrowLeft")
    assert opened.text("#layer") == "middle"
    assert opened.text("#count") == "2 of 7"
    opened.press("ArrowLeft", "ArrowLeft", "ArrowLeft")
    assert opened.text("#layer") == "early"


def test_slider_changes_the_stage_and_the_pictures(opened):
    opened.press("Home")
    places = [(y, x) for y in range(20, 240, 40) for x in range(20, 320, 60)]
    before = opened.pixels(1, places)
    opened.page.locator("#slider").fill("2")
    assert opened.text("#layer") == "late"
    assert opened.page.locator("#slider").get_attribute("aria-valuetext") == "late, 3 of 7"
    assert opened.pixels(1, places) != before


def test_pointer_reads_the_raw_value_in_every_panel(opened):
    opened.press("Home")
    opened.point(1, 0.4, 0.7)
    for number in (1, 2):
        map_ = gallery()[number - 1].flow["early"]
        row, column = int(0.7 * 12), int(0.4 * 16)
        shown = opened.panel(number).locator(".readout .value").inner_text()
        assert torch.tensor(float(shown)) == map_.values[row, column]
        assert f"at [{row}, {column}] of 12×16 · early" in opened.panel(number).locator(".readout").inner_text()


def test_pointer_says_where_a_value_is_not_finite(opened):
    opened.point(3, 2.5 / 8, 1.5 / 6)
    assert opened.panel(3).locator(".readout .value").inner_text() == "NaN (not finite)"
    opened.point(3, 5.5 / 8, 4.5 / 6)
    assert opened.panel(3).locator(".readout .value").inner_text() == "+∞ (not finite)"


@pytest.mark.parametrize("smoothing", ["bilinear", "nearest"])
@pytest.mark.parametrize("scale", ["own", "shared"])
@pytest.mark.parametrize(
    ("number", "layer", "steps"), [(1, "early", 0), (2, "middle", 1), (3, "nan", 6), (3, "zero", 4)]
)
def test_pixels_equal_those_of_python(reused, number, layer, steps, scale, smoothing):
    reused.press("Home", *["ArrowRight"] * steps)
    for button in (scale, {"bilinear": "smooth", "nearest": "cells"}[smoothing]):
        reused.page.locator(f"#{button}").click()
    flow = gallery()[number - 1].flow
    limits = own_scale(flow[layer]) if scale == "own" else shared_scale(flow.maps)
    picture = pixels_of(photo()).repeat_interleave(5, 0).repeat_interleave(5, 1)
    expected = overlay(flow[layer], picture, scale=limits, opacity=0.6, smoothing=smoothing)
    places = [(y, x) for y in range(3, 240, 26) for x in range(2, 320, 37)]
    shown = torch.tensor(reused.pixels(number, places))
    wanted = torch.stack([expected[place] for place in places]).int()
    assert (shown - wanted).abs().max() <= 4  # one step of the colour table
    assert (shown - wanted).abs().float().mean() < 0.2


def test_opacity_by_keys_reaches_the_photo_and_stops_there(opened):
    opened.press("Home", *["ArrowDown"] * 14)
    assert opened.text("#share") == "0 %"
    places = [(12, 12), (122, 217)]
    assert opened.pixels(1, places) == [pixels_of(photo())[y // 5, x // 5].tolist() for y, x in places]
    opened.press("ArrowUp")
    assert opened.text("#share") == "5 %"


def test_digits_and_buttons_show_and_hide_panels(opened):
    opened.press("2")
    assert not opened.panel(2).is_visible()
    assert opened.page.locator(".toggle").nth(1).get_attribute("aria-pressed") == "false"
    opened.page.locator(".toggle").nth(1).click()
    assert opened.panel(2).is_visible()
    opened.press("0", "9")
    assert not opened.page.locator("figure.photo").is_visible()


def test_hostile_words_are_text_and_run_nothing(opened):
    assert opened.panel(2).locator("h2").text_content() == HOSTILE
    assert opened.page.title() == HOSTILE
    assert opened.page.evaluate("window.hacked") is None
    assert opened.page.locator("main img, main b b, .phrase b").count() == 0


def test_statuses_are_explained(opened):
    for status, sentence in (("nan", "not finite"), ("flat", "every value is the same"), ("zero", "exactly zero")):
        note = opened.panel(3).locator(".status").inner_text().lower()
        assert status in note
        assert sentence in note
        opened.press("ArrowLeft")
    assert not opened.panel(3).locator(".status").is_visible()


def test_a_method_without_a_map_here_says_so(opened):
    assert opened.panel(1).locator(".empty").is_visible()
    assert opened.panel(1).locator(".empty").inner_text() == "This method has no map at this layer."
    opened.press("Home")
    assert not opened.panel(1).locator(".empty").is_visible()


def test_pointing_at_a_phrase_shows_its_map_and_box(opened):
    opened.press("Home")
    phrase = opened.panel(1).locator(".phrase")
    assert phrase.inner_text().startswith("red <b>crown</b>")
    phrase.hover()
    box = opened.panel(1).locator(".box")
    frame = opened.panel(1).locator(".frame").bounding_box()
    assert box.is_visible()
    assert box.bounding_box()["x"] == pytest.approx(frame["x"] + 0.25 * frame["width"], abs=1)
    assert "crown · 5×5" in opened.panel(1).locator(".readout").inner_text()
    opened.page.mouse.move(2, 2)
    assert not box.is_visible()
    phrase.click()
    opened.page.mouse.move(2, 2)
    assert box.is_visible()
    opened.press("Escape")
    assert not box.is_visible()


def test_provenance_folds_out(opened):
    fold = opened.panel(1).locator("details")
    assert not fold.locator("pre").is_visible()
    fold.locator("summary").click()
    assert '"model": "tiny <b>"' in fold.locator("pre").inner_text()


def test_help_opens_and_closes_by_its_key(opened):
    opened.press("?")
    assert opened.page.locator("#help").is_visible()
    opened.press("?")
    assert not opened.page.locator("#help").is_visible()


def test_thumbnails_change_the_photo(opened):
    opened.page.locator("#strip button").nth(1).click()
    opened.wait_for_panels(1)
    assert opened.text("#source") == "second.png"
    opened.press("PageUp")
    opened.wait_for_panels(3)


def test_play_walks_by_itself_and_stops(opened):
    opened.press("Home", " ")
    opened.page.locator("#layer", has_text="middle").wait_for()
    opened.press(" ")
    assert opened.page.locator("#play").get_attribute("aria-pressed") == "false"


@pytest.mark.parametrize("width", [320, 390, 1280])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_is_cut_off_on_any_screen(browser, path, width, theme):
    opened = Opened(browser, path, viewport={"width": width, "height": 800}, color_scheme=theme)
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    paper = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(16, 18, 22)") == (theme == "dark")
    opened.press("t")
    assert opened.page.evaluate("getComputedStyle(document.body).backgroundColor") != paper
    opened.page.close()


@pytest.mark.parametrize("image", [None, torch.rand(1, 28, 28), torch.rand(3, 3, 300), torch.rand(3, 300, 3)])
def test_odd_pictures_and_a_single_stage_open(browser, tmp_path, image):
    from dataclasses import replace

    still = replace(explanation(Flow((AttentionMap(smooth(4, 4, 1), "only"),), "m")), image=image)
    opened = Opened(browser, save_page([still], tmp_path / "page.html"))
    opened.press("ArrowLeft", "ArrowRight", " ")
    assert opened.text("#layer") == "only"
    assert not opened.page.locator("#track").is_visible()
    assert opened.complaints == []
    opened.page.close()


def test_a_very_deep_network_opens_and_walks(browser, tmp_path):
    deep = Flow(tuple(AttentionMap(smooth(3, 3, n), f"s{n}") for n in range(120)), "gradcam")
    opened = Opened(browser, save_page([explanation(deep)], tmp_path / "page.html"))
    opened.press("ArrowLeft")
    assert opened.text("#count") == "119 of 120"
    assert opened.complaints == []
    opened.page.close()


class TestFlowView:
    """The flow below the panels."""

    @pytest.fixture(scope="class")
    def flow(self, browser, tmp_path_factory):
        path = save_page([walked()], tmp_path_factory.mktemp("flow") / "page.html")
        opened = Opened(browser, path)
        yield opened
        own = [text for text in opened.complaints if not text.startswith("Canvas2D")]  # that is of our reading pixels
        assert own == []
        opened.page.close()

    def test_stages_stand_in_order_and_the_silent_one_is_named_and_not_drawn(self, flow):
        cards = flow.page.locator(".flow .card")
        assert cards.locator(".layer").all_inner_texts() == ["0", "1", "2", "3"]
        assert cards.locator("canvas").count() == 3
        assert cards.nth(2).locator(".silent").inner_text() == "zero"
        assert "exactly zero" in cards.nth(2).get_attribute("title")

    def test_differences_stand_between_neighbours_and_none_beside_a_silent_stage(self, flow):
        steps = flow.page.locator(".flow .step")
        assert steps.count() == 3
        assert steps.locator("canvas").count() == 1
        assert steps.locator(".moved").all_inner_texts() == ["50 %", "none", "none"]

    def test_gained_is_green_and_lost_is_purple(self, flow):
        canvas = flow.page.locator(".flow .step canvas").first.element_handle()
        (kept, lost), (gained, _) = (
            flow.page.evaluate(PIXELS, [canvas, [(int(y * 90), 15), (int(y * 90), 105)]]) for y in (0.1, 0.9)
        )
        assert lost[2] > lost[1] + 60
        assert gained[1] > gained[2] + 60
        assert max(kept) - min(kept) < 12

    def test_the_centre_and_its_spread_are_told_and_drawn(self, flow):
        flow.press("Home")
        assert flow.text(".flow .here").startswith("features.0: 50 % from the left, 25 % from the top")
        assert flow.page.locator(".over circle.halt").count() == 3 + 1
        assert flow.page.locator(".over line.way").count() == 2
        assert flow.page.locator(".over line.way.gap").count() == 1
        flow.press("End", "ArrowLeft")
        assert flow.text(".flow .here") == "features.2: zero, no centre"
        assert flow.page.locator(".over ellipse").count() == 0

    def test_a_click_on_a_stage_takes_the_page_there(self, flow):
        flow.page.locator(".flow .card").nth(1).click()
        assert flow.text("#layer") == "features.1"
        assert flow.page.locator(".flow .card").nth(1).get_attribute("aria-pressed") == "true"

    def test_notes_become_charts_where_they_are_numbers_by_stage(self, flow):
        flow.press("Home")
        titles = flow.page.locator(".flow .chart .title b").all_inner_texts()
        assert titles == [
            "Evidence by region",
            "Score carried through this layer (dashed: the score, 3.25)",
            "Share abandoned",
        ]
        assert "0.5" in flow.page.locator(".flow .chart .title .now").nth(1).inner_text()
        notes = flow.panel(1).locator(".notes")
        assert "score carried through this layer" in notes.inner_text()
        assert "my own note" in notes.inner_text()

    def test_all_of_it_is_a_table_too(self, flow):
        flow.page.locator(".flow .numbers summary").click()
        flow.page.locator(".flow tbody tr").last.wait_for()
        rows = [row.split("\t") for row in flow.page.locator(".flow tbody tr").all_inner_texts()]
        heads = flow.page.locator(".flow thead th").all_inner_texts()
        second = dict(zip(heads, rows[1], strict=True))
        assert [row[0] for row in rows] == ["features.0", "features.1", "features.2", "features.3"]
        assert second["grid"] == "2×2"
        assert second["moved since the layer before"] == "50 %"
        assert second["score carried through this layer"] == "1.5"
        assert second["share abandoned"] == "0.2"
        assert dict(zip(heads, rows[2], strict=True))["status"] == "zero"

    def test_remarks_are_sentences_and_hostile_ones_are_text(self, flow):
        assert flow.page.locator(".flow .remarks li").all_inner_texts() == ["Nothing was abandoned.", HOSTILE]
        assert flow.page.evaluate("window.hacked") is None


def walked():
    """Evidence on top, then half of it below, then nothing, then all of it below; with notes and remarks."""
    grids = ([[0.5, 0.5], [0.0, 0.0]], [[0.5, 0.0], [0.5, 0.0]], [[0.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [2.0, 0.0]])
    notes = ({"carried": 0.5, "my own note": 4.0}, {"carried": 1.5, "abandoned": 0.2}, {}, {"abandoned": 0.1})
    maps = tuple(
        AttentionMap(torch.tensor(values), f"features.{n}", notes=notes[n]) for n, values in enumerate(grids)
    )
    return explanation(Flow(maps, "naflow", ("Nothing was abandoned.", HOSTILE)))


def test_large_maps_are_read_with_their_tolerance(browser, tmp_path):
    map_ = AttentionMap(smooth(48, 64, 3), "large")
    opened = Opened(browser, save_page([explanation(Flow((map_,), "m"))], tmp_path / "page.html"))
    opened.point(1, 20.5 / 64, 30.5 / 48)
    value, tolerance = map(float, opened.panel(1).locator(".readout .value").inner_text().split(" ± "))
    assert abs(value - float(map_.values[30, 20])) <= tolerance * 1.6  # the tolerance is written with one digit
    assert tolerance < 0.003 * float(map_.values.max())
    row, column = divmod(int(map_.values.argmax()), 64)
    opened.point(1, (column + 0.5) / 64, (row + 0.5) / 48)
    peak = float(opened.panel(1).locator(".readout .value").inner_text().split(" ± ")[0])
    assert peak == pytest.approx(float(map_.values.max()), rel=1e-3)  # the highest level is the peak itself
    opened.page.close()


def test_large_maps_look_as_they_do_in_python(browser, tmp_path):
    map_ = AttentionMap(smooth(48, 64, 3, signed=True), "large", signed=True)
    opened = Opened(browser, save_page([explanation(Flow((map_,), "m"))], tmp_path / "page.html"))
    picture = pixels_of(photo()).repeat_interleave(5, 0).repeat_interleave(5, 1)
    expected = overlay(map_, picture, scale=own_scale(map_), opacity=0.6)
    places = [(y, x) for y in range(3, 240, 26) for x in range(2, 320, 37)]
    shown = torch.tensor(opened.pixels(1, places))
    wanted = torch.stack([expected[place] for place in places]).int()
    assert (shown - wanted).abs().max() <= 5
    assert (shown - wanted).abs().float().mean() < 1
    opened.page.close()


def test_differences_look_as_they_do_in_python(browser, tmp_path):
    item = explanation(image=torch.full((3, 30, 40), 0.4))
    opened = Opened(browser, save_page([item], tmp_path / "page.html"))
    masses = [mass(map_) for map_ in item.flow.maps]
    changes = [difference(a, b) for a, b in pairwise(masses)]
    picture, farthest = torch.full((90, 120, 3), 102, dtype=torch.uint8), max(map(moved, changes))
    places = [(y, x) for y in range(2, 90, 11) for x in range(3, 120, 13)]
    for number, change in enumerate(changes):
        expected = overlay_difference(change, picture, strength=(moved(change) / farthest) ** 0.5).int()
        canvas = opened.page.locator(".flow .step canvas").nth(number).element_handle()
        shown = torch.tensor(opened.page.evaluate(PIXELS, [canvas, places]))
        assert (shown - torch.stack([expected[place] for place in places])).abs().max() <= 2
    opened.page.close()
