"""Fine-tuning keeps the epoch that pictures put aside prefer; the start from the probe counts among them."""

import json
from collections import Counter
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from sightline.errors import TrainingError
from sightline.models.zoo.cifar_names import cifar_net
from sightline.tasks.classification.command import _tell
from sightline.tasks.classification.data.aside import TOO_FEW, with_validation
from sightline.tasks.classification.data.formats import list_folder
from sightline.tasks.classification.data.pictures import Pictures
from sightline.tasks.classification.recipe import ClassifyRecipe
from sightline.tasks.classification.train import train_classify
from sightline.training.callbacks import kept_epoch, net_weights
from sightline.training.reporter import Reporter
from sightline.training.resume import as_now
from sightline.training.standing import surely_lower
from tests.tasks.classification.tints import tinted


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> ClassifyRecipe:
    file = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    torch.manual_seed(1)
    net = cifar_net("cifar-resnet8", 2, widths=(8, 8, 8))
    save_file({k: v.contiguous() for k, v in net.state_dict().items()}, file)
    return ClassifyRecipe().toy().but(epochs=2, weights=str(file), model_args={"widths": (8, 8, 8)})


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    return tinted(tmp_path_factory.mktemp("photos"), 20)


def pictures(labels, keys=()) -> Pictures:
    rows = torch.arange(len(labels))
    images = torch.zeros(len(labels), 3, 4, 4, dtype=torch.uint8)
    names = tuple(map(str, range(max(labels) + 1)))
    return Pictures(images, torch.tensor(labels), rows[:-2], rows[-2:], names, (0.5,), (0.2,), "", keys=keys)


def test_a_training_that_ruins_the_weights_ends_as_its_probe(recipe, photos, tmp_path, capsys):
    out, wild = (
        tmp_path / "net.safetensors",
        {"lr": 30.0, "trunk_lr_factor": 1.0, "warm_up": 0, "head_lr_factor": 1.0},
    )
    own = train_classify(photos, out, recipe.but(**wild))
    last = train_classify(photos, tmp_path / "last.safetensors", recipe.but(keep="last", **wild))
    probe = json.loads((tmp_path / "net.work" / "probe.json").read_text())
    assert own.kept == 0
    assert list(own.right) == probe["right"]
    assert probe["pictures"] == 40
    assert not own.control.alarm
    assert "test accuracy, the start, which no epoch beats" in out.with_suffix(".md").read_text()
    assert last.kept is None
    assert last.accuracy < own.accuracy
    for outcome, words, chosen_by_test in ((own, own.when, False), (last, "last epoch", True)):
        _tell(outcome, as_json=False)
        text = " ".join(capsys.readouterr().out.split())
        assert f"test accuracy, {words}: {outcome.accuracy:.4f}" in text
        assert ("the test pictures themselves chose" in text) is chosen_by_test
    assert "test accuracy, last epoch" in (tmp_path / "last.md").read_text()


def test_the_kept_epoch_is_written_and_named(recipe, photos, tmp_path):
    out = tmp_path / "net.safetensors"
    losses = []
    reporter = Reporter(epoch=lambda number, row: losses.append(row["val/loss"]))
    asked = recipe.but(lr=0.03, trunk_lr_factor=1.0, epochs=6, warm_up=0, head_start="built")
    own = train_classify(photos, out, asked, reporter=reporter)
    best = tmp_path / "net.work" / "checkpoints" / "best.ckpt"
    assert own.kept == kept_epoch(best) == 1 + losses.index(min(losses))
    written = load_file(out)
    assert all(torch.equal(written[name], value) for name, value in net_weights(best).items())
    card = out.with_suffix(".md").read_text()
    assert f"test accuracy, epoch {own.kept}, of the lowest validation loss" in card
    assert "8 of 40 training pictures are put aside" in card
    assert "optimistic" not in card


