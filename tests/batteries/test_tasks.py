"""Every registered task keeps the contract: one folder, one recipe, a toy size, a card with its controls."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sightline.cli.app import app
from sightline.common.settings import leaves
from sightline.models.load import load_model
from sightline.terminal.tasks import TASKS, Task, load
from sightline.training.recipe import Recipe

NAMES = {
    "task",
    "command",
    "data",
    "world",
    "network",
    "recipe",
    "train",
    "module",
    "explain",
    "metrics",
    "report",
    "report.html",
}
"""What files of a task are called."""
OF_EVERY_TRAINING = {"task", "command", "data", "recipe", "train", "report"}
OWN_NAMES = {
    "attributes": {"audit"},
    "audiovisual": {"features", "stand_ins"},
    "bird": {"judging", "scope"},
    "classification": {"fit", "heads", "configs", "multilabel"},
    "clicks": {"logit", "predict"},
    "gate_search": {"accuracy", "executors", "job", "log", "result", "search", "searchers"},
}
"""Names for what only one task has; a new one here wants a reason."""
TRAINED = [name for name, task in TASKS.items() if task.train]


def package(name: str) -> str:
    """The package of one of our tasks."""
    return f"sightline.tasks.{name}"


def folder(name: str) -> Path:
    spec = importlib.util.find_spec(package(name))
    assert spec is not None
    return Path(spec.submodule_search_locations[0])


def training_verb(task: Task) -> str:
    (verb,) = (verb.path for verb in task.verbs if verb.path.startswith("train "))
    return verb


@pytest.mark.parametrize("name", TASKS)
def test_files_of_a_task_have_the_names_that_all_tasks_use(name: str) -> None:
    stems = {path.stem for path in folder(name).iterdir() if not path.name.startswith("__")}
    assert stems <= NAMES | OWN_NAMES.get(name, set())
    assert not OWN_NAMES.get(name, set()) - stems
    assert name not in TRAINED or stems >= OF_EVERY_TRAINING


@pytest.mark.parametrize("name", TASKS)
def test_a_task_keeps_what_it_names_in_the_files_of_those_names(name: str) -> None:
    task, home = TASKS[name], re.escape(package(name))
    assert all(re.fullmatch(rf"{home}\.(\w+\.)*command:\w+", verb.target) for verb in task.verbs)
    assert all(callable(verb.load()) for verb in task.verbs)
    if name in TRAINED:
        assert re.fullmatch(rf"{home}\.recipe:\w+", task.recipe)
        assert re.fullmatch(rf"{home}\.train(\.\w+)?:\w+", task.train)


@pytest.mark.parametrize("name", TASKS)
def test_a_task_imports_no_other_task(name: str) -> None:
    others = tuple(f"{package(other)}" for other in TASKS if other != name)
    for file in folder(name).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            modules = [node.module] if isinstance(node, ast.ImportFrom) else []
            modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not [module for module in modules if (module or "").startswith(others)], file


@pytest.mark.parametrize("name", TASKS)
def test_a_task_says_on_what_it_was_tried_or_why_on_nothing(name: str) -> None:
    task = TASKS[name]
    assert task.title
    assert all(
        words and (not words.startswith("none") or len(words) > len("none: ")) for words in (task.world, task.data)
    )
    assert bool(task.controls) == bool(task.train), "a card wants controls, and they want a card"


@pytest.mark.parametrize("name", TRAINED)
def test_every_setting_of_a_recipe_has_a_help_that_stands_alone(name: str) -> None:
    kind = load(TASKS[name].recipe)
    assert issubclass(kind, Recipe)
    settings = list(leaves(kind))
    assert len({leaf.option for leaf in settings}) == len(settings), "two settings have one name"
    for leaf in settings:
        assert re.match(r"(?!Of )[A-Z0-9]", leaf.about.help) or leaf.about.words, leaf.option
        assert leaf.about.help.endswith("."), leaf.option


@pytest.mark.parametrize("name", TRAINED)
def test_a_training_takes_a_folder_to_go_on_with_and_knows_what_must_stay_the_same(name: str) -> None:
    assert {"out", "recipe", "work", "reporter"} <= inspect.signature(load(TASKS[name].train)).parameters.keys()
    lasting = {leaf.option for leaf in leaves(load(TASKS[name].recipe)) if leaf.about.lasts}
    assert {"--seed", "--epochs", "--lr"} <= lasting
    assert not {"--workers", "--threads"} & lasting
    verb = next(verb for verb in TASKS[name].verbs if verb.path == training_verb(TASKS[name]))
    assert "goes on after the last finished epoch" in re.sub(r"\s+", " ", verb.load().__doc__)


def test_recipes_load_no_torch() -> None:
    modules = [TASKS[name].recipe.partition(":")[0] for name in TRAINED]
    code = f"import sys, {', '.join(modules)}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


@pytest.mark.parametrize("name", TRAINED)
def test_a_toy_size_runs_in_seconds_and_its_card_has_its_controls(name: str, tmp_path: Path) -> None:
    out, begun = tmp_path / "toy.safetensors", time.process_time()
    done = CliRunner().invoke(app, [*training_verb(TASKS[name]).split(), "--toy", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert time.process_time() - begun < 60
    assert all(path.name.startswith("toy.") for path in tmp_path.iterdir())
    assert next(load_model(weights=out).model.parameters()).isfinite().all()
    card = out.with_suffix(".md").read_text(encoding="utf-8")
    assert [words for words in TASKS[name].controls if words not in card] == []
    assert re.search(rf"sightline {training_verb(TASKS[name])} .*--toy", card), "the card names another command"
