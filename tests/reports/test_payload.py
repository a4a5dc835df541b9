import base64
import io
import json
import math

import pytest
import torch
from PIL import Image

from sightline.reports.density import unit_of
from sightline.reports.outline import outline
from sightline.reports.packing import ring_text
from sightline.reports.page_picture import picture_of_page
from sightline.reports.payload import common_payload, safe_json, subject_payload
from sightline.reports.photo import pixels_of, tensor_of
from sightline.reports.region import region_area
from sightline.reports.subject import subjects_of
from sightline.reports.tint import tint_of
from sightline.results import AttentionMap, Flow

from .samples import HOSTILE, explanation, gallery, odd_flow


def test_json_cannot_leave_its_script_element():
    text = safe_json({"label": HOSTILE, HOSTILE: "<!--"})
    assert not set("<>&") & set(text)
    assert text.isascii()
    assert json.loads(text) == {"label": HOSTILE, HOSTILE: "<!--"}


def test_json_holds_what_json_cannot_say_as_null_or_text():
    content = {"a": math.nan, "b": (1, math.inf), "c": torch.float32, 4: True, "d": "\udcff"}
    assert json.loads(safe_json(content)) == {"a": None, "b": [1, None], "c": "torch.float32", "4": True, "d": "?"}


@pytest.mark.parametrize("cmap", ["glow", "inferno"])
def test_the_colour_table_is_that_of_python(cmap):
    subject = subjects_of(gallery())[0]
    table = base64.b64decode(subject_payload(subject, cmap=cmap)["paint"]["table"])
    assert table == tint_of(cmap, subject.pixels).table.numpy().tobytes()


def test_every_number_that_has_a_name_has_a_line_that_says_what_it_is():
    common = common_payload()
    assert set(common["names"]) <= set(common["help"])
    assert set(common["shares"]) <= set(common["notes"])


def test_a_map_brings_its_unit_its_outline_and_its_half_the_sentence_too():
    map_ = subject_payload(subjects_of(gallery())[0])["panels"][0]["maps"][0]
    line = outline(gallery()[0].flow[0])
    assert map_["half"] == pytest.approx(line.area, abs=1e-5)
    assert map_["value"] == pytest.approx(unit_of(gallery()[0].flow[0]).value)
    assert map_["outline"] == [ring_text(loop) for loop in line.loops]
    assert map_["clause"].startswith("the network looked ")


def test_the_box_of_a_decision_brings_its_ring_and_the_evidence_in_it():
    from dataclasses import replace

    values = torch.tensor([[3.0, 0.0], [0.0, 1.0]])
    item = explanation(Flow((AttentionMap(values, "a"), AttentionMap(torch.zeros(2, 2), "b")), "m"))
    boxed = replace(item, decision=replace(item.decision, box=(0.5, 0.25, 0.5, 0.75)))
    panel = subject_payload(subjects_of([boxed])[0])["panels"][0]
    assert panel["region"] == [ring_text([(0.5, 0.25), (1.0, 0.25), (1.0, 1.0), (0.5, 1.0)])]
    assert (panel["on_object"], panel["object_name"]) == ([0.25, None], "box")
    assert panel["object_area"] == pytest.approx(0.5 * 0.75)
    assert region_area(replace(item.decision, box=(0.75, -0.5, 0.5, 1.0))) == pytest.approx(0.25 * 0.5)
    outside = replace(item, decision=replace(item.decision, box=(-0.25, 0.5, 0.75, 1.0)))
    ring = subject_payload(subjects_of([outside])[0])["panels"][0]["region"]
    assert ring == [ring_text([(0.0, 0.5), (0.5, 0.5), (0.5, 1.0), (0.0, 1.0)])], "cut off at the picture's edges"
    left = (((0.0, 0.0), (0.25, 0.0), (0.25, 1.0), (0.0, 1.0)),)
    placed = replace(item, decision=replace(item.decision, region=left))
    assert subject_payload(subjects_of([placed])[0])["panels"][0]["object_area"] == pytest.approx(0.25, abs=5e-3)
    plain = subject_payload(subjects_of([item])[0])["panels"][0]
    assert (plain["region"], plain["on_object"], plain["object_area"]) == ([], [None, None], None)


def test_the_share_on_a_known_object_comes_before_that_in_the_box():
    both = {"object_area": 0.2, "object_others": 0.4}
    for notes, control, others in ((both, 0.2, 0.4), ({}, None, None)):  # a result of an earlier version has none
        maps = (AttentionMap(torch.eye(2), "a", notes={"object": 0.7, **notes}), AttentionMap(torch.eye(2), "b"))
        panel = subject_payload(subjects_of([explanation(Flow(maps, "m"))])[0])["panels"][0]
        assert (panel["on_object"], panel["object_name"]) == ([0.7, None], "object")
        assert panel["object_area"] == control
        assert panel["others_on_object"] == [others, None]


def test_photos_are_small_and_drawings_lossless():
    noise = torch.rand(3, 700, 900)
    photo_ = picture_of_page(subjects_of([explanation(image=noise)])[0])
    assert photo_.size == (900, 700)
    lines = torch.zeros(3, 64, 64)
    lines[:, ::8] = 1.0
    drawn = picture_of_page(subjects_of([explanation(image=lines)])[0])
    back = Image.open(io.BytesIO(base64.b64decode(drawn.image.partition(",")[2]))).convert("RGB")
    assert torch.equal(tensor_of(back), pixels_of(lines))


def test_a_subject_holds_its_panels_with_everything_that_is_shown():
    payload = subject_payload(subjects_of(gallery())[0])
    first, second, third = payload["panels"]
    assert payload["layers"] == ["early", "middle", "late", "ok", "zero", "flat", "nan"]
    assert first["at"] == [0, 1, 2, None, None, None, None]
    assert third["at"] == [None, None, None, 0, 1, 2, 3]
    assert (first["sure"], first["probability"]) == ("50 % sure", 0.5)
    assert first["phrases"][0]["box"] == (0.25, 0.1, 0.5, 0.4)
    assert json.loads(first["provenance"]) == {"model": "tiny <b>", "score": None}
    assert second["label"] == HOSTILE
    assert second["maps"][0]["own"][0] == -second["maps"][0]["own"][1]
    assert [map_["status"] for map_ in third["maps"]] == ["ok", "zero", "flat", "nan"]


def test_a_flow_brings_its_course_and_its_remarks():
    from dataclasses import replace

    item = explanation(replace(odd_flow(), remarks=("Nothing was abandoned.",)))
    panel = subject_payload(subjects_of([item])[0])["panels"][0]
    assert panel["remarks"] == ["Nothing was abandoned."]
    assert panel["score"] == 3.25
    course = panel["course"]
    assert course["gaps"] == ["", "zero", "flat", "nan"]
    assert course["steps"] == [None, None, None]
    assert course["centres"][1:] == [None, None, None]
    assert sum(region["shares"][0] for region in course["regions"]) == pytest.approx(1.0, abs=0.005)
    assert not course["named"]


def test_a_single_map_has_no_course():
    item = explanation(Flow((AttentionMap(torch.eye(3), "input"),), "saliency"))
    assert subject_payload(subjects_of([item])[0])["panels"][0]["course"] is None


def test_steps_of_a_flow_are_small_pictures():
    steps = subject_payload(subjects_of(gallery())[0])["panels"][0]["course"]["steps"]
    assert [(step["height"], step["width"]) for step in steps] == [(6, 8), (3, 4)]
    assert all(0 < step["moved"] <= 1 for step in steps)
