"""The map that stands for a flow."""

import pytest
import torch

import sightline
from sightline.errors import ResultError
from sightline.results import AttentionMap, Flow
from tests.tiny import build, picture


def map_of(layer: str, *, carried: float | None = None, empty: bool = False) -> AttentionMap:
    values = torch.zeros(2, 2) if empty else torch.eye(2)
    return AttentionMap(values, layer, notes={} if carried is None else {"carried": carried})


def test_of_maps_that_say_nothing_of_what_they_carry_the_last_one_with_evidence_stands() -> None:
    assert Flow((map_of("a"), map_of("b"), map_of("c", empty=True)), "gradcam").main.layer == "b"


def test_where_the_score_is_handed_down_the_middle_one_stands() -> None:
    maps = [map_of(name, carried=1.0) for name in "abcde"]
    assert Flow(tuple(maps), "lrp").main.layer == "c"
    assert Flow(tuple(maps[:4]), "lrp").main.layer == "b"
    assert Flow((map_of("z", carried=0.0, empty=True), *maps[:3]), "lrp").main.layer == "b"


def test_without_evidence_the_last_one_stands_and_without_maps_none() -> None:
    assert Flow((map_of("a", empty=True), map_of("b", empty=True)), "gradcam").main.layer == "b"
    with pytest.raises(ResultError, match="no maps"):
        _ = Flow((), "gradcam").main


@pytest.mark.parametrize(("method", "layer"), [("lrp", "middle"), ("naflow", "middle"), ("gradcam", "last")])
def test_methods_that_hand_the_score_down_are_shown_in_the_middle(method: str, layer: str) -> None:
    flow = sightline.explain(build("vit_token"), picture(), target=1, method=method)[0].flow
    drawn = [map_ for map_ in flow.maps if map_.status == "ok" and map_.values.max() > 0]
    assert flow.main is drawn[{"middle": (len(drawn) - 1) // 2, "last": -1}[layer]]
