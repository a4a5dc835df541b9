"""The page in a real Chromium, opened from a file: the answer on top, and every control that changes it."""

import pytest
import torch

from sightline.reports import save_page
from sightline.reports.density import shared_unit, unit_of
from sightline.reports.drawing import overlay
from sightline.results import AttentionMap, Decision, Explanation, Flow

from .browsing import THEMES, WIDTHS, broken_words, laid_out, overflow, violations
from .samples import HOSTILE, explanation, gallery, photo, smooth

pytestmark = pytest.mark.browser

PIXELS = """([canvas, places]) => {
    const pen = canvas.getContext("2d", { willReadFrequently: true });
    return places.map(([y, x]) => [...pen.getImageData(x, y, 1, 1).data]);
}"""


BELOW = """([width, height]) => {
  const drawn = (image, width, height) => {
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width, height });
    const pen = canvas.getContext("2d", { willReadFrequently: true });
    pen.imageSmoothingQuality = "high";
    pen.drawImage(image, 0, 0, width, height);
    return canvas;
  };
  const photo = document.getElementById("photo"), share = 320 / Math.max(photo.naturalWidth, photo.naturalHeight);
  const fine = drawn(photo, Math.round(share * photo.naturalWidth), Math.round(share * photo.naturalHeight));
  return Array.from(drawn(fine, width, height).getContext("2d").getImageData(0, 0, width, height).data);
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
        self.page.wait_for_function("document.getElementById('layer').textContent !== ''")
        laid_out(self.page)

    def text(self, selector):
        return self.page.locator(selector).inner_text()

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)

    def pressed(self, selector):
        return self.page.locator(selector).get_attribute("aria-pressed") == "true"

    def visible(self, selector):
        return self.page.locator(selector).is_visible()

    def pixels(self, places, selector="#map"):
        return self.page.evaluate(PIXELS, [self.page.locator(selector).element_handle(), places])

    def away(self, map_, unit, places, *, size=(240, 320), smooth=True):
        """Largest and mean difference of what is seen at some places from Python's drawing over the same photo."""
        height, width = size
        bytes_ = self.page.evaluate(BELOW, [width, height])
        photo = torch.tensor(bytes_, dtype=torch.uint8).reshape(height, width, 4)[..., :3].contiguous()
        over = torch.tensor(self.pixels(places)).float()
        below = torch.stack([photo[place] for place in places]).float()
        seen = below + (over[:, :3] - below) * over[:, 3:] / 255
        wanted = overlay(map_, photo, unit=unit, outlined=False, smooth=smooth)
        change = (seen - torch.stack([wanted[place] for place in places])).abs()
        return float(change.max()), float(change.mean())

    def point(self, across, down):
        box = self.page.locator("#field").bounding_box()
        self.page.mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"])

    def wait_for_source(self, name):
        self.page.locator("#source", has_text=name).wait_for()


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
    opened.press("Home", "s", "n", "s", "o", "v", "e", "b", "Escape", "u", "2", "3", "PageDown")
    opened.wait_for_source("second.png")
    assert opened.complaints == []
    assert [url for url in opened.requests if not url.startswith("data:")] == [path.as_uri()]


def test_the_answer_is_one_sentence_and_what_the_outline_holds(opened):
    assert opened.text("#sentence").startswith("cat, 50 % sure: the network looked ")
    opened.press("Home")
    assert opened.text("#sentence").endswith(".")
    half = opened.text("#facts b")
    assert opened.text("#facts").strip() == f"Half of the evidence is in {half} of the picture (outline)."
    assert 0 < float(half.split()[0]) < 50


def test_the_sentence_is_there_before_the_script_runs(browser, path):
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(path.as_uri())
    assert page.locator("#sentence").inner_text().startswith("cat, 50 % sure: the network looked ")
    assert page.locator("#photo").bounding_box()["width"] > 300
    page.close()


def test_begins_at_the_last_layer_of_the_method_and_keys_walk(opened):
    assert opened.text("#layer") == "late"
    opened.press("Home")
    assert opened.text("#layer") == "early"
    opened.press("ArrowRight", "ArrowRight", "ArrowLeft")
    assert opened.text("#layer") == "middle"
    assert opened.text("#count") == "2 of 7"
    opened.press("ArrowLeft", "ArrowLeft", "ArrowLeft")
    assert opened.text("#layer") == "early"
    assert opened.text("#spoken") == "layer early"


def test_slider_and_its_buttons_change_layer_picture_and_sentence(opened):
    opened.press("Home")
    places = [(y, x) for y in range(20, 240, 40) for x in range(20, 320, 60)]
    before, sentence = opened.pixels(places), opened.text("#sentence")
    opened.page.locator("#slider").fill("2")
    assert opened.text("#layer") == "late"
    assert opened.page.locator("#slider").get_attribute("aria-valuetext") == "late, 3 of 7"
    assert opened.pixels(places) != before
    assert opened.text("#sentence") != sentence
    opened.page.locator("#back").click()
    assert opened.text("#layer") == "middle"
    opened.page.locator("#next").click()
    assert opened.text("#layer") == "late"


