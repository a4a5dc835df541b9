import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from sightline.errors import ResultError
from sightline.reports import page, save_page
from sightline.results import AttentionMap, Flow

from .samples import HOSTILE, explanation, flow, gallery, photo, smooth


class Reader(HTMLParser):
    """Elements, with their attributes and their text."""

    def __init__(self, text):
        super().__init__()
        self.found, self.inside = [], False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append([tag, dict(attributes), ""])
        self.inside = True

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.found[-1][2] += data

    def of(self, tag):
        return [(attributes, text) for name, attributes, text in self.found if name == tag]


@pytest.fixture(scope="module")
def text():
    return page(gallery(), title=HOSTILE)


@pytest.fixture(scope="module")
def read(text):
    return Reader(text)


def test_nothing_points_outside_the_file(text, read):
    assert not re.search(r"(https?:)?//[a-z0-9-]+\.[a-z]", text.replace("http://www.w3.org/2000/svg", ""))
    for _, attributes, _ in read.found:
        for name in ("src", "href", "action", "srcset"):
            assert attributes.get(name, "data:").startswith(("data:", "#"))
    assert "@import" not in text
    assert "url(" not in text


def test_no_element_carries_a_handler_or_a_style(read):
    for _, attributes, _ in read.found:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]


def test_hostile_words_are_text(read):
    assert read.of("h1")[0][1] == HOSTILE
    assert read.of("title")[0][1] == HOSTILE
    assert len(read.of("script")) == 1 + 2 + 1
    assert len(read.of("img")) == 2 + 1


def test_policy_admits_exactly_this_style_and_script(read):
    policy = next(a["content"] for a, _ in read.of("meta") if a.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    code = next(body for attributes, body in read.of("script") if "type" not in attributes)
    for rule, body in (("script-src", code), ("style-src", read.of("style")[0][1])):
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"


def test_every_photo_is_in_the_page_once(read):
    data = {attributes["id"]: json.loads(body) for attributes, body in read.of("script") if "id" in attributes}
    assert sorted(data) == ["common", "photo-0", "photo-1"]
    assert data["photo-0"]["panels"][1]["label"] == HOSTILE
    assert data["photo-1"]["source"] == "second.png"


def test_one_photo_has_no_strip_and_gives_its_name_to_the_page():
    read = Reader(page([explanation()]))
    assert not read.of("nav")
    assert read.of("h1")[0][1] == "Where the network looks in photo.png"


def test_several_photos_are_counted_in_the_heading():
    assert Reader(page(gallery())).of("h1")[0][1] == "Where the network looks in 2 photos"


def test_the_same_explanations_give_the_same_page(text):
    assert page(gallery(), title=HOSTILE) == text


def test_many_photos_and_many_stages_fit():
    deep = Flow(tuple(AttentionMap(smooth(3, 3, n), f"s{n}") for n in range(120)), "gradcam")
    items = [explanation(deep, source=f"{n}.png", image=photo(24, 32, seed=n)) for n in range(3)]
    one, three = (len(page(items[:count])) for count in (1, 3))
    assert one + 49 * (three - one) / 2 < 4_800_000, "fifty photos"


def test_a_file_is_whole_and_nothing_else_is_left(tmp_path, text):
    path = save_page(gallery(), tmp_path / "page.html", title=HOSTILE)
    assert path.read_text(encoding="utf-8") == text
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_shown_or_written_is_refused(tmp_path):
    with pytest.raises(ResultError, match="nothing to draw"):
        page([])
    with pytest.raises(ResultError, match="cannot write to"):
        save_page([explanation()], tmp_path / "missing" / "page.html")


def test_names_with_broken_characters_do_not_break_the_page(tmp_path):
    save_page([explanation(source="bad\udcffname.png"), explanation(source="other")], tmp_path / "page.html")


def test_the_page_carries_why_a_method_was_taken_and_its_equation_as_text():
    facts = {"why": "It is best <b>at every depth</b>.", "equation": "R = <z>", "title": None}
    body = next(
        text
        for attributes, text in Reader(page([explanation(provenance=facts)])).of("script")
        if "id" in attributes and attributes["id"] == "photo-0"
    )
    panel = json.loads(body)["panels"][0]
    assert (panel["why"], panel["equation"], panel["title"]) == (facts["why"], facts["equation"], "")


def test_the_first_photo_stands_in_the_page_and_the_others_in_their_data(read):
    data = [json.loads(body) for attributes, body in read.of("script") if "photo-" in attributes.get("id", "")]
    assert data[0]["image"] == ""
    assert data[1]["image"].startswith("data:image/webp;base64,")
    assert [attributes["src"][:16] for attributes, _ in read.of("img") if attributes.get("id") == "photo"] == [
        "data:image/webp;"
    ]


def test_the_sentence_stands_in_the_page_as_text(read):
    assert read.of("strong")[0][1] == "cat"


def test_an_unknown_colour_map_is_refused_and_the_known_are_listed():
    with pytest.raises(ResultError, match="no colour map 'jet'; colour maps: glow"):
        page([explanation()], cmap="jet")


def test_a_flow_alone_is_named_by_its_method():
    assert Reader(page(flow("saliency"))).of("strong")[0][1] == "saliency"


def test_large_maps_make_a_page_smaller_than_their_raw_values():
    wide = Flow(tuple(AttentionMap(smooth(112, 112, n), f"s{n}") for n in range(6)), "gradcam")
    text = page([explanation(wide)])
    assert len(text) - len(page([explanation()])) < 0.36 * 6 * 112 * 112 * 4
