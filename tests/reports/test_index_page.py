"""The index over many photos: what it says, and its controls in a real Chromium."""

import time

import pytest
import torch
from PIL import Image

from sightline.reports.drawing import overlay
from sightline.reports.index_page import (
    THUMBNAIL,
    Card,
    index_page,
    save_thumbnail,
)
from sightline.reports.photo import fit, pixels_of, tensor_of
from sightline.results import AttentionMap, Flow
from sightline.results.original import Original

from .browsing import THEMES, WIDTHS, broken_words, opened, overflow, violations
from .samples import HOSTILE, explanation, flow, photo

CARDS = (
    Card(name="b2", link="b2/page.html", picture="b2/thumbnail.jpg", decisions=(("cat", "90.0%"),), confidence=0.9,
         area=0.3, truth="cat", right=True),
    Card(name="b10", link="b10/page.html", picture="b10/thumbnail.jpg", decisions=(("dog", "55.0%"),),
         confidence=0.55, area=0.1, truth="wolf", right=False),
    Card(name="A1", link="a1/page.html", picture="a1/thumbnail.jpg", decisions=(("owl", "99.0%"), ("cat", "1.0%")),
         confidence=0.99, area=0.6, truth="griffin", right=None),
    Card(name="c", link="c/page.html", picture="", decisions=tuple((f"class {k}", "3.1") for k in range(5))),
)  # fmt: skip


@pytest.fixture
def path(tmp_path):
    for card in CARDS[:3]:
        (tmp_path / card.picture).parent.mkdir()
        Image.new("RGB", (32, 24), "green").save(tmp_path / card.picture)
    path = tmp_path / "index.html"
    path.write_text(index_page(CARDS, errors=["photo 'x.jpg' cannot be read"]), encoding="utf-8")
    return path


@pytest.fixture
def tab(browser, path):
    tab, complaints = opened(browser, path)
    yield tab
    tab.close()
    assert complaints == []


def names(tab):
    # not inner texts: those of a card out of sight, which the browser does not lay out, are empty
    return tab.locator(".photo-card:not([hidden]) .name").all_text_contents()


def test_it_says_first_how_many_decisions_are_right_and_how_wide_the_evidence_is():
    text = index_page(CARDS)
    assert "1 of 2 decisions name the true class; 1 do not." in text
    assert "Half of the evidence lies in 30% of the picture at the median (10% to 60%)." in text
    assert '<p class="verdict">' not in index_page(CARDS[3:])


def test_cards_say_what_is_wrong_and_what_is_not_known():
    text = index_page(CARDS)
    assert "✗ true class: wolf" in text
    assert "✓ right" in text
    assert "true class: griffin" in text
    assert "and 2 more" in text


def test_wrong_only_is_offered_where_true_classes_are_known():
    assert 'id="wrong"' in index_page(CARDS)
    assert 'id="wrong"' not in index_page(CARDS[3:])


def test_names_cannot_become_markup():
    card = Card(name=HOSTILE, link="x", picture="", decisions=((HOSTILE, HOSTILE),), truth=HOSTILE, right=False)
    assert HOSTILE not in index_page([card], errors=[HOSTILE])


def test_the_thumbnail_is_the_drawing_of_the_last_map_with_evidence(tmp_path):
    maps = (*flow().maps, AttentionMap(torch.zeros(3, 4), "dead"))
    item = explanation(Flow(maps, "gradcam"), image=photo(480, 640))
    save_thumbnail(item, tmp_path / THUMBNAIL)
    picture = Image.open(tmp_path / THUMBNAIL)
    assert picture.size == (320, 240)
    drawn = overlay(maps[2], fit(pixels_of(item.image), 320)).float()
    assert (tensor_of(picture).float() - drawn).abs().mean() < 4.0


def test_a_photo_without_evidence_is_shown_as_it_is(tmp_path):
    item = explanation(Flow((AttentionMap(torch.zeros(3, 4), "dead"),), "gradcam"))
    save_thumbnail(item, tmp_path / THUMBNAIL)
    assert (tensor_of(Image.open(tmp_path / THUMBNAIL)).float() - pixels_of(item.image)).abs().mean() < 4.0


@pytest.mark.browser
@pytest.mark.parametrize(
    ("order", "names_"),
    [
        ("given", ["b2", "b10", "A1", "c"]),
        ("name", ["A1", "b2", "b10", "c"]),
        ("unsure", ["b10", "b2", "A1", "c"]),
        ("sure", ["A1", "b2", "b10", "c"]),
        ("narrow", ["b10", "b2", "A1", "c"]),
        ("wide", ["A1", "b2", "b10", "c"]),
        ("wrong", ["b10", "b2", "A1", "c"]),
    ],
)
def test_photos_are_sorted(tab, order, names_):
    tab.locator("#order").select_option("sure")
    tab.locator("#order").select_option(order)
    assert names(tab) == names_


