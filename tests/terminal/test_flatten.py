"""A verb of settings is a verb of flat options."""

from dataclasses import dataclass
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from sightline.cli.app import app
from sightline.common.settings import REQUIRED, Settings, setting
from sightline.renamed import NAMES, renamed
from sightline.terminal.flatten import flattened
from sightline.terminal.tasks import TASKS


@dataclass(frozen=True, kw_only=True)
class Part(Settings):
    """A part."""

    PANEL = "The part"

    size: int = setting(3, "Size of it.", low=1)
    names: tuple[str, ...] = setting(("all",), "Names.")
    args: dict[str, Any] = setting(dict, "NAME=VALUE.", "--arg")
    places: tuple[int, ...] | None = setting(None, "Places.", parse=lambda text: tuple(map(int, text.split("+"))))
    secret: int = setting(7, "Hidden.", hidden=True)


@dataclass(frozen=True, kw_only=True)
class Whole(Settings):
    """Parts."""

    part: Part = Part(size=5)


@dataclass(frozen=True, kw_only=True)
class Needed(Settings):
    """Something that must be said."""

    out: str = setting(REQUIRED, "Where to.")


def asked(*words: str) -> tuple[Any, ...]:
    """What a verb gets, or its exit code and output."""
    taken: list[Any] = []

    def verb(whole: Whole, needed: Needed, more: bool = False) -> None:
        taken.append((whole.part, needed.out, more))

    one = typer.Typer()
    one.command()(flattened(verb))
    done = CliRunner().invoke(one, list(words), env={"COLUMNS": "120", "NO_COLOR": "1"})
    return taken[0] if taken else (done.exit_code, done.output)


def test_options_reach_the_part_that_they_belong_to() -> None:
    part, out, more = asked("--out", "x", "--names", "a,b", "--arg", "k=2", "--places", "1+2", "--more")
    assert part == Part(size=5, names=("a", "b"), args={"k": 2}, places=(1, 2))
    assert (out, more) == ("x", True)


def test_what_is_not_said_keeps_the_default_of_the_whole() -> None:
    assert asked("--out", "x")[0] == Part(size=5)


def test_bounds_required_options_and_hidden_ones_are_known_to_the_command_line() -> None:
    assert asked("--out", "x", "--size", "0")[0] == 2
    assert asked()[0] == 2
    assert asked("--out", "x", "--secret", "1")[0] == 2
    code, text = asked("--help")
    assert code == 0
    assert "The part" in text
    assert "Size of it." in text
    assert "[default: 5]" in text
    assert "secret" not in text


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["train", "classify", "--out", "x.safetensors", "--rate", "1"], "--rate is called --lr now"),
        (["train", "birdnet", "--out", "x.safetensors", "--loose", "1"], "--loose is called --random-scenes now"),
        (["evaluate", ".", "--place", "late"], "--place is called --depth now"),
        (["gates", "search", "--data", ".", "--log", "x", "--spread", "ray"], "--spread is called --executor now"),
        (["explain", "--stages", "last"], "--stages is called --layers now"),
        (["stages"], "'stages' is called 'layers' now"),
    ],
)
def test_an_old_name_is_answered_with_its_new_one(words: list[str], text: str) -> None:
    done = CliRunner().invoke(app, words, env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert done.exit_code == 2
    assert text in done.output


def test_every_new_name_is_one_that_some_verb_or_method_has() -> None:
    import typer.main

    from sightline.explainers import METHODS

    known: set[str] = {*METHODS, "model-arg"}
    branches = [typer.main.get_command(app)]
    while branches:
        command = branches.pop()
        held = getattr(command, "commands", {})
        known |= set(held)
        branches += held.values()
        known |= {name.lstrip("-") for parameter in command.params for name in parameter.opts}
    assert {new for several in NAMES.values() for new in several} <= known


def test_an_old_keyword_is_answered_with_its_new_one() -> None:
    import sightline

    with pytest.raises(TypeError, match=r"explain\(\) has no argument 'stages'; it is called 'layers' now"):
        sightline.explain(None, None, stages="last")  # type: ignore[arg-type, call-arg]
    assert renamed("relevance", ["lrp"]) == "lrp"


def test_every_name_of_a_task_leads_somewhere() -> None:
    pytest.importorskip("lightning")
    from sightline.terminal.tasks import load

    for task in TASKS.values():
        for target in filter(None, (*(verb.target for verb in task.verbs), task.recipe, task.train)):
            assert callable(load(target)), target
        if task.recipe:
            recipe = load(task.recipe)()
            names = [leaf.name for leaf in leaves_of(recipe)]
            assert len(names) == len(set(names)), "two options of one name"
            assert all(leaf.about.help.endswith(".") for leaf in leaves_of(recipe))
            assert recipe.toy() == recipe.toy()


def leaves_of(recipe: Settings) -> list[Any]:
    from sightline.common.settings import leaves

    return list(leaves(recipe))
