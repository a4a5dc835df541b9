"""`sightline`: the console script, its verbs, and what becomes of an error.

Exit codes: 0 done, 1 an error that one sentence explains, 2 wrong usage, 130 stopped by Ctrl-C.
Importing this file must stay quick: no torch, no room of the house but its errors.
"""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from sightline._version import __version__
from sightline.cli import doctor, evaluate, explain, methods, models
from sightline.cli import layers as layers
from sightline.errors import SightlineError
from sightline.terminal.screen import say_error, say_stopped

GROUPS = {
    "world": "sightline.cli.world",
    "gates": "sightline.cli.gates",
    "train": "sightline.cli.train",
    "audit": "sightline.tasks.attributes.audit.command",
}
"""Verbs with verbs of their own, each an `app` in its file."""


class Verbs(TyperGroup):
    """The group of all verbs; errors of the house end as one sentence, Ctrl-C as another."""

    def invoke(self, ctx: Any) -> Any:
        """Run the verb that was asked for."""
        try:
            return super().invoke(ctx)
        except SightlineError as problem:
            say_error(str(problem))
            raise typer.Exit(1) from problem
        except KeyboardInterrupt as stop:
            say_stopped()
            raise typer.Exit(130) from stop


app = typer.Typer(
    cls=Verbs,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"sightline {__version__}")
        raise typer.Exit()


@app.callback()
def _sightline(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version and leave.")
    ] = False,
) -> None:
    """See where a neural network looks: at every layer, for any decision it makes."""


app.command("explain")(explain.explain)
app.command("evaluate")(evaluate.evaluate)
app.command("models")(models.models)
app.command("methods")(methods.methods)
app.command("layers")(layers.layers)
app.command("doctor")(doctor.doctor)
for _name, _module in GROUPS.items():
    app.add_typer(import_module(_module).app, name=_name)


def main() -> None:
    """Entry point of the console script."""
    app(prog_name="sightline")