def test_pointer_reads_the_raw_value(opened):
    for number in (1, 2):
        opened.press("Home", str(number))
        opened.point(0.4, 0.7)
        map_ = gallery()[number - 1].flow["early"]
        row, column = int(0.7 * 12), int(0.4 * 16)
        assert torch.tensor(float(opened.text("#readout .value"))) == map_.values[row, column]
        assert f"at [{row}, {column}] of 12×16 · early" in opened.text("#readout")
        assert opened.visible("#cell")


def test_pointer_says_where_a_value_is_not_finite(opened):
    opened.press("3", "End")
    opened.point(2.5 / 8, 1.5 / 6)
    assert opened.text("#readout .value") == "NaN (not finite)"
    opened.point(5.5 / 8, 4.5 / 6)
    assert opened.text("#readout .value") == "+∞ (not finite)"


@pytest.mark.parametrize("scale", ["own", "shared"])
@pytest.mark.parametrize(
    ("number", "layer", "steps"), [(1, "early", 0), (2, "middle", 1), (3, "zero", 4), (2, "late", 2)]
)
def test_pixels_equal_those_of_python(reused, number, layer, steps, scale):
    reused.press(str(number), "Home", *["ArrowRight"] * steps)
    reused.page.locator("details.looks").evaluate("one => { one.open = true; }")
    for button in (scale, "smooth"):
        reused.page.locator(f"#{button}").click()
    flow = gallery()[number - 1].flow
    unit = unit_of(flow[layer]) if scale == "own" else shared_unit(flow.maps)
    places = [(y, x) for y in range(3, 240, 26) for x in range(2, 320, 37)]
    most, mean = reused.away(flow[layer], unit, places)
    assert most <= 8  # one row of the table
    assert mean < 0.6


def test_cells_are_drawn_one_pixel_each_and_enlarged_without_smoothing(reused):
    reused.press("1", "Home")
    reused.page.locator("details.looks").evaluate("one => { one.open = true; }")
    for button in ("own", "cells"):
        reused.page.locator(f"#{button}").click()
    map_ = gallery()[0].flow["early"]
    places = [(y, x) for y in range(12) for x in range(16)]
    assert reused.away(map_, unit_of(map_), places, size=(12, 16), smooth=False)[0] <= 14
    assert reused.page.evaluate("getComputedStyle(document.getElementById('map')).imageRendering") == "pixelated"
    reused.page.locator("#smooth").click()


def test_fine_maps_are_smoothed_for_display_as_in_python_and_the_legend_says_so(browser, tmp_path):
    map_ = AttentionMap(smooth(96, 128, 3, signed=True) ** 3, "fine", signed=True)
    opened = Opened(browser, save_page([explanation(Flow((map_,), "m"))], tmp_path / "page.html"))
    places = [(y, x) for y in range(3, 240, 26) for x in range(2, 320, 37)]
    most, mean = opened.away(map_, unit_of(map_), places)
    assert most <= 9
    assert mean < 1
    assert "Smoothed for display over 2.3 cells." in opened.text("#scale")
    opened.press("n")
    assert "Smoothed" not in opened.text("#scale")
    opened.page.close()


def test_values_that_are_not_finite_are_hatched(opened):
    opened.press("3", "End")
    line, ground = opened.pixels([(60, 100), (60, 104)])
    assert {line[0], ground[0]} <= {235, 234, 236, 70, 69, 71}
    assert line[3] == ground[3] > 100


def test_the_legend_says_what_full_colour_is_and_whether_layers_share_it(opened):
    opened.press("Home")
    assert "each layer has its own scale" in opened.text("#scale")
    own = opened.text("#high")
    opened.press("s")
    assert "all layers share one scale" in opened.text("#scale")
    assert opened.text("#high").startswith("for it: ")
    opened.press("2")
    assert opened.text("#low").startswith("against it: −")
    assert own != opened.text("#high")


def test_opacity_by_keys_and_slider_reaches_the_photo_and_stops_there(opened):
    opened.page.locator("details.looks summary").click()
    opened.press("Home", *["ArrowDown"] * 22)
    assert opened.text("#share") == "0 %"
    assert opened.page.evaluate("document.getElementById('map').style.opacity") == "0"
    opened.press("ArrowUp")
    assert opened.text("#share") == "5 %"
    opened.page.locator("#opacity").fill("40")
    assert opened.page.evaluate("document.getElementById('map').style.opacity") == "0.4"


