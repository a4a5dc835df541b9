import base64

import numpy as np
import pytest
import torch

from sightline.reports.drawing import overlay
from sightline.reports.packing import EXACT, LEVELS, level_bytes, packed, packed_difference, raw_bytes, ring_text
from sightline.reports.photo import pixels_of
from sightline.reports.scale import Scale, own_scale
from sightline.results import AttentionMap

from .samples import odd_flow, photo, smooth


def unpacked(map_):
    """What the page makes of a packed map."""
    content, limits = packed(map_, own_scale(map_)), own_scale(map_)
    if not content["levels"]:
        return torch.tensor(np.frombuffer(base64.b64decode(content["values"]), "<f4")).reshape(map_.shape)
    steps = torch.tensor(list(base64.b64decode(content["values"])), dtype=torch.float64).reshape(map_.shape)
    return limits.low + steps / content["levels"] * (limits.high - limits.low)


def large(*, signed=False, seed=5):
    return AttentionMap(smooth(48, 40, seed, signed=signed), "large", signed=signed)


@pytest.mark.parametrize("map_", odd_flow().maps, ids=lambda map_: map_.layer)
def test_raw_values_come_back_bit_for_bit(map_):
    back = np.frombuffer(base64.b64decode(raw_bytes(map_.values)), "<f4").reshape(map_.shape)
    assert np.array_equal(back, map_.values.numpy(), equal_nan=True)


def test_a_transposed_or_half_precision_map_is_written_row_by_row():
    values = torch.arange(6.0).reshape(2, 3).T.to(torch.bfloat16)
    assert np.frombuffer(base64.b64decode(raw_bytes(values)), "<f4").tolist() == [0, 3, 1, 4, 2, 5]


def test_levels_are_the_nearest_ones_row_by_row():
    text = level_bytes(torch.tensor([[0.0, 1.0], [0.5, 0.249]]).T, Scale(0.0, 1.0))
    assert list(base64.b64decode(text)) == [0, 127, 254, 63]


@pytest.mark.parametrize("signed", [False, True])
def test_large_maps_are_within_half_a_level(signed):
    map_ = large(signed=signed)
    limits = own_scale(map_)
    half = (limits.high - limits.low) / LEVELS / 2
    assert packed(map_, limits)["levels"] == LEVELS
    assert len(packed(map_, limits)["values"]) == 48 * 40 / 3 * 4
    assert (unpacked(map_) - map_.values).abs().max() <= half * 1.001


@pytest.mark.parametrize("signed", [False, True])
def test_large_maps_look_the_same(signed):
    map_, picture = large(signed=signed), pixels_of(photo(96, 128))
    back = AttentionMap(unpacked(map_), "large", signed=signed)
    shown = [overlay(one, picture, outlined=False).int() for one in (map_, back)]
    assert (shown[0] - shown[1]).abs().max() <= 9
    assert (shown[0] - shown[1]).abs().float().mean() < 1


@pytest.mark.parametrize("signed", [False, True])
def test_zero_stays_zero(signed):
    map_ = large(signed=signed)
    map_.values[:20] = 0.0
    assert (unpacked(map_)[:20] == 0.0).all()


def test_small_maps_and_maps_with_holes_travel_as_they_are():
    side = int(EXACT**0.5)
    small, holed = AttentionMap(torch.rand(side, side), "small"), AttentionMap(torch.rand(side, side + 1), "holed")
    assert torch.equal(unpacked(small), small.values)
    assert packed(holed, own_scale(holed))["levels"] == LEVELS
    holed.values[3, 3] = float("inf")
    torn = AttentionMap(holed.values, "torn")
    assert torch.equal(unpacked(torn), torn.values)
    nothing = AttentionMap(torch.zeros(side, side + 1), "zero")
    assert torch.equal(unpacked(nothing), nothing.values)


def test_a_difference_keeps_its_signs_and_its_zero():
    content = packed_difference(torch.tensor([[-0.5, 0.0], [0.25, 0.25]]).double())
    assert (content["height"], content["width"], content["reach"]) == (2, 2, 0.5)
    assert list(base64.b64decode(content["values"])) == [0, 127, 191, 191]
    assert packed_difference(torch.zeros(1, 2).double())["reach"] == 0.0


def test_corners_of_a_line_come_back_within_half_a_step():
    ring = torch.rand(50, 2, generator=torch.Generator().manual_seed(1)).double()
    content = base64.b64decode(ring_text([tuple(place) for place in ring.tolist()]))
    numbers = [int.from_bytes(content[at : at + 3], "big") for at in range(0, len(content), 3)]
    back = torch.tensor([(number // 4096, number % 4096) for number in numbers]).double() / 4095
    assert (back - ring).abs().max() <= 0.5 / 4095 + 1e-9
