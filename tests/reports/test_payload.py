import base64
import json
import math

import pytest
import torch

from sightline.reports.palette import SIGNED, UNSIGNED
from sightline.reports.payload import common_payload, safe_json, subject_payload
from sightline.reports.subject import subjects_of
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


def test_colour_tables_are_those_of_python():
    for name, table in (("unsigned", UNSIGNED), ("signed", SIGNED)):
        assert base64.b64decode(common_payload()[name]) == table.numpy().tobytes()


def test_a_subject_holds_its_panels_with_everything_that_is_shown():
    payload = subject_payload(subjects_of(gallery())[0])
    first, second, third = payload["panels"]
    assert payload["layers"] == ["early", "middle", "late", "ok", "zero", "flat", "nan"]
    assert first["at"] == [0, 1, 2, None, None, None, None]
    assert third["at"] == [None, None, None, 0, 1, 2, 3]
    assert first["decided"] == "score 3.25 · 50.0 %"
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
