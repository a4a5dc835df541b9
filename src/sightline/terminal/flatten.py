"""From settings to options: a verb that takes settings gets one option for each of them.

A verb is written as a function of a few settings, each a part of what can be asked for, shown under its own heading.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

import typer
from typer.models import OptionInfo

from sightline.common.settings import Leaf, Settings, leaves
from sightline.terminal.options import arguments_of, listed

Kind = TypeVar("Kind", bound=Settings)
SHORT = {"--data": "-d", "--model": "-m", "--out": "-o", "--target": "-t", "--weights": "-w"}
"""Short names; they mean the same in every verb."""


def flattened(verb: Callable[..., None]) -> Callable[..., None]:
    """The verb with one parameter for each setting of the settings that it takes.

    Args:
        verb: a function whose arguments are settings, or what Typer understands by itself.
    """
    hints = get_type_hints(verb, include_extras=True)
    parameters: dict[str, inspect.Parameter] = {}
    groups: dict[str, tuple[type[Settings], dict[str, Leaf]]] = {}
    for own in inspect.signature(verb).parameters.values():
        kind = hints[own.name]
        if isinstance(kind, type) and issubclass(kind, Settings):
            options = {leaf.name: leaf for leaf in leaves(kind) if not leaf.about.hidden}
            groups[own.name] = (kind, options)
            parameters |= {name: _parameter(leaf) for name, leaf in options.items()}
        else:
            parameters[own.name] = own.replace(annotation=_plain(kind), kind=inspect.Parameter.KEYWORD_ONLY)

    @wraps(verb)
    def run(**typed: Any) -> None:
        values = {name: _built(kind, options, typed) for name, (kind, options) in groups.items()}
        own = {
            name: value for name, value in typed.items() if not any(name in options for _, options in groups.values())
        }
        verb(**values, **own)

    run.__annotations__ = {name: parameter.annotation for name, parameter in parameters.items()}
    run.__signature__ = inspect.Signature(list(parameters.values()))  # type: ignore[attr-defined]
    return run


def _parameter(leaf: Leaf) -> inspect.Parameter:
    """A setting as an option or an argument that Typer understands."""
    about, kind, default = leaf.about, leaf.type, leaf.default
    if default is MISSING:
        default = inspect.Parameter.empty
    if about.parse is not None:
        kind, default = str | None, None
    elif _many(leaf):
        kind, default = list[str] | None, None
    flags, short = about.flags, SHORT.get(leaf.option)
    if short is not None and short not in flags:
        flags = (*(flags or (leaf.option,)), short)
    bounds: Any = {"min": about.low, "max": about.high} if kind in (int, float, int | None, float | None) else {}
    info: Any = (
        typer.Argument(help=about.help, metavar=about.metavar)
        if about.metavar
        else typer.Option(*flags, help=about.help, rich_help_panel=leaf.panel, metavar=_metavar(kind), **bounds)
    )
    annotation: Any = Annotated[kind, info]
    return inspect.Parameter(leaf.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _plain(kind: Any) -> Any:
    """The annotation of an option that a verb declares itself, with a plain word for its value."""
    for info in getattr(kind, "__metadata__", ()):
        if isinstance(info, OptionInfo) and info.metavar is None:
            info.metavar = _metavar(get_args(kind)[0])
    return kind


def _metavar(kind: Any) -> str:
    """What help shows of an option's value; nothing for a flag, which has none.

    Example:
        >>> _metavar(bool), _metavar(Path | None), _metavar(list[str] | None), _metavar(float)
        ('', '<path>', '<text>', '<number>')
    """
    kinds = {kind, *get_args(kind)}
    if bool in kinds:
        return ""
    return "<path>" if Path in kinds else "<number>" if kinds & {int, float} else "<text>"


def _built(kind: type[Kind], options: Mapping[str, Leaf], typed: Mapping[str, Any]) -> Kind:
    """The settings that were asked for."""
    values = {name: _value(leaf, typed[name]) for name, leaf in options.items()}
    own = {field.name: values.pop(field.name) for field in fields(kind) if field.name in values}
    return kind(**own).but(**values)


def _value(leaf: Leaf, typed: Any) -> Any:
    """From what was typed to a setting's value."""
    if leaf.about.parse is None and not _many(leaf):
        return typed
    if typed is None or typed == []:
        return leaf.default
    if leaf.about.parse is not None:
        return leaf.about.parse(typed)
    return arguments_of(typed) if isinstance(leaf.default, dict) else tuple(listed(typed))


def _many(leaf: Leaf) -> bool:
    """Whether the option may be repeated and hold commas, or `NAME=VALUE`."""
    return isinstance(leaf.default, dict | tuple)
