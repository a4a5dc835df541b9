"""TIFF files of numbers are read as numpy wrote them, whatever the samples, their order and their compression."""

import numpy as np
import pytest
from PIL import Image

from sightline.data.photos import read_photo
from sightline.data.tiff import open_page
from sightline.errors import InputError
from tests.data.tiffs import write_tiff

KINDS = ("u2", "i2", "u4", "i4", "f2", "f4", "f8", "i1")
FORMS = ({}, {"order": ">"}, {"deflated": True}, {"planes": True}, {"planes": True, "deflated": True, "order": ">"})


def ramp(kind="u2", channels=3, height=4, width=5):
    values = np.arange(height * width * channels).reshape(height, width, channels) * 2
    return (values - 60 if np.dtype(kind).kind != "u" else values).astype(kind)


def grey(photo):
    return np.asarray(photo.image)[..., 0].astype(int)


@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_samples_are_those_that_were_written(tmp_path, kind, channels, form):
    write_tiff(tmp_path / "a.tif", ramp(kind, channels), **form)
    assert (open_page(tmp_path / "a.tif").samples() == ramp(kind, channels)).all()


@pytest.mark.parametrize("differences", [False, True])
@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd"])
def test_compressions_and_differences_are_undone(tmp_path, compression, differences):
    values = np.random.default_rng(0).integers(0, 2**16, (70, 33)).astype(np.uint16)
    tags = {317: 2} if differences else {}
    Image.fromarray(values).save(tmp_path / "a.tif", compression=compression, tiffinfo=tags)
    assert (open_page(tmp_path / "a.tif").samples()[..., 0] == values).all()


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("channels", [1, 3])
def test_differences_are_summed_up_within_a_tile(tmp_path, channels, order):
    values = np.random.default_rng(0).integers(0, 2**16, (40, 50, channels)).astype(np.uint16)
    write_tiff(tmp_path / "a.tif", values, tile=16, order=order)
    assert (open_page(tmp_path / "a.tif").samples() == values).all()


def test_plain_bytes_are_left_to_pillow(tmp_path):
    for mode in ("L", "RGB", "RGBA", "1", "CMYK"):
        Image.new(mode, (4, 3)).save(tmp_path / "a.tif")
        assert open_page(tmp_path / "a.tif") is None
    (tmp_path / "a.tif").write_bytes(b"II*")
    assert open_page(tmp_path / "a.tif") is None


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_colours_of_12_bits_keep_their_contrast(tmp_path, form):
    values = np.linspace(0, 4095, 3 * 1024).reshape(32, 32, 3).astype("u2")
    write_tiff(tmp_path / "a.tif", values, **form)
    photo = read_photo(tmp_path / "a.tif")
    assert (np.asarray(photo.image) == np.rint(values / 4095 * 255)).all()
    assert "4095 (white)" in photo.notes[0]


def test_opacity_counts_by_the_full_scale_of_its_type(tmp_path):
    values = np.array([[[0, 0, 0, 65535], [0, 0, 0, 32768], [0, 0, 4095, 0]]], "u2")
    write_tiff(tmp_path / "a.tif", values, tags={338: ("H", [2])})
    photo = read_photo(tmp_path / "a.tif")
    assert np.asarray(photo.image)[0].tolist() == [[0] * 3, [127] * 3, [255] * 3]
    assert any("over white" in note for note in photo.notes)


def test_a_fourth_channel_that_is_no_opacity_is_left_out_and_it_says_so(tmp_path):
    write_tiff(tmp_path / "a.tif", np.full((2, 2, 4), 9, "u1"), tags={338: ("H", [0])})
    photo = read_photo(tmp_path / "a.tif")
    assert photo.image.mode == "RGB"
    assert "holds 4 channels, of which 3 can be shown" in photo.notes[0]


def test_where_white_is_zero_the_picture_is_turned_round(tmp_path):
    write_tiff(tmp_path / "a.tif", np.array([[0, 1023]], "u2"), photometric=0)
    photo = read_photo(tmp_path / "a.tif")
    assert grey(photo).tolist() == [[255, 0]]
    assert any("greatest value is black" in note for note in photo.notes)


