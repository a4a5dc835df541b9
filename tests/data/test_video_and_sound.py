"""Films and sounds as people have them: time stamps, streams, rates, channels, and every odd or broken file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sightline.data.ffmpeg import streams_of
from sightline.data.ruler import Ruler
from sightline.data.sound import Track, read_track
from sightline.data.video import Footage, read_video
from sightline.errors import InputError
from tests.data.media import ffmpeg, film, tone, wav

pytest.importorskip("imageio_ffmpeg")
SINE = "sine=frequency=440:sample_rate=16000:duration=2"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("films")


@pytest.fixture(scope="module")
def plain(folder: Path) -> Path:
    return film(folder / "plain.mp4", sound=SINE)


def silent(seconds: float = 2.0) -> Track:
    return Track(np.zeros(round(seconds * 16_000), np.float32), 16_000, None)


def footage(*times: float) -> Footage:
    return Footage(np.zeros((len(times), 4, 6, 3), np.uint8), np.array(times), None, (len(times), 4, 6))


def test_frames_come_with_their_times(plain: Path) -> None:
    found = read_video(plain)
    assert found.frames.shape == (20, 32, 48, 3)
    assert found.times == pytest.approx(np.arange(20) / 10)
    assert found.end == pytest.approx(2.0)
    assert not found.is_variable
    assert not found.notes


def test_a_variable_frame_rate_is_passed_through(folder: Path) -> None:
    path = film(folder / "variable.mkv", more="-vf setpts=if(gte(N\\,10)\\,2*PTS-1/TB\\,PTS) -fps_mode passthrough")
    found = read_video(path)
    assert found.is_variable
    assert np.diff(found.times) == pytest.approx([0.1] * 10 + [0.2] * 9, abs=2e-3)
    assert "variable frame rate: frames stay 0.100 to 0.200 s" in found.notes
    assert found.nearest(np.array([1.05, 1.19, 1.21, 99.0])).tolist() == [10, 10, 11, 19]


def test_a_picture_that_begins_late_keeps_its_times(folder: Path) -> None:
    path = folder / "late.mkv"
    ffmpeg(
        *[
            "-f",
            "lavfi",
            "-i",
            SINE,
            "-itsoffset",
            "0.5",
            "-f",
            "lavfi",
            "-i",
            "testsrc=size=48x32:rate=10:duration=1",
        ],
        str(path),
    )
    assert read_video(path).times[0] == pytest.approx(0.5, abs=2e-3)


def test_a_sound_that_begins_late_begins_with_silence(folder: Path) -> None:
    path = folder / "late_sound.mkv"
    ffmpeg(
        *[
            "-f",
            "lavfi",
            "-i",
            "testsrc=size=48x32:rate=10:duration=2",
            "-itsoffset",
            "0.5",
            "-f",
            "lavfi",
            "-i",
            SINE,
        ],
        *["-c:a", "flac", "-t", "2", str(path)],
    )
    found = read_track(path)
    assert not found.samples[:7900].any()
    assert np.abs(found.samples[8100:9000]).max() > 0.05


def test_pixels_that_are_not_square_are_made_square(folder: Path) -> None:
    path = film(folder / "wide.mp4", more="-vf setsar=2")
    assert read_video(path).frames.shape[1:3] == (32, 96)
    assert read_video(path).original_size == (20, 32, 48)


def test_large_frames_are_made_smaller_and_small_ones_stay(plain: Path) -> None:
    assert read_video(plain, side=24).frames.shape[1:3] == (16, 24)


def test_a_file_of_several_streams_says_which_is_read(folder: Path) -> None:
    path = folder / "streams.mkv"
    ffmpeg(
        *["-f", "lavfi", "-i", "testsrc=size=48x32:rate=10:duration=1", "-f", "lavfi", "-i", SINE],
        *["-f", "lavfi", "-i", "testsrc=size=24x16:rate=5:duration=1"],
        *["-map", "0", "-map", "1", "-map", "2", str(path)],
    )
    assert [one.kind for one in streams_of(path)] == ["Video", "Audio", "Video"]
    assert "2 video streams: stream 0 of the file is read" in read_video(path).notes
    assert read_video(path, stream=2).frames.shape == (5, 16, 24, 3)
    with pytest.raises(InputError, match="no video stream 1; it has 0, 2"):
        read_video(path, stream=1)
    with pytest.raises(InputError, match="no audio stream 0; it has 1"):
        read_track(path, stream=0)


@pytest.mark.parametrize("rate", [8000, 22_050, 48_000])
def test_any_rate_becomes_the_one_that_is_wanted(folder: Path, rate: int) -> None:
    sound = f"sine=frequency=440:sample_rate={rate}:duration=1"
    found = read_track(film(folder / f"r{rate}.mkv", sound=sound, more="-c:a flac"))
    assert len(found.samples) == pytest.approx(16_000, abs=40)
    assert f"sound at {rate} Hz, resampled to 16000 Hz" in found.notes
    spectrum = np.abs(np.fft.rfft(found.samples[:8000]))
    assert spectrum.argmax() * 2 == pytest.approx(440, abs=3)


def test_five_point_one_becomes_one_channel(folder: Path) -> None:
    path = film(folder / "surround.mkv", sound=SINE, more="-af pan=5.1|c2=c0 -c:a flac")
    found = read_track(path)
    assert found.original == (6, 16_000)
    assert found.samples.ndim == 1
    assert found.is_there
    assert "6 channels of sound: mixed to one" in found.notes


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_a_wav_file_of_any_depth_is_read_without_ffmpeg(tmp_path: Path, width: int, monkeypatch) -> None:
    monkeypatch.setattr("sightline.data.sound.run_ffmpeg", None)
    wave_ = tone(440, 0.25)
    found = read_track(wav(tmp_path / "a.wav", np.stack([wave_, 0 * wave_]), width=width))
    assert np.abs(found.samples - wave_ / 2).max() < 1.2 / 2 ** (8 * width - 1) + 1e-6
    assert found.original == (2, 16_000)
    assert "2 channels of sound: the mean of them is taken" in found.notes


def test_a_film_without_sound_says_so(folder: Path) -> None:
    found = read_track(film(folder / "mute.mp4"))
    assert not len(found.samples)
    assert not found.is_there
    assert found.notes == ("the file has no audio track, so nothing is known of its sound",)


def test_digital_silence_and_near_silence_are_told_apart(tmp_path: Path) -> None:
    zeros = read_track(wav(tmp_path / "zero.wav", np.zeros((1, 4000))))
    assert not zeros.is_there
    assert zeros.notes == ("the audio track is digital silence: all 4,000 samples are 0",)
    quiet = read_track(wav(tmp_path / "quiet.wav", 1e-4 * tone(440, 0.25)[None], width=3))
    assert quiet.is_there
    assert quiet.notes == ("the sound is silent: -89 dB of full scale",)


def test_levels_are_those_of_each_part(tmp_path: Path) -> None:
    samples = np.concatenate([np.full(1000, 0.1), np.zeros(1000)]).astype(np.float32)
    assert Track(samples, 1000, None).levels(1.0).tolist() == pytest.approx([-20.0, -np.inf])


def test_broken_files_are_refused_in_a_sentence(plain: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(plain.read_bytes()[:600])
    for read in (read_video, read_track):
        with pytest.raises(InputError, match="cannot be decoded: it is damaged"):
            read(broken)
    (tmp_path / "empty.mp4").write_bytes(b"")
    with pytest.raises(InputError, match=r"is empty \(0 bytes\)"):
        read_video(tmp_path / "empty.mp4")
    with pytest.raises(InputError, match="there is no file"):
        read_track(tmp_path / "missing.mp4")
    (tmp_path / "text.wav").write_text("this is no sound")
    with pytest.raises(InputError, match="damaged or not a WAV file"):
        read_track(tmp_path / "text.wav")


def test_a_sound_has_no_pictures_and_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no video track"):
        read_video(wav(tmp_path / "a.wav", tone(440, 0.25)[None]))


def test_a_name_that_begins_with_a_dash_is_no_option(plain: Path, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "-a b_0.000.mp4").write_bytes(plain.read_bytes())
    monkeypatch.chdir(tmp_path)
    assert len(read_video("-a b_0.000.mp4")) == 20


def test_a_clip_of_one_frame_lasts_as_long_as_its_sound(folder: Path) -> None:
    path = film(folder / "one.mkv", picture="testsrc=size=48x32:rate=10:duration=0.1", sound=SINE, more="-c:a flac")
    found = read_video(path)
    assert found.notes == ("the clip has one frame",)
    ruler = Ruler(found, read_track(path))
    assert ruler.segments == 10
    assert ruler.frames.tolist() == [0] * 10
    assert ruler.notes == ("the clip has one frame",)  # nothing of its sound is left out
    assert next(ruler.lines()) == "picture   one frame"


def test_a_damaged_film_that_can_be_read_says_that_it_is_damaged(tmp_path: Path) -> None:
    path = film(tmp_path / "damaged.mp4", sound="sine=frequency=440:sample_rate=16000:duration=2")
    assert not [note for note in (*read_video(path).notes, *read_track(path).notes) if "damaged" in note]
    content = bytearray(path.read_bytes())
    for place in range(len(content) // 3, 2 * len(content) // 3, 37):
        content[place] ^= 0xFF
    path.write_bytes(bytes(content))
    (picture,) = [note for note in read_video(path).notes if "damaged" in note]
    assert picture.endswith("times, so pictures may be wrong or missing")
    (sound,) = [note for note in read_track(path).notes if "damaged" in note]
    assert sound.endswith("so sound may be wrong or missing")


def test_a_folder_of_pictures_is_taken_as_25_a_second(tmp_path: Path) -> None:
    from PIL import Image

    for number in range(3):
        Image.new("RGB", (8, 6), (number, 0, 0)).save(tmp_path / f"{number}.png")
    found = read_video(tmp_path)
    assert found.times.tolist() == [0.0, 0.04, 0.08]
    assert "taken as 25 a second" in found.notes[-1]


def test_each_segment_has_the_frame_on_the_screen_in_its_middle() -> None:
    ruler = Ruler(footage(0.0, 0.35, 0.5, 0.9), silent(1.0))
    assert ruler.segments == 6  # the last frame stays as long as the median frame: to 1.25 s
    assert ruler.frames.tolist() == [0, 0, 2, 2, 3, 3]
    assert [row[3] for row in ruler.table()] == ruler.frames.tolist()


def test_the_sound_of_a_segment_is_what_lies_in_it() -> None:
    samples = np.arange(32_000, dtype=np.float32)
    ruler = Ruler(None, Track(samples, 16_000, None))
    assert ruler.segments == 10
    assert ruler.hops == 20
    assert len(ruler.samples) == 32_000 + 240
    assert ruler.samples[3200 * 4] == 12_800
    assert ruler.config.frames(len(ruler.samples)) == 200


def test_sound_longer_than_the_picture_is_cut_and_said() -> None:
    ruler = Ruler(footage(*np.arange(10) / 10), silent(1.5))
    assert ruler.segments == 5
    assert "the sound is 0.50 s longer than the picture" in ruler.notes[-1]
    short = Ruler(footage(*np.arange(10) / 10), silent(0.5))
    assert "the picture is 0.50 s longer than the sound" in short.notes[-1]
    assert short.audible.tolist() == [True, True, True, False, False]


def test_the_ruler_is_printed() -> None:
    lines = list(Ruler(footage(*np.arange(20) / 10), silent(), patch=2, size=(4, 6)).lines())
    assert [line.split()[0] for line in lines] == ["picture", "sound", "spectrum", "segments", "patches"]
    assert "10 of 0.2 s" in lines[3]
    assert "2 x 3 for each picture" in lines[4]


def test_segments_that_do_not_fit_the_spectrogram_are_refused() -> None:
    with pytest.raises(InputError, match="whole number of hops"):
        Ruler(None, silent(), seconds=0.123)


def test_every_clip_of_the_pack_is_decoded_to_its_end(pack: Path) -> None:
    seconds = {}
    for path in sorted((pack / "events" / "clips").iterdir()):
        ruler = Ruler(read_video(path, side=64), read_track(path))
        seconds[path.name] = ruler.footage.end
        assert (np.diff(ruler.footage.times) > 0).all()
        assert not any("damaged" in note for note in ruler.notes)
    assert seconds["22olCB3wQaA.mp4"] == pytest.approx(10.04, abs=0.01)
    assert seconds["0lFf-HP86Q0.mp4"] == pytest.approx(10.01, abs=0.01)
    assert seconds["cockatoo.mp4"] == pytest.approx(14.0, abs=0.01)
