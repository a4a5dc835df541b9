"""In-place layers that would overwrite what was read are known after the first call, and the maps stay the same."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import sightline
from sightline.capture import record
from tests.tiny import build, picture


def maps(model: nn.Module, layers: object = None, method: str = "gradcam") -> list[torch.Tensor]:
    found = sightline.explain(model, picture(), target=1, method=method, layers=layers)
    return [map_.values for item in found for map_ in item.flow.maps]


def same(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("layers", [None, "convs", ["1"]])
@pytest.mark.parametrize("method", ["gradcam", "eigencam"])
def test_later_calls_give_the_maps_of_the_first_and_of_a_network_without_in_place_layers(
    layers: object, method: str
) -> None:
    model, plain = build("plain_inplace"), build("plain_inplace")
    for module in plain.modules():
        if hasattr(module, "inplace"):
            module.inplace = False
    right = maps(plain, layers, method)
    assert all(same(maps(model, layers, method), right) for _ in range(3))
    assert [m.inplace for m in model.modules() if hasattr(m, "inplace")] == [True] * 3


def test_the_second_call_puts_no_hook_on_in_place_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    model, calls = build("plain_inplace"), []
    spare = record.Recorder._spare
    monkeypatch.setattr(record.Recorder, "_spare", lambda *given: (calls.append(1), spare(*given))[1])
    maps(model, "convs")
    hooked = len(calls)
    assert hooked
    maps(model, "convs")
    assert len(calls) == hooked
    maps(model, ["0"])
    assert len(calls) > hooked


def test_a_layer_that_becomes_in_place_later_spoils_nothing() -> None:
    model = build("plain_inplace")
    model[2].inplace = False
    right = maps(model, ["1"])
    model[2].inplace = True
    assert same(maps(model, ["1"]), right)
    record._SPARED[next(s for s in record._SPARED)].clear()
    assert same(maps(model, ["1"]), right)
