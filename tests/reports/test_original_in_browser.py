"""Maps lie over the photo in its own resolution; what the network saw of it is marked, and one click away."""

from dataclasses import replace

import pytest
import torch

from sightline.reports import save_page
from sightline.reports.headline import clause
from sightline.reports.page_picture import picture_of_page
from sightline.reports.payload import subject_payload
from sightline.reports.subject import subjects_of
from sightline.reports.where import part_shares, place_words
from sightline.results import AttentionMap, Flow, Original

from .samples import explanation, photo, smooth
from .test_page_in_browser import Opened

CROP = (0.0, 0.25, 1.0, 0.5)


def item(crop=CROP):
    maps = tuple(AttentionMap(smooth(6, 6, n), f"s{n}") for n in range(2))
    pixels = (photo(400, 200, seed=4).permute(1, 2, 0) * 255).byte()
    return replace(explanation(Flow(maps, "m"), image=photo(64, 64)), original=Original(pixels, crop))


def test_words_are_about_the_photo_and_not_about_what_is_cut_out_of_it():
    values = torch.zeros(4, 4)
    values[0, :] = 1.0
    map_ = AttentionMap(values, "s")
    assert place_words(map_) == "mostly the upper left and the top"
    assert place_words(map_, crop=(0.0, 1 / 3, 1.0, 1 / 3)) == "mostly the left and the centre"
    assert clause(map_, (0.0, 1 / 3, 1.0, 1 / 3)).endswith("the left and the centre")


def test_shares_of_a_part_are_those_of_the_map_laid_into_the_photo():
    values = torch.rand(4, 4, generator=torch.Generator().manual_seed(2))
    whole = torch.zeros(8, 16)
    whole[2:6, 8:12] = values
    inside = part_shares(AttentionMap(values, "s"), crop=(0.5, 0.25, 0.25, 0.5))
    assert inside == pytest.approx(part_shares(AttentionMap(whole, "s")), abs=1e-9)


def test_a_page_carries_the_photo_the_part_that_was_seen_and_how_it_was_seen():
    payload = subject_payload(subjects_of([item()])[0])
    assert (payload["width"], payload["height"]) == (200, 400)
    assert payload["crop"] == list(CROP)
    assert (payload["seen"]["width"], payload["seen"]["height"]) == (64, 64)
    assert picture_of_page(subjects_of([item((0.001, 0.0, 0.999, 1.0))])[0]).crop is None


@pytest.fixture
def opened(browser, tmp_path):
    opened = Opened(browser, save_page([item()], tmp_path / "page.html"))
    yield opened
    assert opened.complaints == []
    opened.page.close()


def box(opened, selector):
    bounds = opened.page.locator(selector).bounding_box()
    return [bounds[name] for name in ("x", "y", "width", "height")]


@pytest.mark.browser
def test_the_map_lies_over_the_part_that_the_network_saw(opened):
    x, y, width, height = box(opened, "#frame")
    assert width / height == pytest.approx(0.5, abs=0.01)
    assert box(opened, "#map") == pytest.approx([x, y + height / 4, width, height / 2], abs=1)
    assert "The network saw only the bright part." in opened.text("#facts")
    assert "of the picture (outline)" in opened.text("#facts")


@pytest.mark.browser
def test_as_the_network_saw_it_is_one_click_away_and_back(opened):
    whole = opened.page.locator("#photo").get_attribute("src")
    opened.page.locator("#seen").click()
    assert opened.pressed("#seen")
    assert opened.page.locator("#photo").get_attribute("src") != whole
    assert box(opened, "#map") == pytest.approx(box(opened, "#frame"), abs=1)
    opened.press("v")
    assert opened.page.locator("#photo").get_attribute("src") == whole
    assert opened.pressed("#show-map")


@pytest.mark.browser
def test_the_pointer_reads_nothing_where_the_network_saw_nothing(opened):
    x, y, width, height = box(opened, "#frame")
    opened.page.mouse.move(x + width / 2, y + height * 0.1)
    assert not opened.visible("#cell")
    opened.page.mouse.move(x + width / 2, y + height * 0.5)
    assert opened.visible("#cell")


@pytest.mark.browser
def test_without_an_original_there_is_no_such_view(browser, tmp_path):
    opened = Opened(browser, save_page([explanation()], tmp_path / "page.html"))
    assert not opened.visible("#seen")
    opened.press("v")
    assert opened.pressed("#show-map")
    opened.page.close()
