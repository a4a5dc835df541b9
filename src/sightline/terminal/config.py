"""`--config FILE.toml`: options from a file, under their own names; the command line beats the file."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from sightline.common.reading import is_there, read_toml
from sightline.errors import InputError, near
from sightline.renamed import renamed
from sightline.terminal.screen import say_note


def reading(library: Path | None = None) -> Callable[[typer.Context, Path | None], Path | None]:
    """What lets a file's values stand where defaults stood.

    Args:
        library: a folder of files that may be asked for by their names alone.
    """

    def read(ctx: typer.Context, path: Path | None) -> Path | None:
        if path is not None and not ctx.resilient_parsing:
            _read(ctx, _resolve(path, library))
        return path

    return read


def _resolve(path: Path, library: Path | None) -> Path:
    """The file, or the one of the package that has this name.

    Raises:
        InputError: there is neither.
    """
    if library is None or path.name != str(path) or is_there(path, "configuration"):
        return path
    if (ours := library / f"{path.name.removesuffix('.toml')}.toml").is_file():
        return ours
    names = sorted(one.stem for one in library.glob("*.toml"))
    raise InputError(f"there is no configuration {str(path)!r}, neither a file nor a name; {near(path.name, names)}")


def _read(ctx: typer.Context, path: Path) -> None:
    """Let the file's values stand where defaults stood.

    Raises:
        InputError: the file cannot be read, or names an option that there is not.
    """
    content = read_toml(path, "configuration")
    options = _options(ctx)
    values: dict[str, Any] = {}
    for key, value in content.items():
        name = key.replace("_", "-")
        if name not in options and (new := renamed(name, options)):  # the file may be older than the name
            say_note(f"the configuration {str(path)!r} sets {key!r}, which is called {new!r} now")
            name = new
        if name not in options or name == "config":
            raise InputError(
                f"the configuration {str(path)!r} sets {key!r}, which is not an option; {near(name, options)}"
            )
        if isinstance(value, dict):
            raise InputError(
                f"the configuration {str(path)!r} has a table {key!r}; write every option on a line of its own"
            )
        values[options[name]] = value
    ctx.default_map = {**(ctx.default_map or {}), **values}


Config = Annotated[
    Path | None,
    typer.Option(
        "--config", callback=reading(), is_eager=True, help="TOML file of these options; the command line beats it."
    ),
]


def command_line(ctx: typer.Context) -> str:
    """The command with all that was not left to its default, wherever it was said."""
    words = ["sightline", *ctx.command_path.split()[1:]]
    for option, name in _options(ctx).items():
        value = ctx.params.get(name)
        source = ctx.get_parameter_source(name)
        if source is None or source.name == "DEFAULT" or option == "config":
            continue
        if value is True:
            words.append(f"--{option}")
        elif value is not False:
            for one in value if isinstance(value, list | tuple) else [value]:
                words += [f"--{option}", str(one)]
    return shlex.join(words)


def _options(ctx: typer.Context) -> dict[str, str]:
    """Name of every option without its dashes, and of its parameter."""
    return {
        option.removeprefix("--"): str(parameter.name)
        for parameter in ctx.command.params
        for option in parameter.opts
        if option.startswith("--") and option != "--help"
    }
