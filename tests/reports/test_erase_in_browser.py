"""Erase and see: what is hidden, by brush and by box, and how much of the evidence lies there."""

import pytest
import torch

from sightline.reports import save_page
from sightline.results import AttentionMap, Flow

from .samples import explanation, smooth
from .test_page_in_browser import Opened

pytestmark = pytest.mark.browser


def item(size=(6, 8), *, signed=False):
    maps = (AttentionMap(smooth(*size, n, signed=signed), f"s{n}", signed=signed) for n in range(2))
    return explanation(Flow(tuple(maps), "m"))


def shares(values, mask):
    """For and against, hidden over whole: every cell is cut into crumbs that lie under one pixel of the mask each."""
    height, width = values.shape
    rows, columns = mask.shape
    sums = {1: [0.0, 0.0], -1: [0.0, 0.0]}
    for y in range(rows):
        for x in range(columns):
            value = float(values[int((y + 0.5) * height / rows), int((x + 0.5) * width / columns)])
            if value:
                sums[1 if value > 0 else -1][0] += abs(value) * float(mask[y, x])
                sums[1 if value > 0 else -1][1] += abs(value)
    return [part / whole if whole else None for part, whole in sums.values()]


@pytest.fixture
def opened(browser, tmp_path):
    opened = Opened(browser, save_page([item()], tmp_path / "page.html"))
    yield opened
    assert opened.complaints == []
    opened.page.close()


def stroke(opened, *places):
    box = opened.page.locator("#field").bounding_box()
    ends = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in places]
    opened.page.mouse.move(*ends[0])
    opened.page.mouse.down()
    for end in ends[1:]:
        opened.page.mouse.move(*end, steps=4)
    opened.page.mouse.up()


def mask_of(opened):
    """The hidden pixels, as the page shows them."""
    height, width = (int(opened.page.locator("#erased").get_attribute(side)) for side in ("height", "width"))
    alpha = opened.page.evaluate(
        "() => { const c = document.getElementById('erased');"
        "return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data].filter((_, i) => i % 4 === 3); }"
    )
    return (torch.tensor(alpha) > 127).reshape(height, width)


def share(text):
    return float(text.split(" ")[0]) / 100


def hidden(opened):
    return share(opened.text("#hidden-share"))


def test_nothing_is_hidden_at_first_and_a_drag_without_the_brush_hides_nothing(opened):
    assert opened.text("#hidden") == "Nothing is hidden."
    stroke(opened, (0.2, 0.2), (0.8, 0.8))
    assert opened.text("#hidden") == "Nothing is hidden."
    assert not mask_of(opened).any()


def test_a_stroke_says_the_share_of_the_evidence_that_a_naive_count_finds(opened):
    opened.page.locator("#erase").click()
    assert opened.pressed("#erase")
    stroke(opened, (0.3, 0.3), (0.7, 0.4))
    mask, map_ = mask_of(opened), item().flow[-1]
    assert 0.03 < mask.float().mean() < 0.4
    assert hidden(opened) == pytest.approx(shares(map_.values, mask)[0], abs=0.006)
    area = opened.text("#hidden").split("under ")[1]
    assert share(area) == pytest.approx(float(mask.float().mean()), abs=0.006)
    assert opened.text("#hidden").startswith("of the evidence at this layer, under ")


def test_the_share_follows_the_layer(opened):
    opened.press("e")
    stroke(opened, (0.2, 0.2), (0.5, 0.5))
    late = hidden(opened)
    opened.press("ArrowLeft")
    assert hidden(opened) == pytest.approx(shares(item().flow[0].values, mask_of(opened))[0], abs=0.006)
    assert hidden(opened) != late


