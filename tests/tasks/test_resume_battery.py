"""Whatever stops a training - kill -9, Ctrl-C, a full disk, a cut checkpoint - the next one ends as if nothing had.

Every task that trains through the engine goes through all of it, and its weights are equal byte for byte.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import torch

from sightline.common.runs import locked
from sightline.errors import ResultError, SightlineError, TrainingError

pytest.importorskip("lightning")

from sightline.tasks.attributes.recipe import EatRecipe
from sightline.tasks.attributes.train.experiment import train_eat
from sightline.tasks.attributes.train.module import EatTask
from sightline.tasks.audiovisual.module import EventTask
from sightline.tasks.audiovisual.recipe import EventRecipe
from sightline.tasks.audiovisual.train import train_events
from sightline.tasks.bird.module import BirdTask
from sightline.tasks.bird.recipe import BirdRecipe
from sightline.tasks.bird.train import train_birdnet
from sightline.tasks.captioning.module import CaptionTask
from sightline.tasks.captioning.recipe import CaptionRecipe
from sightline.tasks.captioning.train import train_captions
from sightline.tasks.classification.module import ClassifyTask
from sightline.tasks.classification.recipe import ClassifyRecipe
from sightline.tasks.classification.train import train_classify
from sightline.tasks.clicks.recipe import ClickRecipe
from sightline.tasks.clicks.train.experiment import train_clicks
from sightline.tasks.clicks.train.module import ClickTask
from sightline.tasks.contrastive.module import ContrastiveTask
from sightline.tasks.contrastive.recipe import ContrastiveRecipe
from sightline.tasks.contrastive.train import train_contrastive
from sightline.training.reporter import Reporter

DROPPED = {"channels": (8, 8, 8, 8), "drop_rate": 0.3, "drop_path_rate": 0.3}
"""A backbone that draws at random in every step."""


@dataclass(frozen=True)
class Training:
    """One task's training at toy size.

    Args:
        train: its function, of out, work and reporter.
        options: a small and endless one on the command line.
        module: what takes the steps.
        files: endings of the weights that it writes.
    """

    train: Callable[..., Any]
    options: tuple[str, ...]
    module: type
    files: tuple[str, ...] = (".safetensors",)


def birdnet(out: Path, work: Path | None = None, reporter: Reporter = Reporter()) -> Any:
    recipe = BirdRecipe().toy().but(scenes=20, random_scenes=20, held_out=20, size=32, epochs=3)
    return train_birdnet(out, recipe, work, reporter=reporter)


def contrastive(out: Path, work: Path | None = None, reporter: Reporter = Reporter()) -> Any:
    recipe = ContrastiveRecipe().toy().but(scenes=40, held_out=40, epochs=3)
    return train_contrastive(out, recipe, work, reporter=reporter)


def eat(out: Path, work: Path | None = None, reporter: Reporter = Reporter()) -> Any:
    losses = {"part_weight": 0.3, "outside_weight": 0.3, "consistency_weight": 0.3}
    recipe = EatRecipe().toy().but(scenes=40, epochs=3, model_args=DROPPED, **losses)
    return train_eat(None, out, recipe, work, reporter=reporter)


def classify(out: Path, work: Path | None = None, reporter: Reporter = Reporter()) -> Any:
    recipe = ClassifyRecipe().toy().but(scenes=40, epochs=3, gate="dia", lr_milestones=(1, 2))
    return train_classify("aviary", out, recipe, work, reporter=reporter)


def clicks(out: Path, work: Path | None = None, reporter: Reporter = Reporter()) -> Any:
    recipe = ClickRecipe().toy().but(epochs=3, model="sam3a", dropout=0.3)
    return train_clicks(None, out, recipe, work, reporter=reporter)


def events(out: Path, work: Path | None = None, reporter: Reporter = Reporter()) -> Any:
    recipe = EventRecipe().toy().but(scenes=40, held_out=20, epochs=3, modality_dropout=0.3)
    return train_events(out, recipe, work, reporter=reporter)


def captioning(out: Path, work: Path | None = None, reporter: Reporter = Reporter()) -> Any:
    recipe = CaptionRecipe().toy().but(scenes=40, epochs=2, dropout=0.3)
    return train_captions(out, recipe, work, reporter=reporter)


SMALL = ("--size=32", "--epochs=200", "--workers=1")
TRAININGS = {
    "birdnet": Training(
        birdnet, (*SMALL, "--scenes=20", "--batch-size=20", "--random-scenes=20", "--held-out=20"), BirdTask
    ),
    "contrastive": Training(contrastive, (*SMALL, "--scenes=40", "--held-out=40"), ContrastiveTask),
    "eat": Training(
        eat,
        (
            *SMALL,
            "--scenes=40",
            "--batch-size=20",
            *(f"--model-arg={name}={value}" for name, value in DROPPED.items()),
        ),
        EatTask,
        (".safetensors", ".last.safetensors"),
    ),
    "classify": Training(
        classify,
        (*SMALL, "--scenes=40", "--batch-size=20", "--model-arg=widths=(8,8,8)", "--lr-milestones=1,2"),
        ClassifyTask,
    ),
}
TRAININGS["clicks"] = Training(
    clicks, ("--rows=600", "--batch-size=64", "--width=4", "--epochs=200", "--patience=0"), ClickTask
)
TRAININGS["events"] = Training(
    events, ("--scenes=40", "--held-out=20", "--batch-size=20", "--width=8", "--epochs=200", "--workers=1"), EventTask
)
TRAININGS["captions"] = Training(
    captioning, ("--scenes=40", "--held-out=20", "--batch-size=20", "--width=8", "--epochs=200"), CaptionTask
)
APART = get_context("forkserver")
"""Processes of their own that find torch and lightning imported: the import costs more than the training."""
APART.set_forkserver_preload([__name__])


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", params=TRAININGS)
def name(request: pytest.FixtureRequest) -> str:
    """The task's verb."""
    return str(request.param)


