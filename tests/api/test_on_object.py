"""Where the object is known, every map says which share of its evidence lies there."""

import pytest
import torch

import sightline
from tests.tiny import plain_inplace


def naive_share(values, mask):
    """Sum of the enlarged positive part inside the mask over its whole sum, pixel by pixel."""
    grown = torch.nn.functional.interpolate(values[None, None].clamp(min=0), mask.shape, mode="bilinear")[0, 0]
    inside = sum(float(grown[y, x]) for y in range(mask.shape[0]) for x in range(mask.shape[1]) if mask[y, x])
    return inside / float(grown.sum())


def test_each_map_of_each_sample_has_its_share_on_its_own_object_beside_that_of_an_even_map():
    torch.manual_seed(0)
    masks = torch.zeros(2, 32, 32, dtype=torch.bool)
    masks[0, :16], masks[1, :, 20:] = True, True
    inputs = torch.randn(2, 3, 32, 32)
    results = sightline.explain(
        plain_inplace().eval(), inputs, target=[0, 1], method=["gradcam", "saliency"], foreground=masks
    )
    assert len(results) == 8
    noted = 0
    for number, item in enumerate(results):
        for map_ in item.flow.maps:
            if "object" in map_.notes:
                noted += 1
                even = torch.ones_like(map_.values)
                assert map_.notes["object_area"] == pytest.approx(naive_share(even, masks[number // 4]), abs=1e-5)
                assert map_.notes["object"] == pytest.approx(naive_share(map_.values, masks[number // 4]), abs=2e-3)
    assert noted >= 8


def test_without_a_mask_there_is_no_such_note():
    item = sightline.explain(plain_inplace().eval(), torch.randn(1, 3, 32, 32), method="gradcam").one()
    assert not [map_ for map_ in item.flow.maps if {"object", "object_area"} & set(map_.notes)]
