"""What is black and what is white, in pictures of more than 8 bits."""

import numpy as np
import pytest
from PIL import Image

from sightline.data.levels import Levels
from sightline.data.photos import read_photo
from sightline.errors import InputError


def levels(low, high, kind, **wishes):
    return Levels(**wishes).of(np.array([low, high], kind))


@pytest.mark.parametrize(
    ("low", "high", "kind", "expected"),
    [
        (0, 1000, "u2", (0, 1023)),
        (0, 1024, "u2", (0, 4095)),
        (5, 4095, "u2", (0, 4095)),
        (0, 16000, "u2", (0, 16383)),
        (0, 20000, "u2", (0, 65535)),
        (0, 65536, "i4", (0, 65536)),
        (0, 200, "u2", (0, 255)),
        (0, 3, "u2", (0, 3)),
        (0, 0, "u2", (0, 255)),
        (-1000, 3000, "i4", (-1000, 3000)),
        (-1, 1, "f4", (-1, 1)),
        (-20, -10, "f8", (-20, -10)),
        (0, 0.8, "f4", (0, 1)),
        (0, 0.01, "f4", (0, 0.01)),
        (0, 240.5, "f4", (0, 255)),
        (0, 4000, "f4", (0, 4095)),
    ],
)
def test_white_is_the_smallest_usual_scale_that_holds_every_value(low, high, kind, expected):
    assert levels(low, high, kind) == pytest.approx(expected)


def test_what_the_user_says_goes_before_everything():
    assert levels(0, 3000, "u2", white=65535) == (0, 65535)
    assert levels(-1000, 3000, "i4", black=-160, white=240) == (-160, 240)
    assert levels(100, 4000, "u2", black=100) == (100, 4095)


@pytest.mark.parametrize(
    ("wishes", "says"),
    [
        ({"white": float("nan")}, "finite"),
        ({"black": float("inf")}, "finite"),
        ({"white": 5, "black": 5}, "greater"),
        ({"black": 9000}, "nothing lies between"),
    ],
)
def test_levels_that_are_none_are_refused(wishes, says):
    with pytest.raises(InputError, match=says):
        levels(0, 4000, "u2", **wishes)


@pytest.mark.parametrize("value", [0, 7, -7])
@pytest.mark.parametrize("kind", ["i4", "f4"])
def test_a_picture_of_one_value_is_read(value, kind):
    assert Levels().scaled(np.full((3, 3), value, kind), []).shape == (3, 3)


def test_what_is_cut_off_is_said():
    notes = []
    pixels = Levels(black=100, white=200).scaled(np.array([0, 100, 150, 200, 300]), notes)
    assert pixels.tolist() == [0, 0, 128, 255, 255]
    assert notes[1] == "40.0% of the values lie outside of that and were cut off"


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_a_camera_of_any_depth_keeps_its_contrast(tmp_path, suffix, bits):
    values = np.linspace(0, 2**bits - 1, 4096).reshape(64, 64).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / f"a.{suffix}")
    grey = np.asarray(read_photo(tmp_path / f"a.{suffix}").image)[..., 0]
    assert (grey == np.rint(values / (2**bits - 1) * 255)).all()


def test_plain_bytes_are_scaled_only_where_the_user_asks(tmp_path):
    Image.fromarray(np.array([[0, 64, 128]], np.uint8)).save(tmp_path / "a.png")
    assert np.asarray(read_photo(tmp_path / "a.png").image)[0, :, 0].tolist() == [0, 64, 128]
    assert np.asarray(read_photo(tmp_path / "a.png", white=128).image)[0, :, 0].tolist() == [0, 128, 255]
