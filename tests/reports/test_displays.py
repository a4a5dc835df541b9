"""What results show of themselves: HTML for notebooks, figures, pictures, pages."""

from __future__ import annotations

import base64
import io
import re
import webbrowser
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from PIL import Image

from sightline.errors import ResultError
from sightline.reports import montage, page, save_animation, save_montage, save_page
from sightline.reports.drawing import overlay
from sightline.reports.photo import fit, pixels_of, tensor_of
from sightline.results import AttentionMap, Domain, Explanations, Flow

from .samples import HOSTILE, explanation, flow, gallery, photo, smooth


def many_layers(count=19, side=224):
    noise = torch.rand(3, side, side, generator=torch.Generator().manual_seed(0))
    image = 0.7 * photo(side, side) + 0.3 * noise
    maps = (AttentionMap(smooth(14, 14, seed, signed=True), f"blocks.{seed}", signed=True) for seed in range(count))
    return explanation(Flow(tuple(maps), "lrp"), image=image)


def addresses(html):
    return re.findall(r'src="([^"]*)"', html)


def pictures(html):
    return [Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))) for address in addresses(html)]


class Tags(HTMLParser):
    """Every element with its attributes, and whether all are closed."""

    def __init__(self, html):
        super().__init__()
        self.seen, self.open = [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in ("img", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_output_of_nineteen_layers_is_small_and_has_every_layer():
    html = many_layers()._repr_html_()
    assert len(html.encode()) < 300_000
    assert len(pictures(html)) == 20
    assert [words for words in re.findall(r'alt="([^"]*)"', html) if "blocks.18 · 14×14 · layer 19 of 19" in words]


def test_many_explanations_stay_small_too():
    html = Explanations(tuple(many_layers() for _ in range(14)))._repr_html_()
    assert len(html.encode()) < 300_000
    assert html.count('class="sightline"') == 12
    assert "and 2 more" in html


@pytest.mark.parametrize("result", [gallery(), gallery()[0], gallery()[0].flow, gallery()[0].flow[0]])
def test_the_output_asks_for_nothing_and_has_no_element_that_could_meet_another(result):
    html = result._repr_html_()
    tags = Tags(html)
    assert not tags.open
    assert {tag for tag, _ in tags.seen} <= {"div", "b", "span", "img", "label", "input"}
    assert not [name for _, attributes in tags.seen for name in attributes if name in ("id", "href", "srcset")]
    assert all(address.startswith("data:image/webp;base64,") for address in addresses(html))
    assert "url(" not in html


def test_a_hostile_label_stays_text():
    layers = Flow((AttentionMap(smooth(4, 4, 1), HOSTILE),), "gradcam")
    html = explanation(layers, label=HOSTILE, source=HOSTILE)._repr_html_()
    assert "<script" not in html
    assert not [a for tag, a in Tags(html).seen if tag == "img" and "hacked" in str(a.get("onerror", ""))]


def test_the_layer_that_is_seen_first_is_the_last_with_evidence():
    maps = (*flow().maps, AttentionMap(torch.zeros(2, 2), "empty"))
    html = explanation(Flow(maps, "gradcam"))._repr_html_()
    blocks = re.findall(r'sightline-layer" style="display:(\w+)"', html)
    assert blocks == ["none", "none", "block", "none"]
    assert 'value="2"' in html


def test_pictures_of_the_output_are_those_of_the_one_way_of_drawing():
    item = explanation()
    shown = pictures(item._repr_html_())[1:]
    pixels = fit(pixels_of(item.image), max(shown[0].size), enlarge=True)
    for picture, map_ in zip(shown, item.flow.maps, strict=True):
        assert (tensor_of(picture).float() - overlay(map_, pixels).float()).abs().mean() < 6


def test_a_photo_is_shown_once_and_each_decision_on_it_gets_a_card():
    html = Explanations((explanation(), explanation(flow("lrp")), explanation(source="b.png")))._repr_html_()
    assert html.count('class="sightline"') == 3
    assert html.count('alt="photo"') == 2


def test_what_cannot_be_drawn_is_shown_as_text():
    words = Flow((AttentionMap(torch.rand(2), "text", Domain("words", ("a", "bird"))),), "lrp")
    assert words._repr_html_() is None
    assert explanation(Flow((), "lrp"))._repr_html_() is None


@pytest.mark.parametrize("shape", [(8,), (4, 6, 6)])
def test_signals_and_volumes_have_an_output(shape):
    kind = {1: "signal", 3: "volume"}[len(shape)]
    item = Flow((AttentionMap(torch.rand(shape), "conv", Domain(kind)),), "gradcam")
    assert len(pictures(item._repr_html_())) == 1


def test_an_overlay_is_a_picture_of_the_photos_size():
    item = explanation()
    assert tensor_of(item.overlay()).equal(overlay(item.flow[-1], pixels_of(item.image)))
    assert tensor_of(item.overlay("early", opacity=0.3)).equal(
        overlay(item.flow[0], pixels_of(item.image), opacity=0.3)
    )
    assert item.flow[0].overlay().size[0] > 16


@pytest.mark.parametrize("kind", ["pillow", "path", "array", "tensor"])
def test_an_overlay_takes_another_photo(kind, tmp_path):
    pixels = pixels_of(photo(30, 50, seed=3))
    picture = Image.fromarray(pixels.numpy(), "RGB")
    picture.save(tmp_path / "other.png")
    other = {
        "pillow": picture,
        "path": tmp_path / "other.png",
        "array": np.asarray(picture),
        "tensor": pixels.permute(2, 0, 1) / 255,
    }[kind]
    drawn = explanation().flow.overlay(photo=other)
    assert tensor_of(drawn).equal(overlay(flow()[-1], pixels))


@pytest.mark.parametrize(("options", "text"), [({"layer": "*"}, "names 3"), ({"photo": 3}, "laid over")])
def test_an_overlay_needs_one_layer_and_a_picture(options, text):
    with pytest.raises(ResultError, match=text):
        explanation().overlay(**options)


def test_plot_is_the_montage_and_a_notebook_draws_it():
    figure = explanation().plot(layers=["early", -1], columns=4)
    words = [text.get_text() for text in figure.texts]
    assert "early" in words
    assert "late" in words
    assert "middle" not in words
    assert figure._repr_png_()[:4] == b"\x89PNG"


def test_show_opens_a_page_outside_of_notebooks(monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    path = gallery()[0].show(layers="late")
    assert opened == [path.as_uri()]
    assert "late" in path.read_text("utf-8")
    path.unlink()


@pytest.mark.parametrize("result", [explanation(), explanation().flow, explanation().flow[0]])
def test_reports_take_one_as_well_as_many(result, tmp_path):
    assert montage(result).texts
    assert page(result).startswith("<!doctype html>")
    for save, name in ((save_montage, "m.png"), (save_page, "p.html"), (save_animation, "a.gif")):
        assert save(result, tmp_path / name).stat().st_size


def test_reports_take_layers(tmp_path):
    item = explanation()
    text = page(item, layers=["early", "late"])
    assert '"layers":["early","late"]' in text.replace("\\u0022", '"')
    one = save_animation(item, tmp_path / "one.gif", layers=-1)
    with Image.open(one) as still:
        assert getattr(still, "n_frames", 1) == 1
