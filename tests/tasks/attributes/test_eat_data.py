"""What `train eat` learns from: splits, twins, guides, and data that is refused in a sentence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sightline.common.settings import lasting
from sightline.errors import DataError, InputError, SightlineError, TrainingError
from sightline.worlds.aviary import World, WorldConfig
from sightline.worlds.aviary.layout import write_world
from sightline.worlds.aviary.render import render

pytest.importorskip("lightning")

from sightline.tasks.attributes.data.background_pairs import before_another
from sightline.tasks.attributes.data.pictures import gather
from sightline.tasks.attributes.data.places import NOWHERE
from sightline.tasks.attributes.recipe import EatRecipe
from sightline.tasks.attributes.train.resume import facts_of
from sightline.training.resume import checkpoint, claim_folder

TOY = EatRecipe().toy().but(scenes=40)
ROWS = "".join(
    f"p{i}.png,{'ab'[i % 2]},{i % 3},{i},{s}\n" for i, s in enumerate(["train"] * 6 + ["validation", "test"])
)


def table(root: Path, rows: str = ROWS, header: str = "file,class,stripes,length,split\n") -> Path:
    root.mkdir()
    (root / "birds.csv").write_text(header + rows)
    for i in range(8):
        Image.new("RGB", (20, 16), (30 * i, 10, 10)).save(root / f"p{i}.png")
    return root


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_world(
        World(WorldConfig(species=3, seed=1)),
        tmp_path_factory.mktemp("world") / "birds",
        45,
        size=32,
        image_format="png",
    )


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A work folder in which scenes are drawn once."""
    return tmp_path_factory.mktemp("scenes")


def test_scenes_in_memory_come_in_three_splits_that_share_none(kept: Path) -> None:
    found = gather(None, TOY.but(only=("has_bill_*",)), kept)
    assert (len(found.train), len(found.validation), len(found.test)) == (40, 40, 40)
    assert found.train.targets.shape == (40, len(found.vocabulary)) == (40, 8)
    assert not any(torch.equal(a, b) for a in found.train.images for b in found.test.images)


def test_class_targets_are_the_means_of_the_training_pictures(kept: Path) -> None:
    own = gather(None, TOY, kept)
    found = gather(None, TOY.but(targets="class"), kept)
    rows = own.train.labels == 3
    known = own.train.weights[rows].sum(0)
    mean = (own.train.targets * own.train.weights)[rows].sum(0) / known.clamp(min=1)
    at = int((found.test.labels == 3).nonzero()[0])
    assert torch.allclose(found.test.targets[at], mean)
    assert torch.equal(found.test.weights[at], (known > 0).float())


def test_twins_are_the_same_scenes_before_a_background_of_another_family(kept: Path) -> None:
    found = gather(None, TOY.but(consistency_weight=1.0), kept)
    world, scene = World(WorldConfig()), World(WorldConfig()).scene(7)
    twin = before_another(scene, world)
    assert twin.backdrop.family != scene.backdrop.family
    assert replace(twin, backdrop=scene.backdrop) == scene
    np.testing.assert_array_equal(found.train.background_pairs[7].permute(1, 2, 0).numpy(), render(twin, 32).image)


def test_twins_of_a_rendered_folder_fit_its_pictures(world: Path, tmp_path: Path) -> None:
    found = gather(world, TOY.but(consistency_weight=1.0, size=32), tmp_path).train
    inside = (found.parts > 0).repeat_interleave(2, 1).repeat_interleave(2, 2)
    edge = torch.nn.functional.max_pool2d((~inside).float()[:, None], 3, 1, 1)[:, 0] > 0
    alike = (found.images.float() - found.background_pairs.float()).abs().amax(1) <= 40
    assert alike[~edge].float().mean() > 0.9
    assert alike[~inside].float().mean() < 0.6