def test_the_outline_can_be_switched_off_and_follows_the_layer(opened):
    line = opened.page.locator("#lines path.outline:not(.casing)")
    late = line.get_attribute("d")
    opened.press("ArrowLeft")
    assert line.get_attribute("d") != late
    opened.page.locator("#outline").click()
    assert line.count() == 0
    assert not opened.pressed("#outline")
    opened.press("o")
    assert line.count() == 1


def test_photo_alone_and_back(opened):
    opened.page.locator("#show-photo").click()
    assert not opened.visible("#map")
    assert opened.pressed("#show-photo")
    opened.press("0")
    assert opened.visible("#map")
    assert opened.pressed("#show-map")


def test_digits_and_buttons_choose_method_and_decision(opened):
    opened.press("3")
    assert opened.pressed(".choice >> nth=2")
    assert not opened.pressed(".choice >> nth=0")
    assert opened.text("#sentence").startswith("dog, 50 % sure")
    opened.page.locator(".choice").nth(0).click()
    assert opened.text("#sentence").startswith("cat, 50 % sure")
    opened.press("9")
    assert opened.text("#sentence").startswith("cat, 50 % sure")


def test_hostile_words_are_text_and_run_nothing(opened):
    opened.press("2")
    assert opened.page.locator("#sentence strong").text_content() == HOSTILE
    assert opened.page.title() == HOSTILE
    assert opened.page.evaluate("window.hacked") is None
    assert opened.page.locator("main img").count() == 1
    assert opened.page.locator("#sentence b b, .phrase b").count() == 0


def test_a_map_without_evidence_says_so_in_the_sentence_and_explains_its_status(opened):
    opened.press("3", "End")
    for status, words, sentence in (
        ("nan", "some values of its map are not finite", "not finite"),
        ("flat", "every value of its map is the same", "every value is the same"),
        ("zero", "every value of its map is zero", "exactly zero"),
    ):
        assert opened.text("#sentence") == f"dog, 50 % sure: this layer shows no evidence, because {words}."
        assert status in opened.text(".status").lower()
        assert sentence in opened.text(".status")
        assert opened.text("#facts").strip() == ""
        opened.press("ArrowLeft")
    assert not opened.visible(".status")


def test_a_method_without_a_map_here_says_so(opened):
    opened.press("End")
    assert opened.text("#empty") == "This method has no map at this layer."
    assert opened.text("#sentence").endswith("this method has no map at this layer.")
    opened.press("Home")
    assert not opened.visible("#empty")


def test_why_this_method_is_a_fold_with_its_equation(browser, tmp_path):
    facts = {"why": "It was best.", "title": "LRP flow", "equation": "R = z/z"}
    opened = Opened(browser, save_page([explanation(provenance=facts)], tmp_path / "page.html"))
    assert opened.text("#why summary") == "Method: LRP flow. Why this one?"
    assert not opened.visible("#why-text")
    opened.page.locator("#why summary").click()
    assert opened.text("#why-text") == "It was best."
    assert opened.text("#equation") == "R = z/z"
    opened.page.close()


def test_help_opens_and_closes_by_its_key(opened):
    opened.press("?")
    assert opened.visible("#help")
    opened.press("?")
    assert not opened.visible("#help")
    opened.page.locator("#ask").click()
    assert opened.visible("#help")


def test_thumbnails_and_page_keys_change_the_photo(opened):
    first = opened.page.locator("#photo").get_attribute("src")
    opened.page.locator("#strip button").nth(1).click()
    opened.wait_for_source("second.png")
    assert opened.page.locator("#photo").get_attribute("src") != first
    assert not opened.visible("#choices")
    opened.press("PageUp")
    opened.wait_for_source("photo.png")
    assert opened.page.locator("#photo").get_attribute("src") == first


def test_play_walks_alone_and_stops(opened):
    opened.press("Home", " ")
    opened.page.locator("#layer", has_text="middle").wait_for()
    opened.press(" ")
    assert opened.page.locator("#play").get_attribute("aria-pressed") == "false"
    opened.page.locator("#play").click()
    opened.page.locator("#layer", has_text="late").wait_for()


def test_space_on_a_button_presses_the_button(opened):
    opened.page.locator("#outline").focus()
    opened.press(" ")
    assert not opened.pressed("#outline")
    assert opened.page.locator("#play").get_attribute("aria-pressed") != "true"


def test_the_share_on_the_object_is_said_beside_its_area_and_the_maps_of_other_pictures(browser, tmp_path):
    known = {"object": 0.6, "object_area": 0.25, "object_others": 0.45}
    maps = [AttentionMap(torch.eye(4), name, notes=notes) for name, notes in (("a", {}), ("b", known))]
    item = Explanation(Flow(tuple(maps), "m"), Decision("dog", 0.9, 1, 0.9), photo(), "x.png")
    opened = Opened(browser, save_page([item], tmp_path / "page.html"))
    opened.press("ArrowRight")
    said = "60 % of all evidence is on the object, 25 % of the picture; of other pictures' maps 45 %."
    assert said in opened.text("#facts")
    opened.page.close()


