import base64
import json
import math

import numpy as np
import pytest
import torch

from sightline.reports.palette import SIGNED, UNSIGNED
from sightline.reports.payload import common_payload, raw_bytes, safe_json, subject_payload
from sightline.reports.subject import subjects_of

from .samples import HOSTILE, gallery, odd_flow


@pytest.mark.parametrize("map_", odd_flow().maps, ids=lambda map_: map_.stage)
def test_raw_values_come_back_bit_for_bit(map_):
    back = np.frombuffer(base64.b64decode(raw_bytes(map_.values)), "<f4").reshape(map_.shape)
    assert np.array_equal(back, map_.values.numpy(), equal_nan=True)


def test_a_transposed_or_half_precision_map_is_written_row_by_row():
    values = torch.arange(6.0).reshape(2, 3).T.to(torch.bfloat16)
    assert np.frombuffer(base64.b64decode(raw_bytes(values)), "<f4").tolist() == [0, 3, 1, 4, 2, 5]


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
    assert payload["stages"] == ["early", "middle", "late", "ok", "zero", "flat", "nan"]
    assert first["at"] == [0, 1, 2, None, None, None, None]
    assert third["at"] == [None, None, None, 0, 1, 2, 3]
    assert first["decided"] == "score 3.25 · 50.0 %"
    assert first["phrases"][0]["box"] == (0.25, 0.1, 0.5, 0.4)
    assert json.loads(first["provenance"]) == {"model": "tiny <b>", "score": None}
    assert second["label"] == HOSTILE
    assert second["maps"][0]["own"][0] == -second["maps"][0]["own"][1]
    assert [map_["status"] for map_ in third["maps"]] == ["ok", "zero", "flat", "nan"]
