"""`sightline train eat` from end to end: files, figures, resuming, stopping, and what it says when it cannot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from sightline.cli.app import app
from sightline.common.settings import leaves
from sightline.errors import ModelError, ResultError, TrainingError

pytest.importorskip("lightning")

from sightline.models.load import load_model
from sightline.tasks.attributes.network.store import load_attribute_net
from sightline.tasks.attributes.recipe import EatRecipe
from sightline.tasks.attributes.train import module as eat_task
from sightline.tasks.attributes.train.experiment import train_eat
from sightline.training.callbacks import Curves, Patience
from sightline.training.sampling import EpochOrder

TOY = EatRecipe().toy().but(scenes=40, epochs=3)
DROPPED = {"channels": (8, 8, 8, 8), "drop_rate": 0.3, "drop_path_rate": 0.3}
SMALL = ["--scenes=40", "--size=32", "--epochs=3", "--batch-size=20", "--precision=32", "--workers=1"]
ARGUMENTS = [
    *SMALL,
    *(f"--model-arg={name}={value}" for name, value in DROPPED.items()),
    *("--part-weight=0.3", "--outside-weight=0.3", "--consistency-weight=0.3"),
]
ALIKE = TOY.but(model_args=DROPPED, part_weight=0.3, outside_weight=0.3, consistency_weight=0.3)
"""The recipe of ARGUMENTS."""


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of a run that nobody interrupted."""
    out = tmp_path_factory.mktemp("eat") / "net.safetensors"
    train_eat(None, out, ALIKE)
    return out


def command(*arguments: object) -> list[str]:
    code = "from sightline.cli.app import main; main()"
    return [sys.executable, "-c", code, "train", "eat", *map(str, arguments)]


def wait_for(path: Path, run: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 240
    while not path.exists():
        assert run.poll() is None, run.communicate()
        assert time.monotonic() < until
        time.sleep(0.005)


def same(one: Path, other: Path) -> bool:
    a, b = load_file(one), load_file(other)
    return a.keys() == b.keys() and all(torch.equal(a[k].nan_to_num(-1), b[k].nan_to_num(-1)) for k in a)


def share_scenes(unbroken: Path, out: Path) -> None:
    """Scenes that are drawn need not be drawn again."""
    work = out.with_suffix(".work")
    work.mkdir(parents=True)
    (work / "scenes").symlink_to(unbroken.with_suffix(".work") / "scenes")


def test_it_writes_best_and_last_weights_a_card_and_a_page(unbroken: Path) -> None:
    names = {path.name for path in unbroken.parent.iterdir()}
    assert names == {"net.safetensors", "net.last.safetensors", "net.md", "net.html", "net.work"}
    assert load_model(weights=unbroken).preprocess.size == (32, 32)
    known = load_attribute_net(unbroken).calibration
    assert known.prototypes.shape == (20, 80)
    assert not torch.equal(known.mean, torch.full((80,), 0.5))
    card = unbroken.with_suffix(".md").read_text()
    assert "control: usual for the predicted class" in card.partition("## Texts")[2]
    card, page = unbroken.with_suffix(".md").read_text(), unbroken.with_suffix(".html").read_text()
    for text in (
        "class accuracy",
        "95 % interval",
        "Within classes",
        "has_tail_shape",
        "foreground energy",
    ):
        assert text in card
        assert text.lower() in page.lower()
    assert page.count("<svg") == 5
    assert "http://" not in page.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    )
    assert list((unbroken.with_suffix(".work") / "log").glob("*/metrics.csv"))


def test_the_figures_are_those_of_the_written_weights(unbroken: Path, tmp_path: Path) -> None:
    out = tmp_path / "net.safetensors"
    share_scenes(unbroken, out)
    found = train_eat(None, out, TOY.but(epochs=1))
    net = load_attribute_net(out)
    from sightline.tasks.attributes.data.pictures import gather

    test = gather(None, TOY, out.with_suffix(".work")).test
    with torch.no_grad():
        guess = net((test.images.float() / 255 - mean_of(net)) / std_of(net)).argmax(1)
    assert found is not None
    assert found.judged.hits == int((guess == test.labels).sum())
    assert (found.judged.pictures, found.epochs, found.best) == (40, 1, 1)


def mean_of(net: torch.nn.Module) -> torch.Tensor:
    return torch.tensor(net.spec.preprocess["mean"]).view(1, 3, 1, 1)


