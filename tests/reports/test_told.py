"""Sentences on the page: what is carried, what is shown, and where a phrase in a sentence points to."""

import pytest
import torch

from sightline.reports import page, save_page
from sightline.reports.payload import common_payload, subject_payload
from sightline.reports.subject import subjects_of
from sightline.reports.trajectory import Trajectory
from sightline.results import AttentionMap, Phrase

from .samples import HOSTILE, explanation, smooth
from .test_page_in_browser import Opened

SENTENCES = ("This is a Finch because it has a red crown.", f"Its {HOSTILE} speaks against it.")

CONTROLLED = "80 % of its map on the object (30 % of the picture, 45 % of other pictures' maps)"


def told():
    crown = Phrase(
        "red crown", 0.9, 0.25, AttentionMap(smooth(5, 5, 8), "crown"), (0.25, 0.1, 0.5, 0.4), "why", 0.8,
        "associated, not shown to cause", (0, 31, 42), 0.3, 0.45,
    )  # fmt: skip
    other = Phrase(
        HOSTILE, 0.6, -0.1, AttentionMap(smooth(5, 5, 9), "bill"), (0.0, 0.5, 0.2, 0.2), role="against",
        said=(1, 4, 4 + len(HOSTILE)),
    )  # fmt: skip
    change = Phrase("blue crown", box=(0.25, 0.1, 0.5, 0.4), role="change", note="instead of a red crown")
    return explanation(phrases=(crown, other, change), sentences=SENTENCES)


def test_the_page_carries_sentences_and_all_that_is_known_of_a_phrase():
    panel = subject_payload(subjects_of([told()])[0])["panels"][0]
    assert panel["sentences"] == list(SENTENCES)
    first = panel["phrases"][0]
    assert (first["role"], first["energy"], first["said"]) == ("why", 0.8, (0, 31, 42))
    assert (first["object_area"], first["object_others"]) == (0.3, 0.45)
    assert first["note"] == "associated, not shown to cause"
    assert common_payload()["roles"]["against"] == "against it"


def test_nothing_of_a_hostile_sentence_leaves_its_script_element():
    assert "<img src=x" not in page([told()])


def test_a_change_is_no_region_and_a_text_is_one_region():
    item = told()
    twice = explanation(phrases=(*item.phrases, item.phrases[0]))
    assert [region.name for region in Trajectory(twice).regions] == ["red crown", HOSTILE]


@pytest.fixture
def opened(browser, tmp_path):
    opened = Opened(browser, save_page([told()], tmp_path / "told.html"))
    yield opened
    assert opened.complaints == []
    opened.page.close()


@pytest.mark.browser
def test_sentences_read_as_they_were_written(opened):
    assert opened.page.locator("#words .sentences p").all_text_contents() == list(SENTENCES)
    assert opened.page.evaluate("window.hacked") is None
    said = opened.page.locator(".said")
    assert said.all_text_contents() == ["a red crown", HOSTILE]
    title = said.first.get_attribute("title")
    facts = ("for it", "90 % sure", "+25 % of the evidence", CONTROLLED)
    assert title == " · ".join((*facts, "associated, not shown to cause"))


@pytest.mark.browser
def test_a_role_is_a_word_and_not_only_a_colour(opened):
    roles = opened.page.locator(".phrase .role").all_text_contents()
    assert roles == ["for it", "against it", "would change it"]
    assert "−10 % of the evidence" in opened.page.locator(".phrase").nth(1).inner_text()


@pytest.mark.browser
def test_pointing_at_a_phrase_in_a_sentence_shows_its_map_and_box(opened):
    box, frame = opened.page.locator("#phrase-box"), opened.page.locator("#field").bounding_box()
    opened.page.locator(".said").first.hover()
    assert box.bounding_box()["x"] == pytest.approx(frame["x"] + 0.25 * frame["width"], abs=1)
    assert "crown · 5×5" in opened.text("#readout")
    opened.page.mouse.move(2, 2)
    assert not box.is_visible()


@pytest.mark.browser
def test_the_keyboard_walks_from_phrase_to_phrase_and_keeps_one(opened):
    said, box = opened.page.locator(".said"), opened.page.locator("#phrase-box")
    said.first.focus()
    assert box.is_visible()
    opened.press("Tab")
    assert opened.page.evaluate("document.activeElement.textContent") == HOSTILE
    assert "bill · 5×5" in opened.text("#readout")
    for key in ("Enter", " "):
        opened.press(key)
        pressed = said.nth(1).get_attribute("aria-pressed")
        assert pressed == ("true" if key == "Enter" else "false")
    opened.press("Enter", "Escape")
    assert not box.is_visible()


@pytest.mark.browser
def test_without_words_nothing_of_it_is_shown(browser, tmp_path):
    opened = Opened(browser, save_page([explanation(label="cat")], tmp_path / "plain.html"))
    assert not opened.visible("#words")
    opened.page.close()


def test_maps_of_phrases_stay_raw():
    phrase = subject_payload(subjects_of([told()])[0])["panels"][0]["phrases"][0]
    assert phrase["map"]["own"][1] == pytest.approx(float(torch.relu(smooth(5, 5, 8)).max()))
