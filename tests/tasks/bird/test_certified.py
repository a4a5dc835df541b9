"""Only scenes whose decision is certified to follow the cue judge an explainer."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from typer.testing import CliRunner

from sightline.cli.app import app
from sightline.compare import Settings, compare, read_samples
from sightline.errors import DataError, InputError
from sightline.models.load import LoadedModel
from sightline.models.preprocess import Preprocess
from sightline.tasks.bird.judging import Redrawn, certified_samples, cue_of
from sightline.tasks.bird.judging.certified import classes_of, cue_mask
from sightline.tasks.bird.judging.redrawn import AGREEMENT
from sightline.worlds.aviary import World, WorldConfig, render
from sightline.worlds.aviary.attributes import part_id
from sightline.worlds.aviary.layout import write_world
from sightline.worlds.aviary.rendered import read_world
from sightline.worlds.aviary.scene_certificate import Verdict, certify_scenes

pytest.importorskip("pyarrow", reason="comparisons are written with pyarrow: pip install 'sightline[audit]'")

BACKGROUND = World(WorldConfig(cue="background", species=4, seed=3))


def by_background(scenes) -> list[int]:
    """A model that decides by the background and nothing else."""
    homes = [species.home for species in BACKGROUND.species]
    return [homes.index(scene.backdrop.family) if scene.backdrop.family in homes else -1 for scene in scenes]


def test_a_model_of_the_background_is_certified_for_it_alone() -> None:
    scenes = [BACKGROUND.scene(i) for i in range(12)]
    found = certify_scenes(by_background, BACKGROUND, scenes, "background")
    assert found.certified == 12
    assert all((v.follows, v.stays, v.donors) == (8, 8, 8) for v in found.verdicts)
    assert all(BACKGROUND.scene(v.donor).species != s.species for v, s in zip(found.verdicts, scenes, strict=True))
    assert found.rate.interval[0] > 0.8
    other = certify_scenes(by_background, BACKGROUND, scenes, "foreground")
    assert other.counts == {"does not follow": 12}
    assert "in 0 of 12 scenes (0.000, 95 % interval 0.000-" in str(other)


def test_a_model_that_half_looks_elsewhere_is_not_certified() -> None:
    world = World(WorldConfig(cue="foreground", species=4, twins=0, background_correlation=1.0))
    homes = [species.home for species in world.species]

    def both(scenes) -> list[int]:
        return [s.species if homes[s.species] == s.backdrop.family else -1 for s in scenes]

    found = certify_scenes(both, world, [world.scene(i) for i in range(6)], "background")
    assert found.certified == 0


def test_a_decision_that_follows_the_cue_but_follows_all_else_too_is_not_certified() -> None:
    world = World(WorldConfig(species=4, twins=0, background_correlation=1.0, variation=0.0))
    homes = [species.home for species in world.species]

    def later_of_both(scenes) -> list[int]:
        """The later of the species that bird and background speak for: either cue alone can raise it."""
        return [max(bird_of(scene), homes.index(scene.backdrop.family)) for scene in scenes]

    def bird_of(scene) -> int:
        gaps = [
            sum(c not in (None, v) for c, v in zip(kind.code, scene.values, strict=True)) for kind in world.species
        ]
        return gaps.index(min(gaps))

    first = [scene for scene in map(world.scene, range(60)) if scene.species == 0][:5]
    found = certify_scenes(later_of_both, world, first, "background")
    assert [v.status for v in found.verdicts] == ["does not stay"] * len(first)
    assert all(v.follows == v.donors > 0 == v.stays for v in found.verdicts)


def test_a_scene_that_the_model_does_not_know_is_counted_as_such() -> None:
    def never(scenes) -> list[int]:
        return [-1] * len(scenes)

    found = certify_scenes(never, BACKGROUND, [BACKGROUND.scene(0)], "background")
    assert found.verdicts == (Verdict(0, "not known"),)

    def once(scenes) -> list[int]:
        return [s.species if s.index == 0 else -1 for s in scenes]

    assert certify_scenes(once, BACKGROUND, [BACKGROUND.scene(0)], "background").counts == {"few donors": 1}


class ByMeanColour(nn.Module):
    """Nearest mean colour of a background: a convolution and an average, so that every method takes it."""

    def __init__(self, colours: torch.Tensor) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, len(colours), 1)
        self.relu = nn.ReLU()
        with torch.no_grad():
            self.conv.weight.copy_(200 * colours[:, :, None, None])
            self.conv.bias.copy_(500 - 100 * colours.square().sum(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(self.conv(x)).mean((2, 3))


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> tuple[Path, LoadedModel]:
    """A background world of two plain families on disk, and a model that tells them apart by their colour."""
    config = WorldConfig(cue="background", species=2, seed=3, occluders=0.0, train_share=0.4)
    made = World(config)
    folder = write_world(made, tmp_path_factory.mktemp("world") / "w", 30, size=48, image_format="png")
    scenes = [render(made.scene(i), 48) for i in range(200, 260)]
    colours = [
        torch.tensor(np.mean([s.image[~s.foreground].mean(0) for s in scenes if s.scene.species == k], axis=0)) / 255
        for k in (0, 1)
    ]
    model = ByMeanColour(torch.stack(colours).float())
    return folder, LoadedModel(
        model, "colour", made.labels, Preprocess((48, 48), mean=(0.0,) * 3, std=(1.0,) * 3), {}
    )


@pytest.fixture(scope="module")
def certified(world, tmp_path_factory):
    """The world's scenes that are certified for the background, and the folder of their certificate."""
    folder, loaded = world
    out = tmp_path_factory.mktemp("certified")
    return certified_samples(loaded, folder, read_samples(folder), "background", folder=out), out


