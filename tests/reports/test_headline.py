"""Where the network looked, as a record: what is drawn in words and area, everything else in cells."""

from dataclasses import replace

import pytest
import torch

from sightline.reports.headline import main_record
from sightline.reports.outline import half_area
from sightline.reports.panels import drawable
from sightline.reports.where import place_words
from sightline.results import AttentionMap, Decision, Domain, Explanation, Flow, Original


def explained(*maps: AttentionMap) -> Explanation:
    return Explanation(Flow(maps, "gradcam"), Decision("cat", 1.0, probability=0.5))


def test_a_picture_has_words_and_the_area_that_its_outline_has():
    map_ = AttentionMap(torch.eye(4).flip(1), "last")
    assert main_record(explained(map_)) == {
        "layer": "last", "where": place_words(map_), "half_area": half_area(map_)
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "shape", "where"), [("signal", (12,), "the beginning"), ("volume", (3, 4, 5), "slice 1")]
)
def test_what_is_drawn_as_a_strip_has_the_words_and_the_area_of_the_strip(kind, shape, where):
    values = torch.zeros(shape)
    values.view(-1)[:2] = 1.0
    item = explained(AttentionMap(values, "last", Domain(kind)))
    record, drawn = main_record(item), next(iter(drawable(item))).flow[0]
    assert record["where"] == place_words(drawn)
    assert where in record["where"]
    assert record["half_area"] == half_area(drawn)


def test_what_is_not_drawn_is_counted_in_cells():
    map_ = AttentionMap(torch.tensor([1.0, 1.0, 0.0, 0.0]), "last", Domain("fields", ("a", "b", "c", "d")))
    assert main_record(explained(map_)) == {"layer": "last", "where": "", "half_area": pytest.approx(0.25)}


def test_the_area_is_a_share_of_the_photo_that_the_user_gave():
    map_ = AttentionMap(torch.eye(4), "last")
    original = Original(torch.zeros(30, 60, 3, dtype=torch.uint8), (0.25, 0.0, 0.5, 1.0))
    record = main_record(replace(explained(map_), original=original))
    assert record["half_area"] == pytest.approx(half_area(map_) / 2)


def test_a_map_without_evidence_has_no_area():
    assert main_record(explained(AttentionMap(torch.zeros(3, 3), "last")))["half_area"] is None


def test_words_are_about_the_photo_that_the_user_gave():
    map_, crop = AttentionMap(torch.eye(6)[:, :1].expand(6, 6).clone(), "last"), (0.5, 0.0, 0.5, 1.0)
    original = Original(torch.zeros(30, 60, 3, dtype=torch.uint8), crop)
    found = main_record(replace(explained(map_), original=original))
    assert found["where"] == place_words(map_, crop=crop) != place_words(map_)
