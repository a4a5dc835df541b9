"""Odd but valid pictures are read right; bad ones are one clear error."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sightline.data import photos
from sightline.data.photos import find_photos, read_photo
from sightline.errors import InputError


def colours(height=12, width=20):
    """A picture whose four quarters differ, so that turning and mirroring show."""
    values = np.zeros((height, width, 3), np.uint8)
    values[: height // 2, : width // 2] = (250, 10, 20)
    values[: height // 2, width // 2 :] = (20, 240, 30)
    values[height // 2 :, : width // 2] = (30, 20, 230)
    return Image.fromarray(values)


def pixels(photo):
    return np.asarray(photo.image).astype(int)


def png(width, height, depth, colour, rows=b""):
    """A PNG written by hand; with no rows it is a header only."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_a_plain_picture_comes_as_it_is(tmp_path):
    colours().save(tmp_path / "a.png")
    photo = read_photo(tmp_path / "a.png")
    assert photo.image.mode == "RGB"
    assert (pixels(photo) == np.asarray(colours())).all()
    assert (photo.size, photo.original_size, photo.notes, photo.name) == ((20, 12), (20, 12), (), "a")


@pytest.mark.parametrize("name", ["grey.png", "grey.tif"])
def test_16_bit_grey_is_scaled_not_clipped(tmp_path, name):
    Image.fromarray(np.array([[0, 257, 32768], [40000, 65278, 65535]], np.uint16)).save(tmp_path / name)
    photo = read_photo(tmp_path / name)
    assert pixels(photo)[..., 0].tolist() == [[0, 1, 128], [156, 254, 255]]
    assert "scaled to 8 bits" in photo.notes[0]


@pytest.mark.parametrize(("colour", "channels"), [(2, 3), (4, 2), (6, 4)], ids=["RGB", "grey and alpha", "RGBA"])
def test_12_bits_in_a_16_bit_png_keep_their_contrast(tmp_path, colour, channels):
    values = np.linspace(0, 4095, 256).astype(">u2")[:, None].repeat(channels, 1)
    values[:, 3 if channels == 4 else 1] = 65535 if channels != 3 else values[:, 0]
    (tmp_path / "a.png").write_bytes(png(256, 1, 16, colour, b"\0" + values.tobytes()))
    photo = read_photo(tmp_path / "a.png")
    assert (pixels(photo)[0] == np.rint(values[:, :1] / 4095 * 255)).all()
    assert "4095 (white)" in photo.notes[0]


def test_16_bit_rgb_is_scaled_not_clipped(tmp_path):
    rows = b"\0" + struct.pack(">6H", 65535, 32768, 256, 0, 1000, 60000)
    (tmp_path / "rgb16.png").write_bytes(png(2, 1, 16, 2, rows))
    assert pixels(read_photo(tmp_path / "rgb16.png")).tolist() == [[[255, 128, 1], [0, 4, 233]]]


@pytest.mark.parametrize(
    ("top", "white"), [(1.0, 1.0), (200.0, 255.0), (9000.0, 16383.0)], ids=["0..1", "0..255", "14 bits"]
)
def test_floats_are_scaled_by_the_full_scale_that_holds_them(tmp_path, top, white):
    Image.fromarray(np.array([[0.0, top / 2, top]], np.float32)).save(tmp_path / "f.tif")
    assert pixels(read_photo(tmp_path / "f.tif"))[0, 2, 0] == round(top / white * 255)


def test_grey_and_bilevel_become_rgb(tmp_path):
    for mode in ("L", "1"):
        colours().convert(mode).save(tmp_path / f"{mode}.png")
        photo = read_photo(tmp_path / f"{mode}.png")
        assert (pixels(photo) == np.asarray(colours().convert(mode).convert("RGB"))).all()


def test_cmyk_keeps_its_colours(tmp_path):
    colours().convert("CMYK").save(tmp_path / "c.tif")
    photo = read_photo(tmp_path / "c.tif")
    assert np.abs(pixels(photo) - np.asarray(colours())).max() <= 2
    assert "CMYK" in photo.notes[0]


def test_cmyk_jpeg_is_not_inverted(tmp_path):
    Image.new("RGB", (16, 16), (200, 60, 30)).convert("CMYK").save(tmp_path / "c.jpg", quality=95)
    assert np.abs(pixels(read_photo(tmp_path / "c.jpg"))[8, 8] - (200, 60, 30)).max() <= 6


def test_a_palette_with_alpha_lies_over_white_and_says_so(tmp_path):
    picture = Image.new("P", (4, 1))
    picture.putpalette([0, 0, 0, 200, 0, 0])
    picture.putdata([0, 1, 1, 0])
    picture.save(tmp_path / "p.png", transparency=0)
    photo = read_photo(tmp_path / "p.png")
    assert pixels(photo)[0].tolist() == [[255] * 3, [200, 0, 0], [200, 0, 0], [255] * 3]
    assert "over white" in photo.notes[0]


