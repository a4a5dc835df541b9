import sys

import pytest
import torch
from PIL import Image
from torch.nn.functional import interpolate

from sightline.errors import MissingExtraError, ResultError
from sightline.reports import frames, save_animation
from sightline.reports.animation import MOST_STAGES
from sightline.results import AttentionMap, Flow

from .samples import explanation, flow, gallery, odd_flow, photo, smooth


def test_gif_holds_every_stage_and_fades_between_them(tmp_path):
    path = save_animation([explanation()], tmp_path / "walk.gif", size=64, hold=0.5, fade=0.24)
    times = []
    with Image.open(path) as picture:
        for number in range(picture.n_frames):
            picture.seek(number)
            times.append(picture.info["duration"])
    assert times == [500, 80, 80, 80, 500, 80, 80, 80, 1000]
    assert list(tmp_path.iterdir()) == [path]


def test_frames_fade_from_one_stage_into_the_next():
    first, middle, last = (
        torch.tensor(list(frame.picture.getdata())).float()
        for frame in frames([explanation(Flow(flow().maps[:2], "m"))], size=64, fade=0.08)
    )
    width, height = next(frames([explanation()], size=64)).picture.size
    rows = slice(70 * width, (height - 90) * width)
    mixed = (first[rows] + last[rows]) / 2
    assert (middle[rows] - mixed).abs().max() <= 1.5
    assert (first[rows] - last[rows]).abs().max() > 20


@pytest.mark.parametrize("shape", [(33, 47), (28, 28), (5, 200), (200, 5)])
def test_sides_are_even_for_video(shape):
    for items in ([explanation(image=photo(*shape))], gallery()[:3]):
        assert all(side % 2 == 0 for side in next(frames(items)).picture.size)


def test_several_methods_are_panels_side_by_side():
    one = next(frames([explanation()], size=100)).picture
    three = next(frames(gallery()[:3], size=400)).picture
    assert three.width > one.width


def test_many_stages_are_spread_and_one_stage_is_one_frame():
    deep = Flow(tuple(AttentionMap(smooth(4, 4, n), f"s{n}") for n in range(100)), "m")
    assert len(list(frames([explanation(deep)], size=32, fade=0))) == MOST_STAGES
    still = Flow((AttentionMap(smooth(4, 4, 0), "only"),), "m")
    assert len(list(frames([explanation(still)], size=32))) == 1


def test_odd_maps_and_no_photo_are_drawn():
    from dataclasses import replace

    assert len(list(frames([explanation(odd_flow())], size=48, fade=0))) == 4
    assert len(list(frames([replace(explanation(), image=None)], size=48, fade=0))) == 3


def test_mp4_can_be_read_again(tmp_path):
    encoder = pytest.importorskip("imageio_ffmpeg", reason="imageio-ffmpeg is not installed (extra 'video')")
    path = save_animation([explanation()], tmp_path / "walk.mp4", size=64, hold=0.4, fade=0.2)
    reader = encoder.read_frames(str(path))
    facts = next(reader)
    count = sum(1 for _ in reader)
    expected = next(frames([explanation()], size=64)).picture.size
    assert facts["size"] == expected
    assert facts["codec"] == "h264"
    assert count == 10 + 5 + 10 + 5 + 20
    assert list(tmp_path.iterdir()) == [path]


def test_without_its_encoder_mp4_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(MissingExtraError, match=r"sightline\[video\]"):
        save_animation([explanation()], tmp_path / "walk.mp4")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_animated_is_refused(tmp_path):
    with pytest.raises(ResultError, match=r"\.gif, \.webp or \.mp4"):
        save_animation([explanation()], tmp_path / "walk.avi")
    with pytest.raises(ResultError, match="there are 2"):
        frames(gallery())
    with pytest.raises(ResultError, match="at most 9 panels"):
        frames([explanation(label=f"{n}") for n in range(10)])
    with pytest.raises(ResultError, match="hold=0"):
        frames([explanation()], hold=0)
    with pytest.raises(ResultError, match="cannot write"):
        save_animation([explanation()], tmp_path / "missing" / "walk.gif", size=32)
    assert not list(tmp_path.iterdir())


def still(count, detail=64):
    """A flow of maps over a photo with much detail."""
    maps = tuple(AttentionMap(smooth(14, 14, number), f"layer{number}") for number in range(count))
    rough = torch.rand(3, detail, detail, generator=torch.Generator().manual_seed(1))
    return explanation(Flow(maps, "lrp"), image=interpolate(rough[None], (224, 224), mode="bilinear")[0])


def test_a_gif_of_nineteen_layers_is_small(tmp_path):
    path = save_animation([still(19, detail=6)], tmp_path / "walk.gif")
    assert path.stat().st_size < 1_500_000
    with Image.open(path) as picture:
        assert picture.n_frames > 19


def test_a_gif_that_would_be_heavy_loses_its_cross_fades_but_no_layer_and_no_time(tmp_path):
    path = save_animation([still(19)], tmp_path / "walk.gif")
    seconds = sum(frame.seconds for frame in frames([still(19)]))
    with Image.open(path) as picture:
        assert picture.n_frames == 19
        times = []
        for number in range(19):
            picture.seek(number)
            times.append(picture.info["duration"])
    assert sum(times) == pytest.approx(1000 * seconds, abs=200)


def test_a_gif_keeps_the_colours_of_its_frames(tmp_path):
    path = save_animation([still(3)], tmp_path / "walk.gif")
    first = next(iter(frames([still(3)]))).picture
    with Image.open(path) as picture:
        shown = torch.tensor(list(picture.convert("RGB").tobytes())).float()
    assert (shown - torch.tensor(list(first.tobytes())).float()).abs().mean() < 6


def test_webp_holds_the_same_frames_and_is_smaller(tmp_path):
    item = still(5)
    gif, webp = (save_animation([item], tmp_path / f"walk.{kind}") for kind in ("gif", "webp"))
    with Image.open(gif) as one, Image.open(webp) as other:
        assert other.n_frames == one.n_frames
        assert other.size == one.size
    assert webp.stat().st_size < gif.stat().st_size
