"""Where the network looked, as a record: pictures in words and area, everything else in cells."""

import math

import pytest
import torch

from sightline.reports.headline import main_record
from sightline.reports.outline import half_area
from sightline.reports.where import place_words
from sightline.results import AttentionMap, Decision, Domain, Explanation, Flow


def explained(*maps: AttentionMap) -> Explanation:
    return Explanation(Flow(maps, "gradcam"), Decision("cat", 1.0, probability=0.5))


def test_a_picture_has_words_and_the_area_that_its_outline_has():
    map_ = AttentionMap(torch.eye(4).flip(1), "last")
    assert main_record(explained(map_)) == {
        "layer": "last", "where": place_words(map_), "half_area": half_area(map_)
    }  # fmt: skip


@pytest.mark.parametrize(("kind", "shape"), [("signal", (12,)), ("volume", (3, 4, 5))])
def test_what_is_no_picture_is_counted_in_cells(kind, shape):
    values = torch.zeros(shape)
    values.view(-1)[:2] = 1.0
    found = main_record(explained(AttentionMap(values, "last", Domain(kind))))
    assert found["where"] == ""
    assert found["half_area"] == pytest.approx(1 / math.prod(shape))


def test_a_map_without_evidence_has_no_area():
    assert main_record(explained(AttentionMap(torch.zeros(3, 3), "last")))["half_area"] is None