def test_photos_have_no_twins(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds photos, not a drawn world"):
        gather(table(tmp_path / "t"), TOY.but(consistency_weight=1.0), tmp_path)


@pytest.mark.parametrize(
    ("guide", "text"),
    [("outside_weight", "neither masks nor boxes"), ("part_weight", "masks or key points of the parts")],
)
def test_guides_need_what_they_are_made_of(tmp_path: Path, guide: str, text: str) -> None:
    with pytest.raises(TrainingError, match=text):
        gather(table(tmp_path / "t"), TOY.but(**{guide: 1.0}), tmp_path)


def test_boxes_do_for_one_guide_and_a_missing_box_is_no_box(tmp_path: Path) -> None:
    rows = ROWS.replace("\n", ",2,2,16,8\n").replace("p0.png,a,0,0,train,2,2,16,8", "p0.png,a,0,0,train,,,,")
    root = table(tmp_path / "t", rows, "file,class,stripes,length,split,x,y,width,height\n")
    found = gather(root, TOY.but(outside_weight=1.0), tmp_path)
    assert found.where == "box"
    assert bool((found.train.parts[0] == NOWHERE).all())
    assert 0 < int((found.train.parts[1] == 1).sum()) < found.train.parts[1].numel()


def test_a_class_that_nobody_shows_is_named_or_left_out(tmp_path: Path) -> None:
    rows = ROWS.replace("p7.png,b", "p7.png,owl")
    root = table(tmp_path / "t", rows)
    with pytest.raises(DataError, match=r"1 of 3 classes without a training picture: owl.*--incomplete"):
        gather(root, TOY, tmp_path)
    found = gather(root, TOY.but(incomplete=True), tmp_path)
    assert found.classes == ("a", "b")
    assert found.test is None
    assert "left out" in found.notes[-1]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"only": ("strips",)}, "no attribute or group is called 'strips'.*'stripes"),
        ({"targets": "pictures"}, "--targets is 'image' or 'class'"),
    ],
)
def test_wishes_that_the_data_cannot_fulfil_are_refused(tmp_path: Path, change: dict, text: str) -> None:
    with pytest.raises(SightlineError, match=text):
        gather(table(tmp_path / "t"), TOY.but(**change), tmp_path)


def test_no_validation_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no validation pictures"):
        gather(table(tmp_path / "t", ROWS.replace("validation", "train")), TOY.but(validation=0.0), tmp_path)


def test_a_picture_that_cannot_be_decoded_is_named_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    root = table(tmp_path / "t")
    (root / "p3.png").write_bytes((root / "p3.png").read_bytes()[:50])
    with pytest.raises(InputError, match=r"p3\.png"):
        gather(root, TOY, tmp_path / "work")
    assert not list((tmp_path / "work" / "photos").iterdir())


def test_a_damaged_mask_is_named(world: Path, tmp_path: Path) -> None:
    mask = sorted(world.glob("masks/parts/**/*.png"))[0]
    before = mask.read_bytes()
    mask.write_bytes(before[:40])
    try:
        with pytest.raises(InputError, match=f"the mask .*{mask.name}"):
            gather(world, TOY, tmp_path)
    finally:
        mask.write_bytes(before)


def test_missing_attribute_files_and_wrong_counts_are_refused(world: Path, tmp_path: Path) -> None:
    import shutil

    copy = Path(shutil.copytree(world, tmp_path / "copy"))
    labels = copy / "attributes" / "image_attribute_labels.txt"
    labels.write_text("".join(labels.read_text().splitlines(keepends=True)[:-3]))
    with pytest.raises(DataError, match="has no row for 3 of"):
        gather(copy, TOY, tmp_path)
    (copy / "attributes" / "attributes.txt").unlink()
    with pytest.raises(DataError, match=r"no attributes\.txt"):
        gather(copy, TOY, tmp_path)


def test_checkpoints_of_another_training_are_refused_and_the_text_says_what_differs(
    kept: Path, tmp_path: Path
) -> None:
    pictures = gather(None, TOY, kept)
    claim_folder(tmp_path, facts_of(pictures) | lasting(TOY))
    claim_folder(tmp_path, facts_of(pictures) | lasting(TOY.but(lr=1.0)))  # nothing was learnt yet
    checkpoint(tmp_path, "last").parent.mkdir()
    checkpoint(tmp_path, "last").touch()
    claim_folder(tmp_path, facts_of(pictures) | lasting(TOY.but(lr=1.0, threads=2, workers=5, device="gpu")))
    with pytest.raises(TrainingError, match=r"--lambda was 1\.0, is now 0\.5"):
        claim_folder(tmp_path, facts_of(pictures) | lasting(TOY.but(lr=1.0, attribute_weight=0.5)))
    with pytest.raises(TrainingError, match="--epochs was 2, is now 3"):
        claim_folder(tmp_path, facts_of(pictures) | lasting(TOY.but(lr=1.0, epochs=3)))
    other = replace(pictures, train=pictures.train.taught(1 - pictures.train.targets, pictures.train.weights))
    with pytest.raises(TrainingError, match="other training pictures"):
        claim_folder(tmp_path, facts_of(other) | lasting(TOY.but(lr=1.0)))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"precision": "bf16"}, "--precision cannot be 'bf16'; near names: 'bf16-mixed'"),
        ({"epochs": 0}, "--epochs is 0, but must be above 0"),
        ({"attribute_weight": -1.0}, "--lambda is -1.0, but cannot be negative"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(change: dict, text: str) -> None:
    with pytest.raises(TrainingError, match=text):
        EatRecipe.of(**change)
