"""A map lies over the photo that the user gave, where the network looked."""

import numpy as np
import pytest
import torch
from PIL import Image

import sightline
from sightline.reports.drawing import overlay
from sightline.reports.photo import pixels_of, tensor_of
from sightline.reports.place import DIMMED
from sightline.reports.whole import over_whole
from sightline.results.original import Original

from .samples import explanation, photo, smooth
from .test_displays import pictures


def test_outside_of_the_crop_the_photo_is_dimmed():
    pixels, map_ = pixels_of(photo(40, 80)), explanation().flow[-1]
    drawn = over_whole(map_, Original(pixels, (0.25, 0.0, 0.5, 1.0)))
    assert drawn.shape == pixels.shape
    for part in (slice(0, 18), slice(62, 80)):
        assert (drawn[:, part].float() - DIMMED * pixels[:, part].float()).abs().max() <= 0.51
    inside = overlay(map_, pixels[:, 20:60].contiguous(), outlined=False)
    unlined = over_whole(map_, Original(pixels, (0.25, 0.0, 0.5, 1.0)), outlined=False)
    assert unlined[:, 20:60].equal(inside)


def test_a_photo_that_was_seen_whole_has_no_frame():
    pixels, map_ = pixels_of(photo(40, 80)), explanation().flow[-1]
    assert over_whole(map_, Original(pixels)).equal(overlay(map_, pixels))


def test_bars_beyond_the_photo_are_cut_off():
    pixels, map_ = torch.full((40, 80, 3), 90, dtype=torch.uint8), explanation().flow[-1]
    drawn = over_whole(map_, Original(pixels, (0.0, -0.5, 1.0, 2.0)), outlined=False)
    square = torch.full((80, 80, 3), 90, dtype=torch.uint8)  # bars of the photo's own colour change no mean
    assert drawn.equal(overlay(map_, square, outlined=False)[20:60])


@pytest.mark.parametrize("size", [(90, 30), (30, 90)])
def test_a_tall_or_wide_photo_is_shown_whole(size):
    height, width = size
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(),
        torch.nn.Linear(4, 2),
    )  # fmt: skip
    for parameter in net.parameters():
        torch.nn.init.constant_(parameter, 0.1)
    from sightline.models.load import LoadedModel
    from sightline.models.preprocess import Preprocess

    array = (200 + smooth(height, width, 1)[..., None].clamp(0, 1) * 55).byte().expand(-1, -1, 3).numpy()
    given = Image.fromarray(np.ascontiguousarray(array), "RGB")
    loaded = LoadedModel(net.eval(), "mine", None, Preprocess((24, 24)))
    item = sightline.explain(loaded, given, method="gradcam")[0]
    assert item.overlay().size == (width, height)
    assert item.overlay(seen=True).size == (24, 24)
    shown = pictures(item._repr_html_())
    assert "% of the picture" in item._repr_html_()
    assert {picture.width > picture.height for picture in shown} == {width > height}
    assert tensor_of(item.overlay(photo=given)).shape == (height, width, 3)