def test_the_box_of_a_detection_is_drawn_and_its_share_is_said(browser, tmp_path):
    values = torch.zeros(4, 4)
    values[0, 0], values[3, 3] = 3.0, 1.0
    decision = Decision("dog at 0,0,32,24", 0.9, 1, 0.9, box=(0.0, 0.0, 0.5, 0.5))
    item = Explanation(Flow((AttentionMap(values, "a"), AttentionMap(values, "b")), "m"), decision, photo(), "x.png")
    opened = Opened(browser, save_page([item], tmp_path / "page.html"))
    path = opened.page.locator("#lines path.target:not(.casing)").get_attribute("d")
    assert path == "M0.0 0.0L500.1 0.0L500.1 375.1L0.0 375.1Z"
    assert "75 % of all evidence is in the box (dashed), 25 % of the picture." in opened.text("#facts")
    opened.press("o")
    assert opened.page.locator("#lines path.target").count() == 2
    opened.page.close()


@pytest.mark.parametrize("width", [320, *WIDTHS])
@pytest.mark.parametrize("theme", THEMES)
def test_nothing_is_cut_off_on_any_screen_and_axe_finds_nothing_serious(browser, path, axe, width, theme):
    opened = Opened(browser, path, viewport={"width": width, "height": 800}, color_scheme=theme)
    opened.press("2", "Home", "b")
    for summary in opened.page.locator("details:not(.way-fold) > summary").all():
        summary.click()
    assert overflow(opened.page) == 0
    assert violations(opened.page, axe) == []
    opened.page.close()


@pytest.mark.parametrize("width", WIDTHS)
def test_no_word_is_broken_over_two_lines(browser, tmp_path, width):
    item = explanation(label="golden retriever")
    opened = Opened(
        browser,
        save_page([item, explanation(odd())], tmp_path / "page.html"),
        viewport={"width": width, "height": 800},
    )
    assert broken_words(opened.page) == []
    opened.page.close()


def odd():
    return Flow(
        tuple(AttentionMap(smooth(4, 4, n), f"features.{n}", notes={"carried": 1.0}) for n in range(3)), "lrp"
    )


@pytest.mark.parametrize("image", [None, torch.rand(1, 28, 28), torch.rand(3, 3, 300), torch.rand(3, 300, 3)])
def test_odd_pictures_and_a_single_layer_open(browser, tmp_path, image):
    from dataclasses import replace

    still = replace(explanation(Flow((AttentionMap(smooth(4, 4, 1), "only"),), "m")), image=image)
    opened = Opened(browser, save_page([still], tmp_path / "page.html"))
    opened.press("ArrowLeft", "ArrowRight", " ")
    assert opened.text("#layer") == "only"
    assert not opened.visible("#walk")
    assert not opened.visible("#course")
    assert opened.complaints == []
    opened.page.close()


def test_a_very_deep_network_opens_and_walks(browser, tmp_path):
    deep = Flow(tuple(AttentionMap(smooth(3, 3, n), f"s{n}") for n in range(120)), "gradcam")
    opened = Opened(browser, save_page([explanation(deep)], tmp_path / "page.html"))
    opened.press("ArrowLeft")
    assert opened.text("#count") == "119 of 120"
    assert opened.complaints == []
    opened.page.close()


def test_large_maps_are_read_with_their_tolerance(browser, tmp_path):
    map_ = AttentionMap(smooth(48, 64, 3), "large")
    opened = Opened(browser, save_page([explanation(Flow((map_,), "m"))], tmp_path / "page.html"))
    opened.point(20.5 / 64, 30.5 / 48)
    value, tolerance = map(float, opened.text("#readout .value").split(" ± "))
    assert abs(value - float(map_.values[30, 20])) <= tolerance * 1.6  # the tolerance is written with one digit
    assert tolerance < 0.003 * float(map_.values.max())
    row, column = divmod(int(map_.values.argmax()), 64)
    opened.point((column + 0.5) / 64, (row + 0.5) / 48)
    peak = float(opened.text("#readout .value").split(" ± ")[0])
    assert peak == pytest.approx(float(map_.values.max()), rel=1e-3)  # the highest level is the peak itself
    opened.page.close()


def test_the_course_through_the_layers_is_printed(browser, path):
    opened = Opened(browser, path, viewport={"width": 800, "height": 1000})
    opened.page.emulate_media(media="print")
    assert opened.page.locator("#course .thumbs canvas").first.is_visible()
    opened.page.close()
