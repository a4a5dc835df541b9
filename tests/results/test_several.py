"""One result or many become explanations, at the layers that are asked for."""

from __future__ import annotations

import math

import pytest
import torch

from sightline.errors import ResultError
from sightline.results import AttentionMap, Decision, Explanation, Explanations, Flow, explanations_of

NAMES = ("conv1", "layer1.0", "layer1.1", "layer2.0")


def flow(*names: str, method: str = "gradcam") -> Flow:
    return Flow(tuple(AttentionMap(torch.eye(2), name) for name in names), method)


def explanation(*names: str) -> Explanation:
    return Explanation(flow(*names), Decision("cat", 1.0))


def test_one_of_each_kind_becomes_one_explanation() -> None:
    one = explanation(*NAMES)
    assert explanations_of(one) == (one,)
    assert explanations_of(Explanations((one, one))) == (one, one)
    (lone,) = explanations_of(one.flow)
    assert lone.flow is one.flow
    assert math.isnan(lone.decision.score)
    (single,) = explanations_of(one.flow[-1])
    assert single.flow.maps == (one.flow[-1],)


@pytest.mark.parametrize(
    ("layers", "names"),
    [
        (None, NAMES),
        ("layer1.0", ("layer1.0",)),
        ("layer1.*", ("layer1.0", "layer1.1")),
        ("last", ("layer2.0",)),
        (-1, ("layer2.0",)),
        (0, ("conv1",)),
        ([-1, "conv1"], ("conv1", "layer2.0")),
        (["layer1.*", "layer1.1"], ("layer1.0", "layer1.1")),
    ],
)
def test_layers_are_chosen_by_name_wildcard_and_place_in_forward_order(
    layers: object, names: tuple[str, ...]
) -> None:
    (kept,) = explanations_of(explanation(*NAMES), layers)
    assert kept.flow.layers == names


def test_an_explanation_without_the_layer_is_left_out() -> None:
    items = explanations_of([explanation("a", "b"), explanation("b", "c")], ["c"])
    assert [item.flow.layers for item in items] == [("c",)]


@pytest.mark.parametrize(
    ("layers", "text"),
    [("layer1.O", "no layer .*'layer1.0'"), (4, "no layer at place 4"), (-5, "no layer at place")],
)
def test_a_layer_that_is_not_there_is_an_error(layers: object, text: str) -> None:
    with pytest.raises(ResultError, match=text):
        explanations_of(explanation(*NAMES), layers)


@pytest.mark.parametrize("wrong", [3, "photo.jpg", [explanation("a"), 3]])
def test_what_is_not_a_result_is_refused(wrong: object) -> None:
    with pytest.raises(ResultError, match="explanation"):
        explanations_of(wrong)  # type: ignore[arg-type]
