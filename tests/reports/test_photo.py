import base64
import io
import math

import pytest
import torch
from PIL import Image

from sightline.errors import ResultError
from sightline.reports.photo import LARGEST_PNG, blank, data_uri, fit, pixels_of, tensor_of, thumbnail_uri

from .samples import photo


def opened(address):
    return Image.open(io.BytesIO(base64.b64decode(address.split(",", 1)[1])))


def test_pixels_come_back_from_a_data_address():
    pixels = pixels_of(photo())
    assert data_uri(pixels).startswith("data:image/png;base64,")
    assert torch.equal(tensor_of(opened(data_uri(pixels))), pixels)


def test_a_heavy_picture_becomes_a_jpeg():
    pixels = torch.randint(0, 256, (600, 600, 3), generator=torch.Generator().manual_seed(0)).byte()
    address = data_uri(pixels)
    assert address.startswith("data:image/jpeg")
    assert pixels.numel() > LARGEST_PNG


def test_pixels_keep_their_place_and_channel():
    image = torch.zeros(3, 2, 4)
    image[1, 0, 3] = 1.0
    assert pixels_of(image).nonzero().tolist() == [[0, 3, 1]]


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_other_numbers_of_channels_are_grey(channels):
    pixels = pixels_of(torch.full((channels, 2, 3), 0.5))
    assert pixels.shape == (2, 3, 3)
    assert pixels.unique().tolist() == [128]


def test_values_out_of_range_are_clipped_and_nan_is_black():
    pixels = pixels_of(torch.tensor([-1.0, 2.0, math.nan]).expand(3, 1, 3))
    assert pixels[0, :, 0].tolist() == [0, 255, 0]


@pytest.mark.parametrize("shape", [(2, 3), (3, 0, 4)])
def test_no_picture_is_refused_with_its_shape(shape):
    with pytest.raises(ResultError, match=str(shape[-1])):
        pixels_of(torch.zeros(shape))


def test_fit_shrinks_and_enlarges_only_if_asked():
    pixels = pixels_of(photo(48, 64))
    assert fit(pixels, 32).shape == (24, 32, 3)
    assert fit(pixels, 128).shape == (48, 64, 3)
    assert fit(pixels, 128, enlarge=True).shape == (96, 128, 3)
    assert blank((7, 14)).shape == (112, 224, 3)


def test_thumbnails_of_thin_pictures_keep_a_pixel():
    assert opened(thumbnail_uri(pixels_of(photo(1, 900)))).size == (112, 1)
