"""`sightline explain CLIP` with a network of events: results, page, strip, and clips as people have them."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

pytest.importorskip("imageio_ffmpeg")

from sightline.cli.app import app
from sightline.errors import InputError, TargetError
from sightline.results import Explanations
from sightline.tasks.audiovisual.explain.clip import read_event_clip
from sightline.tasks.audiovisual.explain.posthoc import flow_maps
from sightline.tasks.audiovisual.explain.result import explained
from sightline.tasks.audiovisual.network.net import EventNet
from sightline.tasks.audiovisual.network.spec import EventSpec
from sightline.tasks.audiovisual.network.store import save_net
from sightline.tasks.audiovisual.report.page import event_page
from sightline.tasks.audiovisual.report.player import save_scene
from sightline.tasks.audiovisual.report.strip import strip
from sightline.tasks.audiovisual.world import CLASSES, HELD_OUT, Scenes, WorldConfig, scenes
from tests.data.media import film, tone, wav


@pytest.fixture(scope="module")
def scene() -> Scenes:
    return scenes(WorldConfig(), HELD_OUT, 1)


@pytest.fixture(scope="module")
def net() -> EventNet:
    torch.manual_seed(0)
    return EventNet(EventSpec(CLASSES, queries="class", width=8)).eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, scene: Scenes, net: EventNet) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    save_scene(scene, 0, folder / "scene.mkv")
    save_net(net, folder / "net.safetensors")
    return folder


def run(*arguments: object) -> object:
    return CliRunner().invoke(app, ["explain", *map(str, arguments)])


def test_a_scene_as_a_file_is_what_the_network_was_trained_on(folder: Path, scene: Scenes, net: EventNet) -> None:
    clip = read_event_clip(folder / "scene.mkv", net.spec)
    frames, spectra = scene.inputs()
    assert (clip.frames - frames).abs().max() <= 1 / 255
    whole = slice(0, 118)  # the last windows reach beyond the end of the file
    gaps = (clip.spectra - spectra).flatten(1, 2)[:, whole].abs()
    assert gaps.max() < 0.1
    assert torch.allclose(net(*clip.inputs), net(frames, spectra), atol=5e-3)


def test_the_maps_are_those_of_the_network_and_are_saved(folder: Path, net: EventNet, tmp_path: Path) -> None:
    clip = read_event_clip(folder / "scene.mkv", net.spec)
    items = explained(net, clip)
    assert len(items) == 7
    chances = [item.decision.probability for item in items]
    assert chances == sorted(chances, reverse=True)
    attended = net.attend(*clip.inputs)
    for item in items:
        assert torch.equal(item.flow["where"].values, attended.where(item.decision.index)[0])
        assert torch.equal(item.flow["when"].values, attended.when(item.decision.index)[0])
        assert item.flow["where"].domain.kind == "space-time"
    items.save(tmp_path / "saved")
    again = Explanations.load(tmp_path / "saved")
    assert torch.equal(again[3].flow["when"].values, items[3].flow["when"].values)
    assert again[0].rate == 5.0


def test_named_classes_are_explained_and_others_refused(folder: Path, net: EventNet) -> None:
    clip = read_event_clip(folder / "scene.mkv", net.spec)
    assert [item.decision.label for item in explained(net, clip, ("bar", "0"))] == ["bar", "disc"]
    with pytest.raises(TargetError, match="no event 'dics'; near names: 'disc'"):
        explained(net, clip, ("dics",))


def test_the_command_writes_page_strip_arrays_and_the_ruler(folder: Path, tmp_path: Path) -> None:
    done = run(folder / "scene.mkv", "--weights", folder / "net.safetensors", "--out", tmp_path)
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in (tmp_path / "scene").iterdir()) == [
        "arrays.safetensors",
        "manifest.json",
        "page.html",
        "strip.png",
        "summary.json",
    ]
    assert "segments  6 of 0.2 s" in done.output
    assert "it knows nothing of real clips" in re.sub(r"\s+", " ", done.output)
    summary = json.loads((tmp_path / "scene" / "summary.json").read_text())
    assert [row[3] for row in summary["segments"]] == [0, 1, 2, 3, 4, 5]


def test_the_page_holds_the_clip_and_the_maps_and_no_address(folder: Path, net: EventNet) -> None:
    clip = read_event_clip(folder / "scene.mkv", net.spec)
    items = explained(net, clip)
    page = event_page(clip, items)
    assert "media-src data:" in page
    assert not re.findall(r"https?://", page)
    data = json.loads(re.search(r'id="data">(.*?)</script>', page)[1])
    assert data["grid"] == [6, 6, 6]
    where = np.frombuffer(base64.b64decode(data["classes"][0]["where"]), "<f4")
    assert np.array_equal(where, items[0].flow["where"].values.numpy().reshape(-1))
    assert data["classes"][0]["when"] == pytest.approx(items[0].flow["when"].values.tolist(), abs=1e-6)
    film_ = base64.b64decode(re.search(r'src="data:video/webm;base64,([^"]+)"', page)[1])
    assert film_[:4] == b"\x1aE\xdf\xa3"  # Matroska


def test_without_a_network_a_clip_gets_no_event_but_its_ruler(folder: Path, tmp_path: Path) -> None:
    done = run(folder / "scene.mkv", "--out", tmp_path, "--json")
    assert done.exit_code == 0, done.output
    (record,) = json.loads(done.stdout)["photos"]
    assert record["explanations"] == []
    assert "no network was named, so the clip gets no event" in record["notes"][-1]
    assert record["files"] == ["page.html", "strip.png"]
    page = (Path(record["folder"]) / "page.html").read_text()
    assert "loudness (control)" in page
    assert "attention by segment" not in page  # there is none


def test_odd_clips_are_explained_and_broken_ones_passed_over(folder: Path, tmp_path: Path) -> None:
    files = [
        film(tmp_path / "mute.mp4"),
        wav(tmp_path / "sound.wav", np.stack([tone(440, 1.0, rate=8000)] * 2), rate=8000, width=3),
        film(tmp_path / "one.mkv", picture="testsrc=size=48x32:rate=10:duration=0.1"),
        tmp_path / "broken.mp4",
    ]
    files[-1].write_bytes(b"nothing")
    done = run(*files, "--weights", folder / "net.safetensors", "--out", tmp_path / "out", "--format", "html,png")
    assert done.exit_code == 1
    text = re.sub(r"\s+", " ", done.output)
    assert "mute.mp4: the file has no audio track" in text
    assert "2 channels of sound" in text
    assert "the clip has one frame" in text
    assert "picture one frame" in text
    assert "broken.mp4' cannot be decoded" in text
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["mute", "one", "sound"]
    assert "data:audio/webm" in (tmp_path / "out" / "sound" / "page.html").read_text()


def test_segments_without_sound_get_no_attention(net: EventNet, tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", sound="sine=frequency=440:sample_rate=16000:duration=1", more="-c:a flac")
    clip = read_event_clip(path, net.spec)
    when = explained(net, clip)[0].flow["when"].values
    assert when.shape == (10,)
    assert not when[5:].any()
    assert float(when.sum()) == pytest.approx(1.0, abs=1e-6)


def test_a_network_of_features_takes_no_clip(folder: Path) -> None:
    with pytest.raises(InputError, match="takes features, not clips"):
        read_event_clip(folder / "scene.mkv", EventSpec(("a",), picture_features=4))


@pytest.mark.browser
def until(page, condition: str) -> None:
    """Wait for a condition; asked from outside, as the page's own policy lets no text run as a program in it."""
    for _ in range(200):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"never: {condition}")