@pytest.mark.browser
def test_photos_are_filtered_by_words_and_by_what_is_wrong(tab):
    assert tab.locator("#count").inner_text() == "4 of 4 photos"
    tab.locator("#query").fill("CAT")
    assert names(tab) == ["b2", "A1"]
    assert tab.locator("#count").inner_text() == "2 of 4 photos"
    tab.locator("#query").fill("")
    tab.locator("#wrong").check()
    assert names(tab) == ["b10"]
    tab.locator("#query").fill("zebra")
    assert names(tab) == []
    assert tab.locator("#none").is_visible()


@pytest.mark.browser
def test_keys_lead_over_the_photos_and_into_the_search(tab):
    tab.locator(".photo-card a").first.focus()
    focused = "document.activeElement.querySelector('.name').textContent"
    tab.keyboard.press("ArrowRight")
    assert tab.evaluate(focused) == "b10"
    tab.keyboard.press("End")
    assert tab.evaluate(focused) == "c"
    tab.keyboard.press("ArrowLeft")
    assert tab.evaluate(focused) == "A1"
    tab.keyboard.press("Home")
    assert tab.evaluate(focused) == "b2"
    tab.keyboard.press("ArrowUp")
    assert tab.evaluate(focused) == "b2"
    tab.keyboard.press("/")
    assert tab.evaluate("document.activeElement.id") == "query"
    tab.keyboard.type("t")
    assert tab.evaluate("document.documentElement.dataset.theme") is None


@pytest.mark.browser
def test_thumbnails_are_shown_from_their_files(tab):
    tab.wait_for_function("[...document.images].every((image) => image.complete && image.naturalWidth === 32)")
    assert tab.locator("img").count() == 3


@pytest.mark.browser
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("theme", THEMES)
def test_axe_finds_nothing_and_everything_fits(browser, axe, path, theme, width):
    tab, complaints = opened(browser, path, theme=theme, width=width)
    assert violations(tab, axe) == []
    assert overflow(tab) == 0
    assert broken_words(tab) == []
    assert complaints == []
    tab.close()


@pytest.mark.browser
def test_a_thousand_photos_open_and_sort_at_once_and_load_only_what_is_in_sight(browser, tmp_path):
    (tmp_path / "p").mkdir()
    cards = []
    for number in range(1000):
        name = f"p/{number}.jpg"
        Image.new("RGB", (32, 24), "green").save(tmp_path / name)
        cards.append(
            Card(
                name=f"photo {number}",
                link=name,
                picture=name,
                decisions=(("cat", "1"),),
                confidence=number % 97 / 97,
            )
        )
    path = tmp_path / "index.html"
    path.write_text(index_page(cards), encoding="utf-8")
    tab = browser.new_page(viewport={"width": 1400, "height": 900})
    asked = []
    tab.on("request", lambda request: asked.append(request.url))
    begun = time.perf_counter()
    tab.goto(path.as_uri())
    assert time.perf_counter() - begun < 5.0
    assert len([url for url in asked if url.endswith(".jpg")]) < 300
    spent = tab.evaluate(
        """() => {
            const begun = performance.now();
            const order = document.getElementById("order");
            order.value = "sure";
            order.dispatchEvent(new Event("change"));
            document.body.getBoundingClientRect();
            return performance.now() - begun;
        }"""
    )
    assert spent < 1000.0
    assert names(tab)[0] == "photo 96"
    tab.close()


def test_the_thumbnail_shows_the_whole_photo_that_was_given_and_words_are_about_it(tmp_path):
    """The network saw the right half of a wide photo; its map's left part is the photo's middle."""
    values = torch.zeros(3, 3)
    values[1, 0] = 1.0
    pixels = torch.full((100, 400, 3), 128, dtype=torch.uint8)
    item = explanation(
        Flow((AttentionMap(values, "late"),), "gradcam"), original=Original(pixels, (0.5, 0.0, 0.5, 1.0))
    )
    save_thumbnail(item, tmp_path / THUMBNAIL)
    picture = tensor_of(Image.open(tmp_path / THUMBNAIL)).float()
    assert picture.shape == (80, 320, 3)
    changed = (picture - 128).abs().amax(2) > 30
    assert changed[30:50, 165:200].float().mean() > 0.5
    assert changed[30:50, 270:].float().mean() < 0.1
    assert "looked mostly at the left" in index_page(
        [Card(name="a", link="a", picture="", decisions=(), where="mostly the left")]
    )