def test_the_file_says_what_its_largest_value_is(tmp_path):
    write_tiff(tmp_path / "a.tif", np.array([[0, 500]], "u2"), tags={281: ("H", [4000])})
    assert grey(read_photo(tmp_path / "a.tif")).tolist() == [[0, round(500 / 4000 * 255)]]
    assert grey(read_photo(tmp_path / "a.tif", white=1000)).tolist() == [[0, 128]]


def test_samples_packed_in_12_bits_are_white_at_4095(tmp_path):
    packed = bytes([0x00, 0x00, 0x00, 0x0F, 0x00, 0x01])  # 0, 0, 0x00F, 1
    tags = {256: ("I", [4]), 258: ("H", [12])}
    write_tiff(tmp_path / "a.tif", np.frombuffer(packed, "u1")[None], tags=tags)
    assert "4095 (white)" in read_photo(tmp_path / "a.tif").notes[0]


def test_missing_values_are_black_and_do_not_count(tmp_path):
    values = np.array([[-9999, 0, 50, 100]], "f4")
    write_tiff(tmp_path / "a.tif", values, tags={42113: ("H", [ord("-")])})  # replaced by text below
    data = (tmp_path / "a.tif").read_bytes()
    entry = data.index(b"\x81\xa4\x03\x00")
    text = b"-9999\0"
    data = (
        data[: entry + 2]
        + b"\x02\0"
        + len(text).to_bytes(4, "little")
        + len(data).to_bytes(4, "little")
        + (data[entry + 12 :] + text)
    )
    (tmp_path / "a.tif").write_bytes(data)
    photo = read_photo(tmp_path / "a.tif")
    assert grey(photo).tolist() == [[0, 0, round(50 / 255 * 255), 100]]
    assert any("are missing" in note for note in photo.notes)


def test_of_several_pages_the_first_is_read_and_it_says_so(tmp_path):
    write_tiff(tmp_path / "a.tif", np.array([[0, 255]], "u2"), pages=3)
    photo = read_photo(tmp_path / "a.tif")
    assert grey(photo).tolist() == [[0, 255]]
    assert "several pages: only the first is read" in photo.notes[0]


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_turned_file_is_turned_upright(tmp_path, orientation):
    values = np.arange(6).reshape(2, 3).astype("u2") * 10000
    write_tiff(tmp_path / "a.tif", values, tags={274: ("H", [orientation])})
    turned = np.rot90(values, {3: 2, 6: -1, 8: 1}[orientation])
    assert (grey(read_photo(tmp_path / "a.tif")) == np.rint(turned / 65535 * 255)).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_no_number_is_counted_in_the_error(tmp_path, value, channels):
    values = np.zeros((4, 4, channels), "f4")
    values[1, 2, 0] = value
    write_tiff(tmp_path / "holes.tif", values)
    with pytest.raises(InputError, match=rf"holes\.tif' holds 1 values that are NaN or infinite, of {values.size}"):
        read_photo(tmp_path / "holes.tif")


@pytest.mark.parametrize("values", [np.zeros((4, 4, 7), "u2"), np.zeros((4, 4, 5), "u1")], ids=["7x16", "5x8"])
def test_more_channels_than_a_picture_has_are_refused_in_a_sentence(tmp_path, values):
    write_tiff(tmp_path / "bands.tif", values, photometric=1)
    with pytest.raises(InputError, match=r"bands\.tif' holds . channels of .* bits, which is not read; save it"):
        read_photo(tmp_path / "bands.tif")


def test_a_large_picture_is_refused_before_it_is_decoded(tmp_path):
    write_tiff(tmp_path / "a.tif", np.zeros((2, 2), "u2"), tags={256: ("I", [40000]), 257: ("I", [40000])})
    with pytest.raises(InputError, match="too large"):
        read_photo(tmp_path / "a.tif")


def test_a_cut_file_is_damaged(tmp_path):
    write_tiff(tmp_path / "a.tif", ramp(height=100))
    (tmp_path / "a.tif").write_bytes((tmp_path / "a.tif").read_bytes()[:-400])
    with pytest.raises(InputError, match="damaged or cut short"):
        read_photo(tmp_path / "a.tif")
