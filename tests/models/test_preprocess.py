"""What the network sees is what torchvision's and timm's own transforms would show it."""

import time

import numpy as np
import pytest
import torch
from PIL import Image

from sightline.data.photos import Photo
from sightline.errors import InputError, ModelError
from sightline.models.preprocess import Preprocess, from_timm, from_torchvision

ROUNDING = 3.1 / 255 / 0.224
"""Three steps of 8 bits, after normalisation: two resampling passes round in another order (pillow 12: by three)."""


def smooth(width, height, seed=0):
    values = np.random.default_rng(seed).integers(0, 255, (max(2, height // 16), max(2, width // 16), 3), np.uint8)
    return Image.fromarray(values).resize((width, height), Image.Resampling.BICUBIC)


SIZES = [(400, 300), (233, 401), (224, 224), (257, 1000), (90, 100), (500, 375)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["mobilenet_v2", "inception_v3", "swin_v2_t", "vit_b_16", "efficientnet_b1"])
def test_agrees_with_torchvision(name, size):
    from torchvision.models import get_model_weights

    preset = get_model_weights(name).DEFAULT.transforms()
    picture = smooth(*size)
    assert (preset(picture) - from_torchvision(preset)(picture).inputs).abs().max() < ROUNDING


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", ["center", "squash", "border"])
@pytest.mark.parametrize(("crop", "side"), [(0.875, (224, 224)), (1.0, (384, 384)), (0.9, (192, 256))])
def test_agrees_with_timm(size, mode, crop, side):
    from timm.data import create_transform

    config = {
        "input_size": (3, *side),
        "interpolation": "bicubic",
        "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
        "crop_pct": crop,
        "crop_mode": mode,
    }
    picture = smooth(*size)
    own = from_timm(config)(picture).inputs
    assert (create_transform(**config, is_training=False)(picture) - own).abs().max() < ROUNDING


def test_the_view_is_what_is_normalised():
    prepared = Preprocess((32, 48), mean=(0.5,) * 3, std=(0.25,) * 3)(smooth(100, 60))
    assert prepared.view.shape == (3, 32, 48)
    assert 0 <= prepared.view.min() <= prepared.view.max() <= 1
    assert torch.allclose(prepared.inputs, (prepared.view - 0.5) / 0.25)


def test_a_photo_and_its_picture_give_the_same():
    picture = smooth(80, 60)
    settings = Preprocess((32, 32), resize=40)
    assert torch.equal(settings(Photo(picture, None, picture.size)).view, settings(picture).view)


@pytest.mark.parametrize("fit", ["crop", "stretch", "pad"])
@pytest.mark.parametrize("size", [(1, 1), (1, 100_000), (100_000, 1)])
def test_extreme_shapes_cost_nothing(size, fit):
    begun = time.process_time()
    prepared = Preprocess((224, 224), resize=256, fit=fit)(Image.new("RGB", size, (10, 20, 30)))
    assert time.process_time() - begun < 2
    assert prepared.view.shape == (3, 224, 224)
    assert torch.isfinite(prepared.inputs).all()


def test_grey_networks_get_one_channel():
    prepared = Preprocess((28, 28), mean=(0.1307,), std=(0.3081,))(smooth(60, 60))
    assert prepared.inputs.shape == (1, 28, 28)
    config = {"input_size": (1, 28, 28), "mean": (0.4, 0.5, 0.6), "std": (0.2, 0.2, 0.2), "crop_pct": 1.0}
    assert from_timm(config).mean == pytest.approx((0.5,))


def test_padding_shows_the_whole_photo_between_bars_of_the_mean():
    view = Preprocess((64, 64), mean=(0.5,) * 3, std=(1.0,) * 3, fit="pad")(Image.new("RGB", (100, 50), "red")).view
    assert view[:, 0, 0].tolist() == pytest.approx([128 / 255] * 3)
    assert view[:, 32, 0].tolist() == [1, 0, 0]


def test_a_changed_size_keeps_the_share_that_is_cut_off():
    assert Preprocess((224, 224), resize=256).with_(size=(112, 112), mean=None).resize == 128


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"size": (0, 5)}, "at least 1 pixel"),
        ({"mean": (0.5,)}, "mean has 1 values and std 3"),
        ({"std": (0.2, 0.0, 0.2)}, "above 0"),
        ({"interpolation": "bicubik"}, "bicubic"),
        ({"fit": "squash"}, "stretch"),
        ({"resize": 0}, "at least 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, says):
    with pytest.raises(InputError, match=says):
        Preprocess(**settings)


def test_two_channels_are_no_photo():
    with pytest.raises(ModelError, match="1 \\(grey\\) or 3"):
        Preprocess(mean=(0.5, 0.5), std=(1.0, 1.0))