def test_one_cursor_moves_slider_curve_and_clip(folder: Path, net: EventNet, browser, tmp_path: Path) -> None:
    clip = read_event_clip(folder / "scene.mkv", net.spec)
    items = explained(net, clip)
    (tmp_path / "page.html").write_text(event_page(clip, items, flow_maps(net, clip, items)))
    page = browser.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto((tmp_path / "page.html").as_uri())
    until(page, "document.getElementById('clip').readyState >= 2")
    assert page.evaluate("document.getElementById('clip').duration") == pytest.approx(1.2, abs=0.1)
    page.fill("#time", "0.7")
    assert "segment 3 of 6" in page.inner_text("#now")
    until(page, "Math.abs(document.getElementById('clip').currentTime - 0.7) < 0.05")
    page.check("input[name=class][value='2']")
    page.check("input[name=map][value=pair]")
    half = page.locator("#beside").bounding_box()
    assert half["width"] == pytest.approx(page.locator("#where").bounding_box()["width"], abs=1)
    assert half["x"] > page.locator("#where").bounding_box()["x"] + half["width"] - 1
    blue = "(() => {const c = document.getElementById('when'); const p = c.getContext('2d'); let n = 0;"
    blue += "const d = p.getImageData(0, 0, c.width, c.height).data; let s = 0;"
    blue += "for (let i = 0; i < d.length; i += 4) { s += d[i + 2]; n += 1 } return s / n})()"
    light = page.evaluate(blue)
    page.emulate_media(color_scheme="dark")
    until(page, f"Math.abs({blue} - {light}) > 5")
    page.check("input[name=map][value=motion]")
    assert not page.locator("#beside").is_visible()
    box = page.locator("#when").bounding_box()
    page.mouse.click(box["x"] + 0.95 * box["width"], box["y"] + 10)
    assert "segment 5 of 6" in page.inner_text("#now")
    assert not errors
    page.close()


