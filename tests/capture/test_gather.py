import pytest
import torch

from sightline.capture import ChannelSum, gather
from sightline.capture.gather import Gatherer
from sightline.capture.pair import Pair
from sightline.capture.record import Record
from sightline.capture.sums import reduced
from sightline.explainers import METHODS
from sightline.models import LayerSpec
from tests.layouts import grid_layout

CAMS = [method.reduction for method in METHODS.values() if isinstance(method.reduction, ChannelSum)]
SHAPES = [(3, 4, 4), (5, 4, 4), (3, 4, 4), (2, 8, 6), (3, 4, 4)]


def arrivals(batch: int = 2) -> list[tuple[Record, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    found = []
    for i, (c, h, w) in enumerate(SHAPES):
        A, G = torch.randn(2, batch, c, h, w, generator=generator)
        found.append((Record(LayerSpec(str(i)), 1, grid_layout(c, h, w), batch, A, None), G))
    return found


@pytest.mark.parametrize(("small", "waiting"), [(0, 0), (10**6, 10**6), (100, 200), (10**6, 150)])
def test_maps_are_those_of_each_stage_by_itself(monkeypatch, small, waiting):
    monkeypatch.setattr(gather, "SMALL", small)
    monkeypatch.setattr(gather, "WAITING", waiting)
    gatherer = Gatherer(CAMS)
    for record, gradient in arrivals():
        gatherer.add(record, gradient)
    maps = gatherer.maps()
    assert len(maps) == len(SHAPES)
    by_name = {record.spec.path: found for record, found in maps.items()}
    for record, gradient in arrivals():
        alone = reduced(Pair.of(record, gradient), CAMS)
        for found, expected in zip(by_name[record.spec.path], alone, strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_what_waits_is_bounded(monkeypatch):
    monkeypatch.setattr(gather, "SMALL", 10**6)
    monkeypatch.setattr(gather, "WAITING", 300)
    gatherer = Gatherer(CAMS)
    for record, gradient in arrivals():
        gatherer.add(record, gradient)
        assert sum(pair.A.numel() for pair in gatherer._waiting.values()) <= 300


def test_a_large_stage_does_not_wait(monkeypatch):
    monkeypatch.setattr(gather, "SMALL", 100)
    gatherer = Gatherer(CAMS)
    record, gradient = arrivals()[1]
    gatherer.add(record, gradient)
    assert not gatherer._waiting
    assert record in gatherer.maps()
