"""A value of any output is explained as it is, up and down."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import sightline
from sightline.errors import TargetError
from sightline.targets import (
    Contrast,
    ContrastClosest,
    ContrastOthers,
    CosineSimilarity,
    LogSoftmax,
    Value,
    parse_target,
)

Y = torch.arange(24.0).reshape(2, 3, 2, 2)


@pytest.mark.parametrize(
    ("what", "output", "scores", "labels"),
    [
        ("value", Y[:, 0, 0, 0], [[0.0], [12.0]], ("higher value",)),
        ("value", Y[:, :1, 0, 0], [[0.0], [12.0]], ("higher value",)),
        ("Lower value", Y[:, :1, :1, :1], [[-0.0], [-12.0]], ("lower value",)),
        ("lower_value:2", Y[:, :, 0, 0], [[-8.0], [-20.0]], ("lower value 2",)),
        ("both value:1", Y[:, :, 0, 0], [[4.0, -4.0], [16.0, -16.0]], ("higher value 1", "lower value 1")),
        ("value:2,1,0", Y, [[10.0], [22.0]], ("higher value 2,1,0",)),
        ("value:0", Y[:, 0, 0, 0], [[0.0], [12.0]], ("higher value 0",)),
        (Value((0,), side="lower"), Y[:, :, 0, 0], [[-0.0], [-12.0]], ("lower value 0",)),
    ],
)
def test_a_value_is_read_where_it_is_said(
    what: Any, output: Tensor, scores: list[list[float]], labels: tuple[str, ...]
) -> None:
    readout = parse_target(what).read(output, None)
    assert readout.scores.tolist() == scores
    assert readout.labels == (labels, labels)
    assert readout.indices is None
    assert readout.probabilities is None


def test_a_value_is_called_by_its_label() -> None:
    assert parse_target("value:1").read(Y[:, :, 0, 0], ("age", "height", "weight")).labels[0] == ("higher height",)
    assert parse_target("lower value").read(Y[:, :1, 0, 0], ("age",)).labels[0] == ("lower age",)


@pytest.mark.parametrize(
    ("what", "output", "text"),
    [
        ("value", Y[:, :, 0, 0], "3 values for each sample, shape .*value:0"),
        ("value", torch.tensor(3.0), "a value is a number of floats"),
        ("value", torch.zeros(2, dtype=torch.long), "int64"),
        ("value:3", Y[:, :, 0, 0], "no value 3 in an output of shape"),
        ("value:1", Y[:, 0, 0, 0], "no value 1"),
        ("value:0,0", Y, "no value 0,0"),
        (Value(side="sideways"), Y[:, 0, 0, 0], "'higher', 'lower' or 'both'"),
    ],
)
def test_a_value_that_is_not_there_is_refused(what: Any, output: Tensor, text: str) -> None:
    with pytest.raises(TargetError, match=text):
        parse_target(what).read(output, None)


@pytest.mark.parametrize("name", ["values", "value:", "value:-1", "value of life", "value:1,"])
def test_what_is_no_value_is_left_to_be_a_class(name: str) -> None:
    assert not isinstance(parse_target(name), Value)


@pytest.mark.parametrize("method", ["gradcam", "lrp", "scorecam", "ablationcam", "occlusion", "saliency", "naflow"])
def test_a_depth_map_is_explained_at_a_place(method: str) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 6, 3, 1, 1), nn.ReLU(), nn.Conv2d(6, 1, 3, 1, 1)).eval()
    x = torch.rand(2, 3, 8, 8)
    up, down, up2, down2 = sightline.explain(net, x, target="both value:0,5,2", method=method, layers=None)
    same = sightline.explain(net, x, target=lambda y: torch.stack([y[:, 0, 5, 2], -y[:, 0, 5, 2]], 1), method=method)
    for one, other in zip((up, down, up2, down2), same, strict=True):
        assert one.decision.score == pytest.approx(other.decision.score, abs=1e-5)
        for a, b in zip(one.flow.maps, other.flow.maps, strict=True):
            assert torch.allclose(a.values, b.values, atol=1e-5)
    with torch.no_grad():
        assert up.decision.score == pytest.approx(float(net(x)[0, 0, 5, 2]), abs=1e-5)


def test_probabilities_are_not_asked_of_a_value() -> None:
    net = nn.Sequential(nn.Conv2d(3, 1, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(TargetError, match="is about classes"):
        sightline.explain(net, torch.rand(1, 3, 8, 8), target="value", probabilities="sigmoid")


NET = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)).eval()
X = torch.rand(2, 3, 8, 8)


@pytest.mark.parametrize(
    ("target", "indices"),
    [
        (torch.tensor(2), [2, 2]),
        (np.int64(1), [1, 1]),
        (np.array(1), [1, 1]),
        (np.array([0, 2]), [0, 2]),
        (torch.tensor([0, 2], dtype=torch.int32), [0, 2]),
        (torch.tensor([1]), [1, 1]),
        (torch.tensor([[1], [0]]), [1, 0]),
    ],
)
def test_classes_are_taken_as_arrays_hold_them(target: Any, indices: list[int]) -> None:
    results = sightline.explain(NET, X, target=target, method="gradcam")
    assert [item.decision.index for item in results] == indices


def test_a_number_of_an_array_is_contrasted_as_a_plain_one() -> None:
    one, other = (
        sightline.explain(NET, X, target=this, contrast=that, method="gradcam")[0].decision.label
        for this, that in ((2, 1), (torch.tensor(2), np.int64(1)))
    )
    assert one == other == "class 2 rather than class 1"


@pytest.mark.parametrize("method", ["gradcam", "lrp", "scorecam", "saliency"])
@pytest.mark.parametrize("batch_size", [None, 1])
@pytest.mark.parametrize(
    ("target", "text"),
    [
        (torch.tensor([0, 1, 2]), "3 rows, one for each sample, but there are 2 inputs"),
        (torch.tensor([], dtype=torch.long), "0 rows"),
        (Contrast(torch.tensor([0, 1, 2]), 0), "3 rows"),
        (ContrastClosest(torch.tensor([0, 1, 2]), 1), "3 rows"),
        (LogSoftmax(ContrastOthers(torch.tensor([0, 1, 2]))), "3 rows"),
        (CosineSimilarity(torch.ones(3, 4)), "3 rows"),
        (torch.tensor([0.0, 1.0]), "whole numbers"),
        (torch.tensor([True, False]), "whole numbers"),
        (np.array([0.5, 1.5]), "whole numbers"),
        (torch.zeros(2, 1, 1, dtype=torch.long), "whole numbers"),
    ],
)
def test_rows_that_are_not_those_of_the_batch_are_refused(
    target: Any, text: str, method: str, batch_size: int | None
) -> None:
    with pytest.raises(TargetError, match=text):
        sightline.explain(NET, X, target=target, method=method, batch_size=batch_size)