def test_a_loss_that_is_lower_by_chance_does_not_replace_the_start():
    draw = torch.Generator().manual_seed(0)
    start = torch.rand(36, generator=draw)
    noise = torch.randn(36, generator=draw)
    noise = (noise - noise.mean()) / noise.std()
    assert not surely_lower(start - 0.1 * noise - 0.01, start)  # a standard error is 0.1 / 6
    assert surely_lower(start - 0.1 * noise - 0.02, start)


def test_only_given_weights_that_are_fine_tuned_put_pictures_aside():
    given = ClassifyRecipe().but(weights="some.safetensors")
    assert given.settled().loop.keep == "best"
    assert given.but(frozen=True).settled().loop.keep == "last"
    assert given.but(keep="last").settled().loop.keep == "last"
    assert ClassifyRecipe().settled().loop.keep == "last"
    assert ClassifyRecipe().but(keep="best").settled().loop.keep == "best"


def test_each_class_has_its_share_put_aside_and_keeps_one_to_learn_from():
    own = with_validation(pictures([0] * 10 + [1] * 5 + [2] + [0, 1]), 0.2)
    assert Counter(own.labels[own.val].tolist()) == {0: 2, 1: 1}
    assert sorted([*own.val.tolist(), *own.train.tolist()]) == list(range(16))
    assert torch.equal(own.judging, own.val)
    assert not set(own.val.tolist()) & set(own.test.tolist())


def test_names_decide_what_is_put_aside_and_groups_stay_whole():
    labels, keys = [0, 1] * 6, tuple("aabbccddeeff")
    own = with_validation(pictures(labels, keys), 0.4)
    aside = {keys[row] for row in own.val.tolist()}
    assert aside
    assert not aside & {keys[row] for row in own.train.tolist()}
    names = tuple(f"{at}.png" for at in range(12))
    order = [*range(9, -1, -1), 10, 11]
    turned = with_validation(pictures([labels[at] for at in order], tuple(names[at] for at in order)), 0.4)
    straight = with_validation(pictures(labels, names), 0.4)
    assert {names[order[row]] for row in turned.val.tolist()} == {names[row] for row in straight.val.tolist()}


def test_too_few_pictures_keep_the_last_epoch():
    own = with_validation(pictures([0, 1, 0, 1]), 0.2)
    assert not len(own.val)
    assert torch.equal(own.judging, own.test)
    assert TOO_FEW in own.notes


def test_a_listing_names_its_pictures_or_their_groups(tmp_path):
    for name in ("x/1.png", "x/2.png", "x/3.png", "y/1.png", "y/2.png", "y/3.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    assert list_folder(tmp_path, 0.3).keys[0] == "x/1.png"
    rows = "\n".join(f"{c}/{n}.png,{c},{p}" for c in "xy" for n, p in zip("123", "ppq", strict=True))
    (tmp_path / "labels.csv").write_text(f"file,class_name,patient\n{rows}\n")
    assert list_folder(tmp_path, 0.3, "patient").keys == tuple("ppqppq")


def test_a_training_from_before_goes_on_with_its_last_epoch_only():
    before = {"--epochs": 3, "--validation-share": 0.2}
    assert as_now(before, {"--epochs", "--validation-share", "--keep"})["--keep"] == "last"


def test_several_labels_refuse_to_keep_the_last_epoch(tmp_path):
    (tmp_path / "labels.csv").write_text("file,labels\na.png,rust;crack\n")
    with pytest.raises(TrainingError, match="--keep last is for one class"):
        train_classify(tmp_path, tmp_path / "net.safetensors", ClassifyRecipe().toy().but(keep="last"))


def test_a_last_layer_alone_does_not_learn_from_random_features_unless_they_are_asked_for():
    with pytest.raises(TrainingError, match=r"cifar-resnet8 begins with random weights.*--weights published"):
        ClassifyRecipe().but(frozen=True)
    assert not ClassifyRecipe().but(weights="random").but(frozen=True).given
    assert ClassifyRecipe().but(model="imagenet").but(frozen=True).given
