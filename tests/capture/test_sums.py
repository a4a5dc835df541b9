import pytest
import torch

from sightline.capture import ChannelSum, Pair
from sightline.capture import pair as pairs
from sightline.capture.sums import reduced
from sightline.explainers import METHODS

CAMS = [method.reduction for method in METHODS.values() if isinstance(method.reduction, ChannelSum)]


def some_pair(batch: int = 2, channels: int = 7) -> Pair:
    generator = torch.Generator().manual_seed(0)
    A, G = torch.randn(2, batch, channels, 5, 4, generator=generator)
    return Pair(A, G)


@pytest.mark.parametrize("neurons", [1, 50, 80, 130])
def test_slices_of_any_size_give_the_same_maps(monkeypatch, neurons):
    whole = reduced(some_pair(), CAMS)
    monkeypatch.setattr(pairs, "SLICE", neurons)
    assert len(list(some_pair().slices())) > 1
    for part, expected in zip(reduced(some_pair(), CAMS), whole, strict=True):
        torch.testing.assert_close(part, expected, rtol=1e-5, atol=1e-5)


def test_slices_are_views_that_make_up_the_pair(monkeypatch):
    monkeypatch.setattr(pairs, "SLICE", 80)
    pair = some_pair()
    parts = list(pair.slices())
    assert torch.equal(torch.cat([part.A for part in parts], 1), pair.A)
    assert torch.equal(torch.cat([part.G for part in parts], 1), pair.G)
    assert all(part.A._base is pair.A._base or part.A._base is pair.A for part in parts)


def test_equal_summands_are_added_up_once():
    calls = []

    def summand(pair: Pair) -> torch.Tensor:
        calls.append(pair)
        return pair.A.sum(1)

    twice = [ChannelSum(summand, lambda total, pair: total), ChannelSum(summand, lambda total, pair: -total)]
    found = reduced(some_pair(), twice)
    assert len(calls) == 1
    assert torch.equal(found[0], -found[1])


def test_other_reductions_keep_their_place():
    pair = some_pair()
    plain, summed = (lambda p: p.A[:, 0]), ChannelSum(lambda p: p.A.sum(1), lambda total, p: total)
    found = reduced(pair, [summed, plain, summed])
    assert torch.equal(found[1], pair.A[:, 0])
    assert torch.equal(found[0], found[2])


def test_weights_and_places_may_be_mixed():
    pair = some_pair()
    by_weight = ChannelSum(lambda p: p.mass, lambda total, p: total)
    by_place = ChannelSum(lambda p: (p.mass[:, :, None, None] * p.A).sum(1), lambda total, p: total)
    found = reduced(pair, [by_place, by_weight])
    torch.testing.assert_close(found[0], found[1])
