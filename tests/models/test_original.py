"""The photo in its own resolution, and what preprocessing leaves of it."""

import numpy as np
import pytest
import torch
from PIL import Image

import sightline
from sightline.data.photos import Photo
from sightline.models.original import LONGEST, original_of
from sightline.models.preprocess import Preprocess
from tests.tiny import plain_inplace


@pytest.mark.parametrize("fit", ["crop", "stretch", "pad"])
@pytest.mark.parametrize("size", [(200, 100), (90, 300), (128, 128)])
@pytest.mark.parametrize("resize", [None, 72])
def test_the_corners_of_the_crop_are_placed_at_the_corners_of_the_input(fit, size, resize):
    settings = Preprocess((64, 64), resize=resize, fit=fit)
    x, y, width, height = settings.crop(size)
    corners = (x * size[0], y * size[1], (x + width) * size[0], (y + height) * size[1])
    assert settings.placed(corners, size) == pytest.approx((0, 0, 64, 64), abs=1e-6)


def test_a_cut_photo_is_the_view_of_the_network():
    pixels = np.random.default_rng(0).integers(0, 256, (80, 160, 3), dtype=np.uint8)
    photo = Photo(Image.fromarray(pixels), None, (160, 80))
    settings = Preprocess((40, 40), resize=80, interpolation="nearest")
    x, y, width, height = (
        round(share * side) for share, side in zip(settings.crop((160, 80)), (160, 80) * 2, strict=True)
    )
    view = settings(photo).view.permute(1, 2, 0) * 255
    cut = torch.from_numpy(pixels[y : y + height, x : x + width])
    assert torch.equal(view.round().byte(), cut)


def test_large_photos_are_brought_to_what_a_page_shows():
    photo = Photo(Image.new("RGB", (3000, 1500)), None, (3000, 1500))
    original = original_of(photo, Preprocess((64, 64)))
    assert original.pixels.shape == (LONGEST // 2, LONGEST, 3)
    assert not original.whole
    assert original_of(photo, Preprocess((64, 64), fit="stretch")).whole


def test_what_is_no_photo_or_was_made_ready_by_strangers_has_none():
    assert original_of(Photo(Image.new("RGB", (9, 9)), None, (9, 9)), None) is None
    assert original_of(object(), Preprocess((64, 64))) is None


def test_explained_pictures_keep_their_original_and_tensors_have_none():
    model, picture = plain_inplace().eval(), Image.new("RGB", (90, 60), "red")
    settings = Preprocess((32, 32))
    results = sightline.explain(model, [picture, picture.rotate(90, expand=True)], preprocess=settings, target=[0, 1])
    assert [item.original.pixels.shape[:2] for item in results] == [(60, 90)] * 2 + [(90, 60)] * 2
    assert results[0].original.crop == settings.crop((90, 60))
    tensor = settings(Photo(picture, None, picture.size)).inputs[None]
    assert sightline.explain(model, tensor).one().original is None