def test_half_transparent_is_mixed_and_an_opaque_alpha_is_not_mentioned(tmp_path):
    Image.new("RGBA", (2, 2), (0, 0, 0, 128)).save(tmp_path / "half.png")
    Image.new("RGBA", (2, 2), (9, 9, 9, 255)).save(tmp_path / "full.png")
    assert pixels(read_photo(tmp_path / "half.png"))[0, 0].tolist() == [127] * 3
    assert read_photo(tmp_path / "full.png").notes == ()


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png", "a.tif"])
def test_of_several_frames_the_first_is_read_and_it_says_so(tmp_path, name):
    first, second = Image.new("RGB", (9, 7), "red"), Image.new("RGB", (9, 7), "blue")
    first.save(tmp_path / name, save_all=True, append_images=[second], lossless=True)
    photo = read_photo(tmp_path / name)
    assert pixels(photo)[3, 3].tolist() == [255, 0, 0]
    assert "only the first is read" in photo.notes[0]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(tmp_path, orientation):
    turn = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = colours() if orientation == 1 else colours().transpose(turn[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "turned.png", exif=exif)
    photo = read_photo(tmp_path / "turned.png")
    assert (pixels(photo) == np.asarray(colours())).all()
    assert photo.original_size == stored.size
    assert bool(photo.notes) == (orientation != 1)


@pytest.mark.parametrize("size", [(1, 1), (1, 60000), (60000, 1)])
def test_one_pixel_and_long_and_thin_pictures_are_read(tmp_path, size):
    Image.new("RGB", size, (1, 2, 3)).save(tmp_path / "s.png")
    assert read_photo(tmp_path / "s.png").size == size


def test_names_with_blanks_and_other_letters_are_read(tmp_path):
    folder = tmp_path / "été 日本"
    folder.mkdir()
    colours().save(folder / "ein Bär 熊.PNG")
    assert read_photo(folder / "ein Bär 熊.PNG").name == "ein Bär 熊"
    assert find_photos([tmp_path]) == [folder / "ein Bär 熊.PNG"]


def bad_files(tmp_path: Path) -> dict[str, Path]:
    """One file of each kind of badness."""
    colours(64, 64).resize((400, 400)).save(tmp_path / "whole.jpg")
    whole = (tmp_path / "whole.jpg").read_bytes()
    contents = {
        "text.png": b"this is no picture",
        "empty.jpg": b"",
        "cut.jpg": whole[: len(whole) // 2],
        "cut.png": png(50, 50, 8, 2, b"\0" * 200)[:60],
        "bomb.png": png(20000, 20000, 1, 0),
        "large.png": png(13000, 13000, 1, 0),
        "none.png": png(50, 50, 8, 2, b"\0" * 20),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    Image.new("RGB", (8, 8)).save(tmp_path / "other.png", "PPM")
    holes = np.full((4, 4), np.nan, np.float32)
    Image.fromarray(holes).save(tmp_path / "nan.tif")
    return {name: tmp_path / name for name in (*contents, "other.png", "nan.tif", "missing.png")}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("missing.png", "there is no file"),
        ("text.png", "not an image file of a known format"),
        ("other.png", "not an image file of a known format"),
        ("empty.jpg", "0 bytes"),
        ("cut.jpg", "damaged or cut short"),
        ("cut.png", "damaged or cut short"),
        ("none.png", "damaged or cut short"),
        ("nan.tif", "NaN"),
        ("bomb.png", "too large"),
        ("large.png", "13000 x 13000"),
    ],
)
def test_a_bad_file_is_one_clear_error(tmp_path, name, says):
    path = bad_files(tmp_path)[name]
    with pytest.raises(InputError) as caught:
        read_photo(path)
    assert says in str(caught.value)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_pixel_limit_is_our_own_and_is_asked_before_decoding(tmp_path, monkeypatch):
    colours().save(tmp_path / "a.png")
    monkeypatch.setattr(photos, "MAX_PIXELS", 100)
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(InputError, match="too large"):
        read_photo(tmp_path / "a.png")


def test_a_missing_file_names_what_is_near(tmp_path):
    colours().save(tmp_path / "bird_one.png")
    with pytest.raises(InputError, match=r"bird_one\.png"):
        read_photo(tmp_path / "bird_on.png")


def test_a_folder_is_searched_in_order_in_any_case_without_hidden_files(tmp_path):
    for name in ("b.JPG", "a.png", "sub/c.Tiff", ".hidden.png", ".cache/d.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = find_photos([tmp_path, tmp_path / "a.png"])
    assert [path.relative_to(tmp_path).as_posix() for path in found] == ["a.png", "b.JPG", "sub/c.Tiff"]


def test_an_empty_folder_and_a_folder_as_a_photo_are_errors(tmp_path):
    with pytest.raises(InputError, match="holds no picture"):
        find_photos([tmp_path])
    with pytest.raises(InputError, match="is a folder"):
        read_photo(tmp_path)
