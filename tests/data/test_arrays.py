"""Signals, volumes and clips from files: what is read is what was written, and what cannot be read is said."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile

from sightline.data.clips import read_clip, read_frames, spread_evenly
from sightline.data.openers import find_inputs, open_input
from sightline.errors import InputError

RNG = np.random.default_rng(0)
DEPTHS = {
    "int16": (RNG.integers(-(2**15), 2**15, (50, 2), dtype=np.int16), lambda x: x / 2**15),
    "int32": (RNG.integers(-(2**31), 2**31, (50, 2), dtype=np.int32), lambda x: x / 2**31),
    "uint8": (RNG.integers(0, 256, (50, 2), dtype=np.uint8), lambda x: (x.astype(float) - 128) / 128),
    "float32": (RNG.normal(size=(50, 2)).astype(np.float32), lambda x: x),
}


@pytest.mark.parametrize("depth", list(DEPTHS))
@pytest.mark.parametrize("channels", [1, 2])
def test_sound_of_any_depth_is_between_minus_one_and_one(depth, channels, tmp_path):
    samples, scaled = DEPTHS[depth]
    samples = samples[:, :channels] if channels > 1 else samples[:, 0]
    wavfile.write(tmp_path / "a.wav", 8000, samples)
    sound = open_input(tmp_path / "a.wav")
    assert (sound.domain, sound.rate, sound.values.shape) == ("signal", 8000.0, (channels, 50))
    assert np.allclose(sound.values, scaled(samples).reshape(50, -1).T, atol=1e-6)


SHAPES = {
    (20,): ("signal", (1, 20)),
    (2, 20): ("signal", (2, 20)),
    (4, 5, 6): ("volume", (1, 4, 5, 6)),
    (2, 4, 5, 6): ("volume", (2, 4, 5, 6)),
}


@pytest.mark.parametrize("shape", list(SHAPES))
@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int16, np.uint8, np.bool_])
def test_arrays_say_by_their_axes_what_they_are(shape, kind, tmp_path):
    array = RNG.integers(0, 2, shape).astype(kind)
    np.save(tmp_path / "a.npy", array)
    read = open_input(tmp_path / "a.npy")
    assert (read.domain, read.values.shape) == SHAPES[shape]
    assert read.values.dtype == np.float32
    assert np.array_equal(read.values.reshape(shape), array.astype(np.float32))
    assert read.original_size == SHAPES[shape][1][1:]


def test_bytes_of_frames_are_a_clip(tmp_path):
    frames = RNG.integers(0, 256, (5, 6, 7, 3), dtype=np.uint8)
    np.save(tmp_path / "a.npy", frames)
    clip = open_input(tmp_path / "a.npy")
    assert clip.domain == "space-time"
    assert np.allclose(clip.values, frames.transpose(3, 0, 1, 2) / 255)
    assert clip.notes


@pytest.mark.parametrize(("name", "domain"), [("signal", "signal"), ("volume", "volume"), ("clip", "space-time")])
def test_the_name_of_an_array_says_what_it_is(name, domain, tmp_path):
    array = RNG.normal(size=(3, 50) if name == "signal" else (3, 4, 5, 6))
    np.savez(tmp_path / "a.npz", **{name: array, "rate": 25.0, "other": np.zeros(3)})
    read = open_input(tmp_path / "a.npz")
    assert (read.domain, read.rate, read.values.shape) == (domain, 25.0, array.shape)


def test_one_array_of_any_name_is_taken(tmp_path):
    np.savez(tmp_path / "a.npz", whatever=np.ones((2, 9)))
    assert open_input(tmp_path / "a.npz").domain == "signal"


BAD = {
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("no array"),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:70]),
    "objects": lambda path: np.save(path, np.array([{"a": 1}], dtype=object)),
    "words": lambda path: np.save(path, np.array(["a", "b"])),
    "nothing": lambda path: np.save(path, np.zeros((0, 3))),
    "no axes": lambda path: np.save(path, np.float32(3.0)),
    "five axes": lambda path: np.save(path, np.zeros((2, 2, 2, 2, 2))),
    "complex": lambda path: np.save(path, np.zeros((2, 9), dtype=complex)),
    "a pipe": lambda path: (path.unlink(), os.mkfifo(path)),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("damage", list(BAD))
@pytest.mark.parametrize("suffix", [".npy", ".npz", ".wav", ".mp4"])
def test_a_bad_file_is_one_sentence(damage, suffix, tmp_path):
    path = tmp_path / "good.npy"
    np.save(path, np.ones((3, 50)))
    BAD[damage](path)
    if path.is_dir() and suffix == ".npy":
        pytest.skip("a folder is searched")
    path = path.rename(tmp_path / f"bad{suffix}")
    with pytest.raises(InputError):
        open_input(path)


def test_several_arrays_without_a_known_name_are_not_guessed(tmp_path):
    np.savez(tmp_path / "a.npz", one=np.ones(3), two=np.ones(4))
    with pytest.raises(InputError, match="one, two"):
        open_input(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", signal=np.ones(3), rate=-5.0)
    with pytest.raises(InputError, match="rate"):
        open_input(tmp_path / "b.npz")


def frames_in(folder, count=12, size=(8, 6)):
    folder.mkdir()
    for number in range(count):
        Image.new("RGB", size, (20 * number, 0, 0)).save(folder / f"{number}.png")
    return folder


def test_frames_of_a_folder_come_in_the_order_of_their_numbers(tmp_path):
    clip = read_frames(frames_in(tmp_path / "clip"), frames=16)
    assert [frame.getpixel((0, 0))[0] for frame in clip.frames] == [20 * number for number in range(12)]
    assert clip.original_size == (12, 6, 8)
    few = read_frames(tmp_path / "clip", frames=4)
    assert [frame.getpixel((0, 0))[0] // 20 for frame in few.frames] == [1, 4, 7, 10]
    assert few.notes == ("4 of 12 frames, spread evenly",)


def test_frames_of_two_sizes_and_folders_without_pictures_are_refused(tmp_path):
    folder = frames_in(tmp_path / "clip", 3)
    Image.new("RGB", (9, 9)).save(folder / "1.png")
    with pytest.raises(InputError, match=r"'1\.png'"):
        read_frames(folder)
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="no pictures"):
        read_frames(tmp_path / "none")
    with pytest.raises(InputError, match="at least one frame"):
        read_frames(folder, frames=0)


@pytest.mark.parametrize(("count", "frames"), [(100, 16), (17, 16), (16, 16), (3, 16), (300, 1)])
def test_frames_are_spread_over_the_whole_clip(count, frames):
    chosen = spread_evenly(count, frames)
    assert len(chosen) == len(set(chosen)) == min(count, frames)
    parts = [int((place + 0.5) * min(count, frames) / count) for place in chosen]
    assert parts == list(range(min(count, frames)))


def test_a_video_is_read_as_it_was_written(tmp_path):
    writer = pytest.importorskip("imageio_ffmpeg").write_frames(str(tmp_path / "a.mp4"), (64, 48), fps=10)
    writer.send(None)
    for number in range(40):
        writer.send(np.full((48, 64, 3), 6 * number, np.uint8).tobytes())
    writer.close()
    clip = read_clip(tmp_path / "a.mp4", frames=8)
    assert clip.original_size == (40, 48, 64)
    assert clip.rate == pytest.approx(2.0, rel=0.02)
    levels = [np.asarray(frame).mean() for frame in clip.frames]
    assert levels == pytest.approx([6 * place for place in spread_evenly(40, 8)], abs=6)


def test_a_folder_of_photos_is_not_disturbed_by_arrays_beside_them(tmp_path):
    frames_in(tmp_path / "photos", 2)
    np.save(tmp_path / "photos" / "features.npy", np.ones((2, 9)))
    assert [path.name for path in find_inputs([tmp_path / "photos"])] == ["0.png", "1.png"]
    (tmp_path / "arrays").mkdir()
    np.save(tmp_path / "arrays" / "a.npy", np.ones((2, 9)))
    assert [path.name for path in find_inputs([tmp_path / "arrays"])] == ["a.npy"]