@pytest.fixture(scope="module")
def unbroken(name: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of a run that nobody interrupted."""
    out = tmp_path_factory.mktemp(name) / "net.safetensors"
    TRAININGS[name].train(out)
    return out


@pytest.fixture
def out(unbroken: Path, tmp_path: Path) -> Path:
    """Where to write, with the scenes that are drawn already."""
    work = tmp_path / "net.work"
    work.mkdir()
    (work / "scenes").symlink_to(unbroken.with_suffix(".work") / "scenes")
    return tmp_path / "net.safetensors"


def begin(name: str, out: Path, errors: Path, options: Sequence[str] = ()) -> None:
    """Train as a function, or with options as the command does; in a process that a signal can stop."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job inherits it ignored
    with errors.open("wb") as file:
        os.dup2(file.fileno(), 2)
    torch.set_num_threads(1)
    if not options:
        TRAININGS[name].train(out)
        return
    from sightline.cli.app import main

    sys.argv = ["sightline", "train", name, "--out", str(out), *options]
    main()


def stopped(name: str, out: Path, how: signal.Signals, *options: str) -> tuple[int | None, str]:
    """Begin in a process of its own, and stop it after its first epoch; exit code and standard error."""
    errors = out.parents[1] / f"{out.parent.name}.errors"
    until = time.monotonic() + 300
    run = APART.Process(target=begin, args=(name, out, errors, options))
    run.start()
    while not (out.with_suffix(".work") / "checkpoints" / "last.ckpt").exists():
        assert run.is_alive(), errors.read_text()
        assert time.monotonic() < until
        time.sleep(0.005)
    os.kill(run.pid or 0, how)
    run.join()
    return run.exitcode, errors.read_text()


def gone_on(name: str, out: Path, work: Path | None = None) -> list[int]:
    """Train to the end; which epochs that took."""
    epochs: list[int] = []
    TRAININGS[name].train(out, work, Reporter(epoch=lambda epoch, row: epochs.append(epoch)))
    return epochs


def same(name: str, out: Path, unbroken: Path) -> bool:
    ends = TRAININGS[name].files
    return all(out.with_suffix(end).read_bytes() == unbroken.with_suffix(end).read_bytes() for end in ends)


def strays(folder: Path) -> list[str]:
    """Temporary files and locks."""
    return sorted(path.name for path in folder.rglob("*") if path.name.startswith("."))


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """No file may grow beyond a size, as on a full disk."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.skipif(os.name == "nt", reason="signals differ")
def test_after_kill_9_it_goes_on_in_a_moved_folder_to_the_same_bytes(name: str, unbroken: Path, out: Path) -> None:
    assert stopped(name, out, signal.SIGKILL)[0] == -signal.SIGKILL
    assert not out.exists()
    moved = out.with_name("moved.work")
    out.with_suffix(".work").rename(moved)
    epochs = gone_on(name, out, moved)
    assert epochs[0] > 1
    assert epochs[-1] == 3
    assert same(name, out, unbroken)
    assert f"sightline train {name}" in out.with_suffix(".md").read_text(encoding="utf-8")
    assert not [stray for stray in strays(out.parent) if "work" not in stray]


@pytest.mark.skipif(os.name == "nt", reason="signals differ")
def test_ctrl_c_keeps_the_checkpoint_and_says_how_to_go_on(name: str, out: Path) -> None:
    code, text = stopped(name, out, signal.SIGINT, *TRAININGS[name].options)
    assert code == 130
    assert "the same command goes on after the last finished epoch" in text
    assert "Traceback" not in text
    assert [path.name for path in out.parent.iterdir()] == ["net.work"]


def test_stopped_within_the_second_epoch_it_goes_on_with_it(
    name: str, unbroken: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, epochs = TRAININGS[name].module, []
    step = module.training_step

    def breaks(task: Any, *rest: Any) -> Any:
        epochs.append(task.current_epoch)
        if epochs.count(1) == 1 and epochs[-1] == 1:
            raise KeyboardInterrupt
        return step(task, *rest)

    monkeypatch.setattr(module, "training_step", breaks)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        TRAININGS[name].train(out)
    assert not out.exists()
    steps = epochs.count(0)
    gone_on(name, out)
    assert epochs == [0] * steps + [1] + [1] * steps + [2] * steps
    assert same(name, out, unbroken)


@pytest.mark.skipif(os.name == "nt", reason="limits differ")
def test_on_a_full_disk_it_stops_in_a_sentence_and_goes_on_when_there_is_room(
    name: str, unbroken: Path, out: Path
) -> None:
    whole = (unbroken.with_suffix(".work") / "checkpoints" / "last.ckpt").stat().st_size
    with pytest.raises(SightlineError, match=r"cannot write to .*too large"), disk_of(whole // 2):
        TRAININGS[name].train(out)
    assert not out.exists()
    assert strays(out.parent) == []
    assert gone_on(name, out)[-1] == 3
    assert same(name, out, unbroken)


def test_a_disk_that_fills_later_keeps_the_checkpoint_before(
    name: str, unbroken: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = TRAININGS[name].module
    step = module.training_step
    with ExitStack() as room, monkeypatch.context() as patch:

        def fills(task: Any, *rest: Any) -> Any:
            if task.current_epoch == 1:
                room.enter_context(disk_of(10_000))
            return step(task, *rest)

        patch.setattr(module, "training_step", fills)
        with pytest.raises(SightlineError, match="cannot write to"):
            TRAININGS[name].train(out)
    path = out.with_suffix(".work") / "checkpoints" / "last.ckpt"
    held = torch.load(path, weights_only=True)
    assert held["epoch"] == 0
    assert gone_on(name, out) == [2, 3]
    assert same(name, out, unbroken)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_cut_checkpoint_never_ends_a_training(share: float, name: str, unbroken: Path, out: Path) -> None:
    def stop(epoch: int, row: dict[str, float]) -> None:
        if epoch == 2:
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        TRAININGS[name].train(out, None, Reporter(epoch=stop))
    last = out.with_suffix(".work") / "checkpoints" / "last.ckpt"
    content = last.read_bytes()
    last.write_bytes(content[: int(len(content) * share)])
    assert gone_on(name, out)[-1] == 3
    assert same(name, out, unbroken)
    assert last.with_suffix(".damaged").exists()


@pytest.mark.parametrize("place", [".safetensors", ".work"])
def test_a_second_training_at_the_same_place_is_told_of_the_first(place: str, name: str, out: Path) -> None:
    with locked(out.with_suffix(place)), pytest.raises(TrainingError, match=f"in use by process {os.getpid()}"):
        TRAININGS[name].train(out)
    assert [path.name for path in out.parent.iterdir()] == ["net.work"]


@pytest.mark.parametrize("end", [".md", ".safetensors"])
def test_a_file_of_the_users_beside_the_weights_stays(end: str, name: str, out: Path) -> None:
    out.with_suffix(end).write_text("my thesis")
    with pytest.raises(ResultError, match="was not written by sightline"):
        TRAININGS[name].train(out)
    assert out.with_suffix(end).read_text() == "my thesis"
    assert not (out.with_suffix(".work") / "checkpoints").exists()


def test_run_again_it_writes_the_same_files_until_the_user_changes_one(name: str, unbroken: Path) -> None:
    before = {end: unbroken.with_suffix(end).read_bytes() for end in TRAININGS[name].files}
    gone_on(name, unbroken)
    assert before == {end: unbroken.with_suffix(end).read_bytes() for end in TRAININGS[name].files}
    card = unbroken.with_suffix(".md")
    own = card.read_bytes()
    card.write_bytes(own + b"my notes\n")
    with pytest.raises(ResultError, match="changed since"):
        TRAININGS[name].train(unbroken)
    assert card.read_bytes() == own + b"my notes\n"
    card.write_bytes(own)
