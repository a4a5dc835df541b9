"""`sightline`: the console script and its verbs: the core's from here, a task's from the registry of tasks.

Importing this file must stay quick: no torch, no package of ours but its errors and the terminal.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sightline._version import __version__
from sightline.common.steps import listening
from sightline.errors import SightlineError
from sightline.terminal.screen import say_error
from sightline.terminal.tasks import TASKS
from sightline.terminal.verbs import SETTINGS, Commands, Root, planted, without_types

CORE = {
    "explain": "sightline.cli.explain:explain",
    "evaluate": "sightline.cli.evaluate:evaluate",
    "models": "sightline.cli.models:models",
    "methods": "sightline.cli.methods:methods",
    "layers": "sightline.cli.layers:layers",
    "doctor": "sightline.cli.doctor:doctor",
    "world render": "sightline.cli.world:render",
    "world cues": "sightline.cli.world:cues",
    "world measure": "sightline.cli.world:measure",
    "world sheet": "sightline.cli.world:sheet",
    "world certify": "sightline.cli.world:certify",
    "gates sites": "sightline.cli.gates:sites",
    "gates list": "sightline.cli.gates:kinds",
    "gates show": "sightline.cli.gates:show",
}


class Sightline(Root):
    """All verbs."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        without_types(self)
        self.commands: Any = Commands(planted({**CORE, **_task_verbs()}))


def _task_verbs() -> dict[str, str]:
    """The tasks' verbs; where the tasks cannot be read, that is said and `doctor` is still there."""
    try:
        return {verb.path: verb.target for task in TASKS.values() for verb in task.verbs}
    except SightlineError as problem:
        say_error(str(problem))
        return {}


app = typer.Typer(cls=Sightline, no_args_is_help=True, **SETTINGS)


def _version(flag: bool) -> None:
    if flag:
        typer.echo(f"sightline {__version__}")
        raise typer.Exit()


@app.callback()
def _sightline(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version and leave.")
    ] = False,
) -> None:
    """See where a neural network looks: at every layer, for any decision it makes."""


def main() -> None:
    """Entry point of the console script."""
    with listening(lambda *_: None):  # its verbs have bars of their own
        app(prog_name="sightline")
