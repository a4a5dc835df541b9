"""`sightline events test`: a network that ignores the sound is found out, ours or a stranger's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

pytest.importorskip("imageio_ffmpeg")

from sightline.cli.app import app
from sightline.tasks.audiovisual.metrics.clips import Sound, overlap
from sightline.tasks.audiovisual.network.net import EventNet
from sightline.tasks.audiovisual.network.spec import EventSpec
from sightline.tasks.audiovisual.network.store import save_net
from sightline.tasks.audiovisual.world import CLASSES
from tests.data.media import film

STRANGER = '''
import torch
from torch import nn

class Net(nn.Module):
    """A localiser of somebody: with `deaf` it never uses the sound."""
    deaf = False

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Sequential(nn.Conv2d(3, 6, 5, 4, 2), nn.ReLU())
        self.ear = nn.Linear(64, 6)
        self.head = nn.Linear(6, 3)

    def forward(self, frames, spectra):
        seen = self.conv(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
        audible = self.ear(spectra.mean((1, 2))).tanh()
        places = seen if self.deaf else seen * audible[:, None, :, None, None]
        return self.head(places.mean((1, 3, 4)))

class Deaf(Net):
    deaf = True

class SoundFirst(nn.Module):
    """The sound first, as samples."""
    def __init__(self):
        super().__init__()
        self.net = Net()
        self.ear = nn.Conv1d(1, 64, 400, 160)

    def forward(self, wave, frames):
        audible = self.ear(wave[:, None]).abs().mean(2)
        return self.net(frames, audible[:, None, None])

class ByName(nn.Module):
    """Named arguments, a picture as a clip, an object as output."""
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.trunk = nn.Sequential(nn.Conv3d(3, 6, (1, 4, 4), (1, 4, 4)), nn.ReLU())
        self.ear = nn.Linear(64, 6)
        self.head = nn.Linear(6, 3)

    def forward(self, *, pixel_values, input_values, attention_mask=None):
        seen = self.trunk(pixel_values)
        gate = self.ear(input_values[:, 0].mean(1)).tanh()
        return {"logits": self.head((seen * gate[:, :, None, None, None]).mean((2, 3, 4)))}

class OfBatch(nn.Module):
    """One dictionary, behind a wrapper."""
    def __init__(self):
        super().__init__()
        self.inner = ByName()

    def forward(self, frames, spectrogram):
        batch = {"pixel_values": frames.transpose(1, 2), "input_values": spectrogram[:, None]}
        return self.inner(**batch)["logits"]
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("test")
    torch.manual_seed(0)
    save_net(EventNet(EventSpec(CLASSES, width=8)).eval(), folder / "net.safetensors")
    (folder / "strangers_net.py").write_text(STRANGER)
    assert CliRunner().invoke(app, ["events", "draw", "--out", str(folder / "clips"), "--count", "2"]).exit_code == 0
    return folder


def run(*arguments: object) -> dict:
    done = CliRunner().invoke(app, ["events", "test", *map(str, arguments), "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_scenes_are_written_as_clips_named_by_their_event(folder: Path) -> None:
    names = sorted(path.name for path in (folder / "clips").iterdir())
    assert len(names) == 2
    assert all(name.rpartition("_")[2].removesuffix(".mkv") in CLASSES for name in names)


def test_on_drawn_scenes_every_sound_is_tried(folder: Path) -> None:
    found = run("--weights", folder / "net.safetensors", "--scenes", 20)
    assert [one["sound"] for one in found["sounds"]] == ["as it is", "swapped", "off screen", "silent", "shifted"]
    assert found["there"] is False  # it has not learned


def test_a_strangers_model_that_ignores_the_sound_is_found_out(folder: Path) -> None:
    clips = sorted((folder / "clips").iterdir())
    for name, deaf in (("Deaf", True), ("Net", False)):
        found = run(*clips, "--model", f"{folder / 'strangers_net.py'}:{name}", "--layers", "conv.1")["changes"]
        assert [one["sound"] for one in found] == ["chance: even map", "silent", "shifted", "swapped"] * 2
        assert all(one["ignores_sound"] for one in found if one["sound"] in ("silent", "swapped")) is deaf
        assert all(one["when"] is None for one in found)


def test_a_strangers_model_is_tested_on_drawn_scenes_beside_maps_that_use_no_sound(folder: Path) -> None:
    for name, deaf in (("Deaf", True), ("Net", False)):
        model = f"{folder / 'strangers_net.py'}:{name}"
        rows = {one["sound"]: one for one in run("--model", model, "--layer", "conv.1", "--scenes", 10)["sounds"]}
        assert list(rows) == [
            "as it is", "swapped", "off screen", "silent", "shifted", "control: even map", "control: movement"
        ]  # fmt: skip
        assert rows["control: even map"]["mass"]["mean"] == pytest.approx(rows["as it is"]["area"], rel=0.2)
        masses = [rows[sound]["mass"]["mean"] for sound in ("as it is", "silent", "swapped")]
        assert (max(masses) - min(masses) < 1e-6) is deaf
        assert rows["as it is"]["same"] == 1.0
        assert all(rows[sound]["same"] == 1.0 for sound in ("silent", "off screen")) or not deaf


@pytest.mark.parametrize(
    ("name", "layer", "takes"),
    [
        ("SoundFirst", "net.conv.1", "wave, frames"),
        ("ByName", "trunk.1", "pixel_values=clip,input_values=image"),
        ("OfBatch", "inner.trunk.1", "frames,spectrogram"),
    ],
)
def test_models_that_take_sound_and_picture_otherwise_are_tested(
    folder: Path, name: str, layer: str, takes: str
) -> None:
    model = ("--model", f"{folder / 'strangers_net.py'}:{name}", "--layer", layer, "--takes", takes)
    changes = run(*sorted((folder / "clips").iterdir()), *model)["changes"]
    assert min(one["where"] for one in changes if one["sound"] == "silent") < 0.999
    rows = {one["sound"]: one for one in run(*model, "--scenes", 10)["sounds"]}
    masses = [rows[sound]["mass"]["mean"] for sound in ("as it is", "silent", "swapped")]
    assert max(masses) - min(masses) > 1e-4


def test_the_two_forms_of_a_sound_stay_side_by_side() -> None:
    wave = torch.arange(4 * 3200 + 240).float()[None]
    sound = Sound.of(torch.arange(4.0)[None, :, None, None].expand(1, 4, 20, 64), wave)
    assert sound.wave.shape == (1, 4 * 3200)
    later = sound.shifted(1)
    assert later.spectra[0, :, 0, 0].tolist() == [3, 0, 1, 2]
    assert later.wave[0, 3200] == 0
    assert later.wave[0, 0] == 3 * 3200
    longer = Sound(sound.spectra[:, :3], sound.wave[:, : 3 * 3200]).as_long_as(sound)
    assert longer.spectra[0, :, 0, 0].tolist() == [0, 1, 2, 0]
    assert longer.wave[0, 3 * 3200] == 0
    assert longer.wave.shape == sound.wave.shape
    assert not sound.silent().wave.any()


def test_a_map_that_is_even_is_not_blamed_for_staying(folder: Path) -> None:
    net = EventNet(EventSpec(CLASSES, width=8)).eval()
    with torch.no_grad():
        net.query.weight.zero_()
        net.query.bias.zero_()
    save_net(net, folder / "even.safetensors")
    clips = sorted((folder / "clips").iterdir())
    found = run(*clips, "--weights", folder / "even.safetensors")["changes"]
    assert all(one["even"] and not one["ignores_sound"] for one in found)
    done = CliRunner().invoke(
        app, ["events", "test", *map(str, clips), "--weights", str(folder / "even.safetensors")]
    )
    assert "was even" in done.output
    assert "the sound is not used" not in done.output


def test_our_network_is_tested_on_clips(folder: Path) -> None:
    found = run(*sorted((folder / "clips").iterdir()), "--weights", folder / "net.safetensors")["changes"]
    assert len(found) == 8
    assert all(0 <= one["when"] <= 1 + 1e-6 for one in found)


def test_a_clip_without_sound_is_left_out_and_named(folder: Path, tmp_path: Path) -> None:
    clips = [*sorted((folder / "clips").iterdir()), film(tmp_path / "mute.mp4")]
    found = run(*clips, "--weights", folder / "net.safetensors")
    assert len(found["changes"]) == 8
    assert found["left_out"] == {str(clips[2]): "sound (no audio track)"}
    arguments = ["events", "test", *map(str, clips), "--weights", str(folder / "net.safetensors")]
    done = CliRunner().invoke(app, arguments)
    assert "lacks sound (no audio track) and is left out" in " ".join(done.output.split())


def test_what_cannot_be_tested_is_refused(folder: Path, tmp_path: Path) -> None:
    def error(*arguments: object) -> str:
        done = CliRunner().invoke(app, ["events", "test", *map(str, arguments)])
        assert done.exit_code == 1
        return " ".join(done.output.split())

    weights = folder / "net.safetensors"
    assert "name what is tested" in error()
    assert "lacks sound (no audio track)" in error(film(tmp_path / "mute.mp4"), "--weights", weights)
    model = ("--model", f"{folder / 'strangers_net.py'}:Net")
    assert "no form 'waves' of a picture or a sound; near names: 'wave'" in error(*model, "--takes", "frames,waves")
    assert "name one form of each" in error(*model, "--takes", "frames,clip")
    assert "does not take frames,wave of the shapes" in error(*model, "--takes", "frames,wave")


def test_overlap_is_one_for_the_same_and_nothing_for_maps_apart() -> None:
    one = torch.rand(3, 4)
    assert overlap(one, 7 * one) == pytest.approx(1.0)
    assert overlap(torch.eye(2), 1 - torch.eye(2)) == 0.0
