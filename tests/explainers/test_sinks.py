"""Register and sink tokens: how many there are, which share they get, and maps without them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import sightline
from sightline.errors import MethodError
from sightline.explainers import METHODS
from sightline.explainers.attention.sinks import sinks_of
from tests.batteries.test_attention_readers import GRID, PLACES, Net, built, by_hand, pictures

PLACE = 6
"""The place whose token is made a sink."""

METHODS_WITH_SINKS = [name for name, method in METHODS.items() if "sinks" in method.options]


class Sunk(Net):
    """One place's token is far longer than the others, behind every block."""

    def __init__(self) -> None:
        super().__init__("first", {"own": 1, "memory": 3})
        nn.init.normal_(self.places.data[:, PLACE], std=4)


def test_a_norm_that_stands_out_is_a_sink_and_ordinary_ones_are_none() -> None:
    norms = torch.rand(4, 14, 14, generator=torch.Generator().manual_seed(0)) + 0.5
    assert not sinks_of(norms).any()
    norms[2, 3, 5] = 4.0
    assert sinks_of(norms).nonzero().tolist() == [[2, 3, 5]]


def test_tokens_of_random_networks_are_no_sinks() -> None:
    for kind in ("first", "places"):
        found = sightline.explain(built(lambda k=kind: Net(k, {"own": 1})), pictures(), target=1, method="lrp")
        assert all(map_.notes.get("sinks", 0) == 0 for item in found for map_ in item.flow.maps)


def test_registers_and_their_share_of_attention_are_noted() -> None:
    net, x = built(lambda: Net("first", {"own": 1, "memory": 3})), pictures()
    ours = sightline.explain(net, x, target=1, method="rollout")
    weights, _ = by_hand(net, x)
    for b, item in enumerate(ours):
        for A, map_ in zip(weights, item.flow.maps, strict=True):
            row = A[b, :, 0]
            assert map_.notes["registers"] == 3
            assert map_.notes["registers_attention"] == pytest.approx(float(row[:, 1:4].sum() / row.sum()), rel=1e-5)


def test_a_sink_is_counted_with_its_share_of_attention() -> None:
    net, x = built(Sunk), pictures()
    item = sightline.explain(net, x, target=1, method="rollout")[0]
    assert [map_.notes["sinks"] for map_ in item.flow.maps] == [1, 1]
    weights, _ = by_hand(net, x)
    row = weights[1][0, :, 0]
    share = float(row[:, 4 + PLACE].sum() / row.sum())
    assert item.flow[1].notes["sinks_attention"] == pytest.approx(share, rel=1e-5)


def test_a_sinks_share_of_relevance_is_noted() -> None:
    net, x = built(Sunk), pictures()
    map_ = sightline.explain(net, x, target=1, method="lrp", layers=["trunk.1"])[0].flow[0]
    assert map_.notes["sinks"] == 1
    share = float(map_.values.flatten()[PLACE].abs() / map_.values.abs().sum()) if map_.values.any() else 0.0
    assert map_.notes["sinks_relevance"] == pytest.approx(share, rel=1e-4)


@pytest.mark.parametrize("method", METHODS_WITH_SINKS)
def test_sinks_are_left_out_if_asked(method: str) -> None:
    net, x = built(Sunk), pictures()
    kept, dropped = (
        torch.stack(
            [
                item.flow[-1].values.flatten()
                for item in sightline.explain(net, x, target=[0, 1, 2, 3, 4], method=method, options=o)
            ]
        )
        for o in (None, {"sinks": "drop"})
    )
    assert not dropped[:, PLACE].any()
    assert kept[:, PLACE].any()
    assert dropped.any()
    with pytest.raises(MethodError, match="the option sinks"):
        sightline.explain(net, x, target=1, method=method, options={"sinks": "sometimes"})


def test_without_registers_nobody_reads_them() -> None:
    """By hand: their columns are zero, and rows sum to one again."""
    net, x = built(lambda: Net("first", {"own": 1, "memory": 3})), pictures()
    ours = sightline.explain(net, x, target=1, method="rollout", options={"sinks": "drop"})
    weights, _ = by_hand(net, x)
    for b, item in enumerate(ours):
        R = torch.eye(4 + PLACES, dtype=x.dtype)
        for A in weights:
            step = A[b].mean(0).clone()
            step[:, 1:4] = 0
            R = (step / step.sum(1, keepdim=True) + torch.eye(len(R))) / 2 @ R
        assert torch.allclose(item.flow[-1].values.double(), R[0, 4:].reshape(GRID, GRID), rtol=1e-4)