def std_of(net: torch.nn.Module) -> torch.Tensor:
    return torch.tensor(net.spec.preprocess["std"]).view(1, 3, 1, 1)


def test_an_absurd_rate_stops_and_says_which_batch(unbroken: Path, tmp_path: Path) -> None:
    out = tmp_path / "net.safetensors"
    share_scenes(unbroken, out)
    recipe = TOY.but(lr=1e30)
    with pytest.raises(TrainingError, match=r"the loss is (nan|inf) in epoch 1, batch \d; no epoch was finished"):
        train_eat(None, out, recipe)
    result = CliRunner().invoke(app, ["train", "eat", "--out", str(out), *ARGUMENTS, "--lr", "1e30"])
    assert result.exit_code == 1
    assert "batch" in result.stderr
    assert "--lr" in result.stderr
    assert not out.exists()


def test_a_loss_that_breaks_later_keeps_the_epoch_before(
    unbroken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "net.safetensors"
    share_scenes(unbroken, out)
    loss = eat_task.attribute_loss
    own = eat_task.EatTask.training_step

    def breaks(task: eat_task.EatTask, batch: tuple[torch.Tensor, ...], index: int) -> torch.Tensor:
        bad = task.current_epoch == 1 and index == 1
        monkeypatch.setattr(eat_task, "attribute_loss", lambda *a: loss(*a) * float("nan") if bad else loss(*a))
        return own(task, batch, index)

    monkeypatch.setattr(eat_task.EatTask, "training_step", breaks)
    with pytest.raises(TrainingError, match="in epoch 2, batch 2; the checkpoint of the epoch before is kept"):
        train_eat(None, out, TOY)
    checkpoint = out.with_suffix(".work") / "checkpoints" / "last.ckpt"
    held = torch.load(checkpoint, weights_only=True)
    assert held["epoch"] == 0
    assert all(bool(v.isfinite().all()) for v in held["state_dict"].values())


def test_weights_that_break_in_the_last_step_of_an_epoch_are_not_kept(
    unbroken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "net.safetensors"
    share_scenes(unbroken, out)

    def break_one(task: eat_task.EatTask) -> None:
        with torch.no_grad():
            next(task.parameters()).fill_(float("nan"))
        ends(task)

    ends = eat_task.EatTask.on_train_epoch_end
    monkeypatch.setattr(eat_task.EatTask, "on_train_epoch_end", break_one)
    with pytest.raises(TrainingError, match="the weights are not finite after epoch 1"):
        train_eat(None, out, TOY)
    assert not (out.with_suffix(".work") / "checkpoints" / "last.ckpt").exists()


def test_training_stops_when_patience_is_lost_and_stays_stopped(unbroken: Path, tmp_path: Path) -> None:
    out = tmp_path / "net.safetensors"
    share_scenes(unbroken, out)
    recipe = TOY.but(epochs=6, lr=1e-9, patience=1, monitor="accuracy")  # such a rate changes nothing
    found = train_eat(None, out, recipe)
    assert found is not None
    assert found.epochs < 6
    first = load_file(out)
    again = train_eat(None, out, recipe)
    assert again is not None
    assert again.epochs == found.epochs
    assert all(torch.equal(first[k].nan_to_num(-1), v.nan_to_num(-1)) for k, v in load_file(out).items())


def test_processes_share_every_batch_and_leave_no_picture_out(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = list(EpochOrder(20, 6, 3))
    shares = []
    for rank in range(2):
        monkeypatch.setattr("sightline.training.sampling.place_among", lambda rank=rank: (rank, 2))
        shares.append(list(EpochOrder(20, 6, 3)))
    for whole, one, other in zip(alone, *shares, strict=True):
        assert len(one) == len(other) == 3
        assert sorted(one + other) == sorted(whole)
    monkeypatch.setattr("sightline.training.sampling.place_among", lambda: (0, 4))
    with pytest.raises(TrainingError, match="a batch of 6 pictures cannot be shared evenly by 4 devices"):
        list(EpochOrder(20, 6, 3))


def test_two_processes_train_one_network(unbroken: Path, tmp_path: Path) -> None:
    script = Path(sys.executable).with_name("sightline")
    if not script.exists() or not torch.distributed.is_gloo_available():
        pytest.skip("needs the console script and gloo")
    out = tmp_path / "net.safetensors"
    share_scenes(unbroken, out)
    devices = ["--device", "cpu", "--devices", "2", "--strategy", "ddp", "--epochs", "1", "--join", "parallel"]
    run = subprocess.run(
        [
            str(script),
            "train",
            "eat",
            "--out",
            str(out),
            *SMALL,
            "--model-arg=channels=(8,8,8,8)",
            *devices,
            "--lambda",
            "0",
            "--json",
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr.count("epoch 1 of 1:") == 1
    assert json.loads(run.stdout)["pictures"] == 40
    assert load_attribute_net(out).spec.join == "parallel"


def test_every_part_of_the_recipe_is_an_option_whose_default_is_shown() -> None:
    import typer.main

    verb = typer.main.get_command(app).commands["train"].commands["eat"]
    options = {parameter.name: parameter for parameter in verb.params}
    for leaf in leaves(EatRecipe()):
        if leaf.about.hidden:
            continue
        option, value = options[leaf.name], leaf.default
        assert (option.default or None) == (value or None) or option.default == value
        assert option.help
        if value is None or leaf.name in ("only", "model_args", "incomplete"):
            assert leaf.name in ("model_args", "incomplete", "group_by") or "Default:" in option.help
        else:
            assert option.show_default
    text = CliRunner().invoke(app, ["train", "eat", "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"}).stdout
    assert "[default: 0.002]" in text


def test_the_command_line_beats_the_file_and_unknown_keys_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = []

    def stop(data: Path | None, out: Path, recipe: EatRecipe, *rest: object, **more: object) -> None:
        taken.append((recipe, more["reporter"].command))

    monkeypatch.setattr("sightline.tasks.attributes.train.experiment.train_eat", stop)
    file = tmp_path / "eat.toml"
    file.write_text('lambda = 0.3\nepochs = 7\ntrunk-lr-factor = 0.5\nonly = ["has_size"]\nincomplete = true\n')
    arguments = ["train", "eat", "--out", "x.safetensors", "--config", str(file), "--epochs", "9"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    recipe, command_ = taken[0]
    assert (recipe.loss.attribute_weight, recipe.loop.epochs, recipe.tuning.trunk_lr_factor) == (0.3, 9, 0.5)
    assert (recipe.data.only, recipe.data.incomplete) == (("has_size",), True)
    assert "--lambda 0.3" in command_
    assert "--epochs 9" in command_
    file.write_text("rate = 0.5\n")
    result = CliRunner().invoke(app, arguments)
    assert "sets 'rate', which is called 'lr' now" in result.stderr
    assert taken[1][0].optim.lr == 0.5
    for text, wrong in (
        ("lamda = 1", "'lamda', which is not an option; near names: 'lambda'"),
        ("a = [", "not in TOML"),
        ("[only]", "table 'only'"),
    ):
        file.write_text(text)
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 1
        assert wrong in result.stderr


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"backbone": "timm:resnett18"}, ModelError, "resnet18"),
        (
            {"stride": 2, "backbone": "timm:vit_tiny_patch16_224", "model_args": {"img_size": 32}},
            ModelError,
            "16 pixels",
        ),
        ({"join": "sum"}, ModelError, "'sum'"),
    ],
)
def test_backbones_that_cannot_do_it_are_refused(
    unbroken: Path, tmp_path: Path, change: dict, error: type[Exception], text: str
) -> None:
    out = tmp_path / "net.safetensors"
    share_scenes(unbroken, out)
    with pytest.raises(error, match=text):
        train_eat(None, out, TOY.but(**change))


def test_places_that_cannot_be_written_are_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for out, text in (
        (tmp_path / "net.md", r"ends in \.safetensors"),
        (tmp_path / "file" / "net.safetensors", "it is a file"),
    ):
        with pytest.raises(ResultError, match=text):
            train_eat(None, out, TOY)
    (tmp_path / "dir.safetensors").mkdir()
    with pytest.raises(ResultError, match="it is a folder"):
        train_eat(None, tmp_path / "dir.safetensors", TOY)
    assert not list(tmp_path.glob("*.work"))


def test_curves_and_patience_carry_on_where_they_were() -> None:
    one, other = Curves(), Curves()
    one.rows.append({"val/loss": 1.0})
    other.load_state_dict(one.state_dict())
    assert other.rows == one.rows
    assert Patience("loss", 2).mode == "min"
    assert Patience("accuracy", 2).mode == "max"