@pytest.mark.parametrize(
    "name", ["22olCB3wQaA.mp4", "nasa_13013.mp4", "cockatoo.mp4", "-1hDIl9Udkw_30.000_40.000.mp4"]
)
def test_clips_of_the_pack_are_explained_from_end_to_end(pack: Path, net: EventNet, name: str) -> None:
    clip = read_event_clip(pack / "events" / "clips" / name, net.spec)
    items = explained(net, clip)
    assert float(items[0].flow["where"].values.sum()) == pytest.approx(1.0, abs=1e-4)
    assert len(items[0].flow["when"].values) == clip.ruler.segments


@pytest.mark.parametrize("field", ["patch", "wide"])
def test_the_flow_lies_beside_the_attention_over_the_same_places(folder: Path, field: str) -> None:
    torch.manual_seed(0)
    net = EventNet(EventSpec(CLASSES, queries="class", width=8, field=field)).eval()
    clip = read_event_clip(folder / "scene.mkv", net.spec)
    items = explained(net, clip, ("bar", "ring"))
    flows = flow_maps(net, clip, items)
    assert [values.shape for values in flows] == [(6, 6, 6)] * 2
    assert not torch.allclose(flows[0], flows[1])
    page = event_page(clip, items, flows)
    data = json.loads(re.search(r'id="data">(.*?)</script>', page)[1])
    shares = np.frombuffer(base64.b64decode(data["flows"][1]), "<f4")
    assert shares.sum() == pytest.approx(1.0, abs=1e-5)
    assert 'value="flow"' in page
    assert 'value="pair"' in page
    assert 'value="flow"' not in event_page(clip, items)


@pytest.mark.parametrize(("flow", "rows"), [(None, ["attention"]), (torch.ones(6, 6, 6), ["attention", "LRP flow"])])
def test_the_strip_has_a_row_of_pictures_for_each_map_and_its_legend_below(
    folder: Path, net: EventNet, flow: torch.Tensor | None, rows: list[str]
) -> None:
    clip = read_event_clip(folder / "scene.mkv", net.spec)
    figure = strip(clip, explained(net, clip)[0], flow)
    film_, foot = figure.subfigs
    assert [pane.get_ylabel() for pane in film_.axes[::6]] == rows
    figure.canvas.draw()
    (legend,) = foot.legends
    assert not any(legend.get_window_extent().overlaps(axes.get_window_extent()) for axes in foot.axes)


def test_patches_of_another_size_make_the_ruler_and_the_maps(folder: Path) -> None:
    net = EventNet(EventSpec(CLASSES, width=8, size=48, patch=8)).eval()
    clip = read_event_clip(folder / "scene.mkv", net.spec)
    assert clip.frames.shape[-2:] == (48, 48)
    assert explained(net, clip)[0].flow["where"].values.shape == (6, 6, 6)
    assert any("6 x 6 for each picture, each 8 px" in line for line in clip.ruler.lines())
    with pytest.raises(InputError, match="has no patches of 5 px"):
        EventSpec(("a",), patch=5)
    with pytest.raises(InputError, match="not whole patches of 8 px"):
        net(torch.zeros(1, 2, 3, 36, 36), torch.zeros(1, 2, 20, 64))
