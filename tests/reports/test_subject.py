from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from sightline.errors import ResultError
from sightline.reports import panels
from sightline.reports.spread import spread
from sightline.reports.subject import merged, subjects_of
from sightline.results import AttentionMap, Domain, Flow

from .samples import explanation, flow, gallery, photo, smooth


def test_explanations_of_one_photo_become_one_subject():
    subjects = subjects_of(gallery())
    assert [len(subject.items) for subject in subjects] == [3, 1]
    assert subjects[0].layers == ("early", "middle", "late", "ok", "zero", "flat", "nan")


def test_same_name_with_another_picture_is_another_subject():
    assert len(subjects_of([explanation(), explanation(image=photo(seed=9))])) == 2


def test_samples_without_name_and_photo_are_told_apart_by_repetition():
    bare = replace(explanation(), image=None, source="")
    other = replace(bare, flow=flow("layercam"))
    assert [len(subject.items) for subject in subjects_of([bare, other, bare, other])] == [2, 2]
    assert not subjects_of([bare])[0].has_photo
    assert subjects_of([bare])[0].pixels.shape == (168, 224, 3)


def test_a_flow_of_one_map_shows_it_at_every_stage_and_others_only_where_they_have_one():
    still = explanation(Flow((AttentionMap(smooth(4, 4, 1), "input"),), "control"))
    walked = explanation(Flow(flow().maps[:2], "gradcam"))
    (subject,) = subjects_of([still, walked])
    assert subject.at(still, "late").layer == "input"
    assert subject.at(walked, "early").layer == "early"
    assert subject.at(walked, "late") is None
    assert subject.layers == ("early", "middle")


def test_methods_never_share_a_scale():
    big = explanation(Flow((AttentionMap(torch.full((2, 2), 100.0), "early"),), "big"))
    (subject,) = subjects_of([explanation(), big])
    assert subject.unit(subject.items[1], subject.items[1].flow[0], "shared").value > 10.0
    assert subject.unit(subject.items[0], subject.items[0].flow[0], "shared").value < 10.0


@pytest.mark.parametrize(
    ("orders", "expected"),
    [
        ([("a", "c"), ("a", "b", "c", "d")], "abcd"),
        ([(), ("x",)], "x"),
        ([("a", "b"), ("b", "a")], "ab"),
        ([("b",), ("a",)], "ba"),
    ],
)
def test_orders_of_stages_are_merged(orders, expected):
    assert "".join(merged(orders)) == expected


@pytest.mark.parametrize("count", [1, 2, 11, 12, 120])
@pytest.mark.parametrize("most", [1, 2, 5, 11])
def test_a_spread_is_even_and_keeps_the_last_and_the_first(count, most):
    places = spread(count, most)
    assert len(places) == min(count, most) == len(set(places))
    assert places[-1] == count - 1
    assert most == 1 or places[0] == 0
    steps = {after - before for before, after in pairwise(places)}
    assert not steps or max(steps) - min(steps) <= 1


def test_nothing_to_draw_is_refused():
    with pytest.raises(ResultError, match="nothing to draw"):
        subjects_of([])
    with pytest.raises(ResultError, match="holds no maps"):
        subjects_of([explanation(Flow((), "gradcam"))])


def test_a_domain_that_no_picture_carries_is_refused_with_what_to_try():
    words = Flow((AttentionMap(torch.ones(3), "text", Domain("words", ("a", "b", "c"))),), "m")
    with pytest.raises(ResultError, match=r"over 'words'.*read its values from"):
        subjects_of([explanation(words)])


def test_maps_over_two_domains_are_drawn_apart_each_by_its_panel(monkeypatch):
    def strip(item):
        maps = tuple(replace(map_, values=map_.values[None], domain=Domain("image")) for map_ in item.flow.maps)
        return replace(item, flow=replace(item.flow, maps=maps), image=torch.ones(3, 1, 3))

    monkeypatch.setitem(panels.PANELS._items, "words", strip)
    text = AttentionMap(torch.ones(3), "text", Domain("words", ("a", "b", "c")))
    seen = AttentionMap(torch.ones(2, 2), "seen")
    both = replace(explanation(Flow((text, seen), "m")), image=photo(), source="one")
    first, second = subjects_of([both])
    assert (first.layers, second.layers) == (("text",), ("seen",))
    assert (tuple(first.pixels.shape), first.source) == ((1, 3, 3), "one")