@pytest.mark.parametrize("size", [(6, 8), (112, 150), (240, 320)])
def test_evidence_for_and_against_are_counted_apart_on_any_grid(browser, tmp_path, size):
    opened = Opened(browser, save_page([item(size, signed=True)], tmp_path / "page.html"))
    opened.press("e")
    stroke(opened, (0.1, 0.6), (0.6, 0.6), (0.6, 0.2))
    favour, against = shares(item(size, signed=True).flow[-1].values, mask_of(opened))
    assert hidden(opened) == pytest.approx(favour, abs=0.012)
    text = opened.text("#hidden")
    assert " of the evidence against it at this layer, under " in text
    assert share(text.split("and ")[1]) == pytest.approx(against, abs=0.012)
    opened.page.close()


def test_undo_takes_the_last_stroke_back_and_clear_all_of_them(opened):
    opened.press("e")
    stroke(opened, (0.2, 0.2), (0.3, 0.2))
    first = opened.text("#hidden-share")
    stroke(opened, (0.6, 0.6), (0.8, 0.8))
    assert opened.text("#hidden-share") != first
    opened.page.locator("#undo").click()
    assert opened.text("#hidden-share") == first
    opened.press("u")
    assert opened.text("#hidden") == "Nothing is hidden."
    stroke(opened, (0.2, 0.2), (0.3, 0.2))
    stroke(opened, (0.5, 0.2), (0.6, 0.2))
    opened.page.locator("#clear").click()
    assert not mask_of(opened).any()


def test_the_brush_has_a_size(opened):
    opened.press("e")
    stroke(opened, (0.5, 0.5))
    small = int(mask_of(opened).sum())
    opened.page.locator("#clear").click()
    opened.page.locator("#brush").fill("24")
    stroke(opened, (0.5, 0.5))
    assert int(mask_of(opened).sum()) == pytest.approx(4 * small, rel=0.1)


def test_a_box_is_moved_sized_left_and_taken_away_by_keys(opened):
    opened.press("Home")
    opened.page.locator("#box").click()
    assert opened.page.evaluate("document.activeElement.id") == "hider"
    before = mask_of(opened).nonzero().float().mean(0)
    assert mask_of(opened).float().mean() == pytest.approx(0.04, abs=0.002)
    layer = opened.text("#layer")
    opened.press(*["ArrowRight"] * 5, *["ArrowUp"] * 5)
    after = mask_of(opened).nonzero().float().mean(0)
    assert ((after - before) / 256).tolist() == pytest.approx([-0.1 * 0.75, 0.1], abs=0.01)
    assert opened.text("#layer") == layer
    opened.press("+", "+", "+", "+", "+")
    assert mask_of(opened).float().mean() == pytest.approx(0.09, abs=0.004)
    opened.press("Enter", "Shift+ArrowLeft", "Shift+ArrowLeft", "Shift+ArrowLeft", "Shift+ArrowLeft")
    assert mask_of(opened).float().mean() == pytest.approx(0.18, abs=0.006)
    opened.press("Escape")
    assert mask_of(opened).float().mean() == pytest.approx(0.09, abs=0.004)
    assert opened.page.evaluate("document.activeElement.id") == "box"


def test_the_box_stays_in_the_picture(opened):
    opened.press("b", *["Shift+ArrowLeft"] * 12, *["Shift+ArrowDown"] * 12)
    mask = mask_of(opened)
    assert mask.float().mean() == pytest.approx(0.04, abs=0.002)
    assert mask[-1, 0]
    opened.press(*["-"] * 30)
    assert mask_of(opened).any()


def test_what_is_hidden_is_announced(opened):
    opened.press("b")
    opened.page.locator("#spoken", has_text="hidden: ").wait_for(state="attached")
    assert opened.page.locator("#spoken").get_attribute("aria-live") == "polite"
    said = opened.page.locator("#spoken").inner_text()
    assert opened.text("#hidden-share") in said
    assert opened.page.locator("#hider").get_attribute("aria-label") == "Box that hides a part of the picture"


def test_another_photo_begins_with_nothing_hidden(browser, tmp_path):
    from .samples import gallery

    opened = Opened(browser, save_page(gallery(), tmp_path / "page.html"))
    opened.press("b")
    opened.page.locator("#strip button").nth(1).click()
    opened.wait_for_source("second.png")
    assert opened.text("#hidden") == "Nothing is hidden."
    opened.page.close()
