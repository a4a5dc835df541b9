"""Below the answer: the course through the layers, methods in rows, and the numbers, in a real Chromium."""

from itertools import pairwise

import pytest
import torch

from sightline.reports import save_page
from sightline.reports.gains import overlay_difference
from sightline.reports.motion import difference, mass, moved
from sightline.results import AttentionMap, Flow

from .samples import HOSTILE, explanation, gallery
from .test_page_in_browser import Opened

pytestmark = pytest.mark.browser


def walked():
    """Evidence on top, then half of it below, then nothing, then all of it below; with notes and remarks."""
    grids = ([[0.5, 0.5], [0.0, 0.0]], [[0.5, 0.0], [0.5, 0.0]], [[0.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [2.0, 0.0]])
    notes = ({"carried": 0.5, "my own note": 4.0}, {"carried": 1.5, "abandoned": 0.2}, {}, {"abandoned": 0.1})
    maps = tuple(
        AttentionMap(torch.tensor(values), f"features.{n}", notes=notes[n]) for n, values in enumerate(grids)
    )
    return explanation(Flow(maps, "naflow", ("Nothing was abandoned.", HOSTILE)))


class TestCourse:
    @pytest.fixture(scope="class")
    def opened(self, browser, tmp_path_factory):
        opened = Opened(browser, save_page([walked()], tmp_path_factory.mktemp("course") / "page.html"))
        opened.page.wait_for_timeout(300)
        yield opened
        own = [text for text in opened.complaints if not text.startswith("Canvas2D")]  # that is of our reading pixels
        assert own == []
        opened.page.close()

    def test_layers_stand_in_order_and_the_silent_one_is_named_and_not_drawn(self, opened):
        cards = opened.page.locator("#course .layer-card")
        assert cards.locator(".layer").all_inner_texts() == ["0", "1", "2", "3"]
        assert cards.locator("canvas").count() == 3
        assert cards.nth(2).locator(".silent").inner_text() == "zero"
        assert "exactly zero" in cards.nth(2).get_attribute("title")
        assert (
            cards.nth(3).get_attribute("title")
            == "features.3: the network looked mostly at the lower left and the left"
        )

    def test_differences_stand_between_neighbours_and_none_beside_a_silent_layer(self, opened):
        steps = opened.page.locator("#course .step")
        assert steps.count() == 3
        assert steps.locator("canvas").count() == 1
        assert steps.locator(".moved").all_inner_texts() == ["50 %", "none", "none"]

    def test_gained_is_green_and_lost_is_purple(self, opened):
        places = [(int(y * 84), x) for y in (0.1, 0.9) for x in (15, 97)]
        kept, lost, gained, _ = opened.pixels(places, "#course .step canvas >> nth=0")
        assert lost[2] > lost[1] + 60
        assert gained[1] > gained[2] + 60
        assert max(kept[:3]) - min(kept[:3]) < 12

    def test_a_click_on_a_layer_takes_the_page_there(self, opened):
        opened.page.locator("#course .layer-card").nth(1).click()
        assert opened.text("#layer") == "features.1"
        assert opened.pressed("#course .layer-card >> nth=1")
        opened.press("Home")
        assert not opened.pressed("#course .layer-card >> nth=1")

    def test_a_click_on_a_chart_takes_the_page_there(self, opened):
        chart = opened.page.locator("#course .chart svg").first
        box = chart.bounding_box()
        chart.click(position={"x": box["width"] * 0.9, "y": 20})
        assert opened.text("#layer") == "features.3"

    def test_notes_become_charts_where_they_are_numbers_by_layer(self, opened):
        opened.press("Home")
        assert opened.page.locator("#course .chart .title b").all_inner_texts() == [
            "Evidence by region",
            "Score carried through this layer (dashed: the score, 3.25)",
            "Share abandoned",
        ]
        assert "0.5" in opened.page.locator("#course .chart .title .now").nth(1).inner_text()

    def test_every_number_has_a_line_that_says_what_it_is(self, opened):
        opened.press("Home")
        cards = opened.page.locator("#numbers .figures .card").all_inner_texts()
        by_name = {card.split("\n")[0]: card.split("\n")[1:] for card in cards}
        assert by_name["probability"][0] == "50.0 %"
        assert by_name["half of the evidence in"][1].startswith("Share of the picture: the smallest area")
        assert by_name["score carried through this layer"][0] == "0.5"
        assert by_name["my own note"] == ["4"]
        assert all(len(lines) == 2 for name, lines in by_name.items() if name != "my own note")
        opened.press("ArrowRight")
        cards = opened.page.locator("#numbers .figures .card").all_inner_texts()
        assert "share abandoned\n20 %" in "|".join(cards).replace("\n\n", "\n")

    def test_the_centre_and_its_spread_are_said_and_drawn(self, opened):
        opened.press("Home")
        opened.page.locator(".way-fold summary").click()
        opened.page.locator(".here", has_text="features.0").wait_for()
        assert opened.text(".here").startswith("features.0: 50 % from the left, 25 % from the top")
        assert opened.page.locator(".over circle.halt").count() == 3 + 1
        assert opened.page.locator(".over line.way").count() == 2
        assert opened.page.locator(".over line.way.gap").count() == 1
        opened.press("End", "ArrowLeft")
        assert opened.text(".here") == "features.2: zero, no centre"
        assert opened.page.locator(".over ellipse").count() == 0

    def test_all_of_it_is_a_table_too(self, opened):
        opened.page.locator("#numbers details.numbers summary").click()
        opened.page.locator("#numbers tbody tr").last.wait_for()
        rows = [row.split("\t") for row in opened.page.locator("#numbers tbody tr").all_inner_texts()]
        heads = opened.page.locator("#numbers thead th").all_inner_texts()
        second = dict(zip(heads, rows[1], strict=True))
        assert [row[0] for row in rows] == ["features.0", "features.1", "features.2", "features.3"]
        assert second["grid"] == "2×2"
        assert second["moved since the layer before"] == "50 %"
        assert second["score carried through this layer"] == "1.5"
        assert second["share abandoned"] == "0.2"
        assert dict(zip(heads, rows[2], strict=True))["status"] == "zero"

    def test_remarks_are_sentences_and_hostile_ones_are_text(self, opened):
        assert opened.page.locator("#numbers .remarks li").all_inner_texts() == ["Nothing was abandoned.", HOSTILE]
        assert opened.page.evaluate("window.hacked") is None


class TestRows:
    @pytest.fixture
    def opened(self, browser, tmp_path):
        opened = Opened(browser, save_page(gallery(), tmp_path / "page.html"))
        yield opened
        opened.page.close()

    def test_a_row_for_each_method_and_a_column_for_each_layer(self, opened):
        assert opened.page.locator(".matrix-row.head .layer").all_inner_texts() == [
            "early", "middle", "late", "ok", "zero", "flat", "nan",
        ]  # fmt: skip
        assert opened.page.locator(".matrix-name .method").all_inner_texts() == [
            "gradcam", "gradient_x_activation", "layercam",
        ]  # fmt: skip
        lefts = [
            [round(cell.bounding_box()["x"]) for cell in row.locator(".cell-button").all()]
            for row in opened.page.locator(".matrix-row:not(.head)").all()
        ]
        assert lefts[0] == lefts[1] == lefts[2] == sorted(set(lefts[0]))

    def test_a_click_shows_that_method_at_that_layer(self, opened):
        opened.page.locator(".matrix-row").nth(2).locator(".cell-button").nth(1).click()
        assert opened.text("#layer") == "middle"
        assert opened.pressed(".choice >> nth=1")
        assert opened.page.locator(".cell-button[aria-pressed=true]").count() == 1

    def test_a_place_without_a_map_says_so(self, opened):
        cells = opened.page.locator(".matrix-row").nth(3).locator(".cell-button")
        assert cells.all_inner_texts() == ["no map", "no map", "no map", "", "zero", "flat", "nan"]

    def test_one_method_has_no_rows(self, opened):
        opened.press("PageDown")
        opened.wait_for_source("second.png")
        assert not opened.visible("#methods")


def test_provenance_folds_out(browser, tmp_path):
    opened = Opened(browser, save_page(gallery(), tmp_path / "page.html"))
    fold = opened.page.locator("#numbers .origin")
    assert not fold.locator("pre").is_visible()
    fold.locator("summary").click()
    assert '"model": "tiny <b>"' in fold.locator("pre").inner_text()
    opened.page.close()


def test_differences_look_as_they_do_in_python(browser, tmp_path):
    item = explanation(image=torch.full((3, 30, 40), 0.4))
    opened = Opened(browser, save_page([item], tmp_path / "page.html"))
    masses = [mass(map_) for map_ in item.flow.maps]
    changes = [difference(a, b) for a, b in pairwise(masses)]
    picture, farthest = torch.full((84, 112, 3), 102, dtype=torch.uint8), max(map(moved, changes))
    places = [(y, x) for y in range(2, 84, 11) for x in range(3, 112, 13)]
    opened.page.wait_for_timeout(300)
    for number, change in enumerate(changes):
        expected = overlay_difference(change, picture, strength=(moved(change) / farthest) ** 0.5).int()
        shown = torch.tensor(opened.pixels(places, f"#course .step canvas >> nth={number}"))[:, :3]
        assert (shown - torch.stack([expected[place] for place in places])).abs().max() <= 3
    opened.page.close()