def test_a_world_on_disk_is_judged_on_its_certified_scenes(world, certified, tmp_path) -> None:
    (folder, loaded), (found, written) = world, certified
    samples = read_samples(folder)
    record = json.loads((written / "certificate.json").read_text())
    assert (record["scenes"], record["certified"]) == (len(samples), len(found.samples))
    assert len(found.samples) >= 8
    assert sum(record["counts"].values()) == len(record["verdicts"]) == len(samples)
    drawn = read_world(folder)
    for sample in found.samples:
        mask = np.asarray(Image.open(sample.mask)) > 0
        np.testing.assert_array_equal(mask, ~render(drawn.scene(sample.path), 48).foreground)
    settings = Settings(("layercam", "uniform", "random"), ("concentration",), places=("late",))
    extra = Redrawn(loaded, found, (AGREEMENT, "single-deletion"), settings)
    answer = compare(loaded, found.samples, settings, folder=tmp_path, extra=extra)
    by = {(s.method, s.metric): s.interval for s in answer.standings}
    assert by["layercam", "concentration"].low > 0
    assert by["uniform", "concentration"].mean == pytest.approx(0, abs=1e-6)
    assert by["layercam", AGREEMENT].mean > 0.1 > abs(by["random", AGREEMENT].mean)
    assert by["uniform", AGREEMENT] is None
    assert json.loads((tmp_path / "run.json").read_text())["cue"] == "background"


def test_a_cue_that_the_model_does_not_use_is_refused_with_its_counts(world, tmp_path) -> None:
    folder, loaded = world
    with pytest.raises(InputError, match=r"no explainer can be judged on foreground: .* in 0 of \d+ scenes \(0.000"):
        certified_samples(loaded, folder, read_samples(folder), "foreground", folder=tmp_path)
    assert json.loads((tmp_path / "certificate.json").read_text())["certified"] == 0


def test_another_cue_is_another_comparison(world, certified, tmp_path) -> None:
    from sightline.errors import ResultError

    loaded, found = world[1], certified[0]
    settings = Settings(("uniform", "random"), ("sparseness",), places=("late",))
    compare(loaded, found.samples, settings, folder=tmp_path, extra=Redrawn(loaded, found, (), settings))
    with pytest.raises(ResultError, match="other settings"):
        compare(loaded, found.samples, settings, folder=tmp_path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("knobs", "damaged world"),
        ("scene", r"lists .* images and .* scenes"),
        ("picture", "drawn again"),
        ("none", "not a rendered"),
    ],
)
def test_a_world_that_is_not_itself_is_refused(world, tmp_path, damage, message) -> None:
    import shutil

    source, loaded = world
    folder = shutil.copytree(source, tmp_path / "w")
    samples = read_samples(folder)
    if damage == "knobs":
        (folder / "world.json").write_text('{"knobs": {"wings": 3}}')
    if damage == "scene":
        lines = (folder / "scenes.jsonl").read_text().splitlines()
        (folder / "scenes.jsonl").write_text("\n".join(lines[:-1]))
    if damage == "picture":
        Image.new("RGB", (48, 48)).save(samples[0].path)
    if damage == "none":
        (folder / "world.json").unlink()
    with pytest.raises(DataError, match=message):
        certified_samples(loaded, folder, samples, "background", folder=tmp_path / "out")


def test_a_cue_is_named_in_any_of_its_ways_and_lies_where_it_is_seen() -> None:
    assert [cue_of(name) for name in ("wing", "part:wing", "foreground")] == ["part:wing", "part:wing", "foreground"]
    with pytest.raises(DataError, match=r"there is no cue 'wings'.*wing"):
        cue_of("wings")
    drawn = render(World().scene(4), 64)
    np.testing.assert_array_equal(cue_mask(drawn, "part:wing"), drawn.parts == part_id("wing"))
    assert (cue_mask(drawn, "background") ^ cue_mask(drawn, "foreground")).all()


def test_classes_are_matched_by_name() -> None:
    assert classes_of(["b b", "x", "001.A_a"], ["A a", "B b"]) == [2, 0]
    assert classes_of(None, ["A a", "B b"]) == [0, 1]
    with pytest.raises(InputError, match="lacks 1 of 2 species, such as 'B b'"):
        classes_of(["A a"], ["A a", "B b"])


def test_the_command_certifies_a_world_by_itself_and_says_so(tmp_path) -> None:
    folder = write_world(World(), tmp_path / "w", 60, size=128)
    wanted = ["--method", "gradcam", "--metric", "concentration", "--depth", "late"]
    command = ["evaluate", str(folder), "--count", "10", *wanted]
    done = CliRunner().invoke(app, [*command, "--out", str(tmp_path / "a"), "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["certificate"].startswith("the decision follows foreground, and it alone, in ")
    assert (tmp_path / "a" / "certificate.json").is_file()
    assert "and it alone" in (tmp_path / "a" / "comparison.html").read_text()
    none = CliRunner().invoke(app, [*command, "--out", str(tmp_path / "b"), "--cue", "none"])
    assert none.exit_code == 0, none.output
    assert "certificate: none" in none.output
    wing = CliRunner().invoke(app, [*command, "--out", str(tmp_path / "c"), "--cue", "wing"])
    assert wing.exit_code == 1
    assert "no explainer can be judged on part:wing" in wing.stderr


def test_photos_have_no_cue(tmp_path) -> None:
    Image.new("RGB", (20, 20)).save(tmp_path / "a.png")
    done = CliRunner().invoke(app, ["evaluate", str(tmp_path), "--cue", "foreground", "--out", str(tmp_path / "o")])
    assert done.exit_code == 1
    assert "not a rendered world" in done.stderr
