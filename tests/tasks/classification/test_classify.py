"""`sightline train classify` from end to end: files, figures, resuming, and what it says when it cannot go on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from sightline.cli.app import app
from sightline.errors import GateError, ModelError, TrainingError

pytest.importorskip("lightning")

from sightline.gates import plugged
from sightline.gates.store import load_gated
from sightline.models.load import load_model
from sightline.models.weights import read_weights
from sightline.tasks.classification.data.pictures import gather
from sightline.tasks.classification.fit import scores
from sightline.tasks.classification.heads import anatomy_of
from sightline.tasks.classification.metrics import Classified
from sightline.tasks.classification.module import ClassifyTask
from sightline.tasks.classification.recipe import CONFIGS, ClassifyRecipe, milestones_of
from sightline.tasks.classification.train import train_classify
from sightline.training.tuner import Tuning

TOY = ClassifyRecipe().toy().but(scenes=40, epochs=3, gate="dia", lr_milestones=(1, 2))
ARGUMENTS = [
    "--scenes=40", "--size=16", "--epochs=3", "--batch-size=20", "--workers=1", "--model-arg=widths=(8,8,8)",
    "--gate=dia", "--lr-milestones=1,2",
]  # fmt: skip
"""The options of TOY."""


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Classified]:
    """A run that nobody interrupted."""
    out = tmp_path_factory.mktemp("classify") / "net.safetensors"
    found = train_classify("aviary", out, TOY)
    assert found is not None
    return out, found


def same(one: Path, other: Path) -> bool:
    a, b = load_file(one), load_file(other)
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_weights_are_read_again_with_their_gate_and_the_figure_is_theirs(unbroken: tuple[Path, Classified]) -> None:
    out, found = unbroken
    loaded = load_model(weights=out)
    assert (loaded.preprocess.size, len(loaded.labels or ())) == ((16, 16), 20)
    assert plugged(loaded.model).gate == "dia"
    assert found.scheme == str(plugged(loaded.model).scheme) == "1|1|1"
    pictures = gather("aviary", TOY, out.with_suffix(".work"))
    guess = scores(loaded.model, pictures).argmax(1)
    assert found.hits == int((guess == pictures.labels[pictures.test]).sum())
    assert (found.total, found.epochs) == (13, 3)
    assert found.parameters == sum(p.numel() for p in loaded.model.parameters())


def test_the_file_keeps_how_its_data_was_read(unbroken: tuple[Path, Classified]) -> None:
    options = json.loads(read_weights(unbroken[0]).metadata["reading"])["options"]
    assert options == {"held_out": 1 / 3, "group_by": None, "validation": 0.2, "labels": [], "seed": 0}


def test_card_and_page_say_the_last_epoch_and_that_the_best_is_optimistic(unbroken: tuple[Path, Classified]) -> None:
    out, found = unbroken
    for suffix in (".md", ".html"):
        text = out.with_suffix(suffix).read_text()
        assert f"{found.accuracy:.4f} (95 % interval" in text
        assert f"{found.best:.4f} in epoch {found.best_epoch} (optimistic" in text
    assert r"scheme 1\|1\|1" in out.with_suffix(".md").read_text()
    assert list((out.with_suffix(".work") / "log").glob("*/metrics.csv"))


def test_a_plugged_network_is_explained_from_its_file(unbroken: tuple[Path, Classified], tmp_path: Path) -> None:
    scene = Path(load_model.__code__.co_filename).parents[1] / "assets" / "scene.png"
    arguments = ["explain", scene, "--weights", unbroken[0], "--method", "gradcam", "--out", tmp_path / "out"]
    done = CliRunner().invoke(app, list(map(str, arguments)))
    assert done.exit_code == 0, done.output


def test_another_recipe_does_not_go_on_with_these_checkpoints(unbroken: tuple[Path, Classified]) -> None:
    with pytest.raises(TrainingError, match=r"--lr was 0\.1, is now 0\.2"):
        train_classify("aviary", unbroken[0], TOY.but(lr=0.2))


def test_a_loss_that_is_no_number_stops_with_epoch_and_batch(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"the loss is (nan|inf) in epoch 1|weights are not finite after epoch 1"):
        train_classify("aviary", tmp_path / "net.safetensors", TOY.but(lr=1e30, norm=False, batch_size=5))


def test_the_rate_falls_after_the_epochs_that_were_named() -> None:
    net = torch.nn.Linear(1, 1)
    recipe = ClassifyRecipe.of(lr=1.0, lr_milestones=(1, 3), lr_gamma=0.1).settled()
    task = ClassifyTask(net, recipe, ((0.5,), (0.5,)), tuning=Tuning(recipe.tuning, anatomy_of(net), 1, 30))
    made = task.configure_optimizers()
    rates = []
    for _ in range(5):
        rates.append(made["optimizer"].param_groups[0]["lr"])
        made["optimizer"].step()
        made["lr_scheduler"]["scheduler"].step()
    assert rates == pytest.approx([1.0, 0.1, 0.1, 0.01, 0.01])
    assert made["optimizer"].param_groups[0]["nesterov"] is False


@pytest.mark.parametrize(
    ("wish", "error", "text"),
    [
        ({"scheme": "11|1"}, GateError, "the scheme has 2 stages, the network 3"),
        ({"gate": "se", "reduction": 64}, GateError, "larger than the 8 channels"),
        ({"gate": "see"}, GateError, "near names"),
        ({"model": "vgg11", "model_args": {}, "size": 32}, GateError, "VGG has no place for a gate"),
        ({"model": "cifar-resnet9"}, ModelError, "there is no network of depth 9"),
        ({"model": "cifar-resmet20"}, ModelError, "there is no CIFAR network"),
        ({"model": "timm:resnet10t", "model_args": {}, "skip": False}, ModelError, "only CIFAR networks"),
        ({"model_args": {"wide": 3}}, ModelError, "check --model-arg"),
    ],
)
def test_what_cannot_be_built_is_refused_before_training(wish, error, text, unbroken, tmp_path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "scenes").symlink_to(unbroken[0].with_suffix(".work") / "scenes")
    with pytest.raises(error, match=text):
        train_classify("aviary", tmp_path / "net.safetensors", TOY.but(**wish), work)
    assert not (work / "checkpoints").exists()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--epochs=0"], "--epochs is 0"),
        (["--augment=flip"], "--augment cannot be 'flip'"),
        (["--lr-milestones=a"], "--lr-milestones 'a' is not understood"),
        (["--test-share=1"], "--test-share is 1.0"),
        (["--init=fan_out", "--weights=published"], "--init fan_out would draw anew"),
        (["--config=dianet-cifar-resnet165"], "dianet-cifar-resnet164"),
        (["--data=nowhere"], "there is no folder 'nowhere'"),
    ],
)
def test_a_wrong_option_is_one_sentence(arguments, text, tmp_path) -> None:
    done = CliRunner().invoke(app, ["train", "classify", f"--out={tmp_path / 'net.safetensors'}", *arguments])
    assert done.exit_code == 1
    assert text in done.output.replace("\n", " ")


@pytest.mark.parametrize(
    ("name", "millions", "epochs", "drops"),
    [
        ("dianet-cifar-resnet164", 1.95, 180, (60, 120)),
        ("dianet-cifar-preresnet164", 1.96, 164, (81, 122)),
        ("dianet-cifar-wrn-52-4", 12.30, 200, (80, 120, 160)),
        ("dianet-cifar-resnext101", 33.01, 300, (150, 225)),
    ],
)
def test_a_published_recipe_builds_a_network_of_the_published_size(name, millions, epochs, drops) -> None:
    import tomllib

    from sightline.gates.store import GatedSpec, gated_net
    from sightline.terminal.options import arguments_of

    held = tomllib.loads((CONFIGS / f"{name}.toml").read_text())
    spec = GatedSpec(
        held["model"],
        tuple(map(str, range(100))),
        arguments_of(held.get("model_arg")),
        gate=held["gate"],
        options={"reduction": held["reduction"]},
    )
    with torch.device("meta"):
        net = gated_net(spec)
    assert round(sum(p.numel() for p in net.parameters()) / 1e6, 2) == millions
    figures = (held["epochs"], milestones_of(held["lr_milestones"]), held["batch_size"], held["lr"])
    assert figures == (epochs, drops, 128, 0.1)


def test_every_named_recipe_is_one_of_options(tmp_path) -> None:
    for path in CONFIGS.glob("*.toml"):
        done = CliRunner().invoke(app, ["train", "classify", f"--out={tmp_path / 'net.pt'}", f"--config={path.stem}"])
        assert "ends in .safetensors" in done.output.replace("\n", " "), done.output


def test_a_network_without_shortcuts_gives_its_branch_alone() -> None:
    from sightline.models.zoo.cifar_names import cifar_net

    net = cifar_net("cifar-resnet8", 3, skip=False, norm=False)
    block = net.layer2[0]
    x = torch.randn(2, 16, 8, 8)
    assert torch.equal(block(x), torch.relu(block.conv2(torch.relu(block.conv1(x)))))
    assert not [m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert all(m.bias is not None for m in net.modules() if isinstance(m, torch.nn.Conv2d))


def test_another_file_is_not_read_as_a_gated_network() -> None:
    with pytest.raises(ModelError, match="not 'gated'"):
        load_gated(Path(load_model.__code__.co_filename).parents[1] / "assets" / "birdnet.safetensors")
