"""Groups of verbs that are imported when they are used, and what becomes of an error.

Exit codes: 0 done, 1 an error that one sentence explains, 2 wrong usage, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from sightline.common.files import cannot_write
from sightline.errors import SightlineError
from sightline.renamed import WORKING, renamed
from sightline.terminal.flatten import flattened
from sightline.terminal.screen import say_error, say_note, say_stopped, steady

Tree = dict[str, Any]
"""Verbs by their first word: `module:function`, or a tree for a word that has verbs of its own."""
WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EFBIG, errno.EIO)
"""Errors of the system that are nobody's mistake in the code: full disks, quotas, permissions."""
SETTINGS: dict[str, Any] = {
    "add_completion": False,
    "pretty_exceptions_enable": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}


USAGE: Any = typer.BadParameter.__base__
"""What Typer raises at wrong usage, an unknown option among it."""


class Commands(Mapping[str, Any]):
    """The verbs of a tree; each is imported when it is run, or when its help is shown.

    Args:
        tree: what they are made of.
    """

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._built: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._tree and (new := renamed(name, self._tree)):
            raise USAGE(f"the verb {name!r} is called {new!r} now")
        entry = self._tree[name]
        if name not in self._built:
            self._built[name] = _built(name, entry)
        return self._built[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tree)

    def __len__(self) -> int:
        return len(self._tree)


class Root(TyperGroup):
    """The group of all verbs; our errors end as one sentence, Ctrl-C as another."""

    def invoke(self, ctx: Any) -> Any:
        """Run the verb that was asked for."""
        steady()
        try:
            return super().invoke(ctx)
        except USAGE as problem:
            raise _with_new_name(problem) from None
        except SightlineError as problem:
            say_error(str(problem))
            raise typer.Exit(1) from problem
        except OSError as problem:
            if problem.errno == errno.EPIPE:  # whoever read the output has gone; that is no error
                raise
            if problem.errno in WRITING:
                say_error(cannot_write(problem.filename or "the disk", problem))
            else:  # a name that the system refuses, a loop of links, a device that is gone
                say_error(f"cannot use {str(problem.filename or 'a file')!r}: {problem.strerror or problem}")
            raise typer.Exit(1) from problem
        except KeyboardInterrupt as stop:
            say_stopped()
            raise typer.Exit(130) from stop


def planted(paths: Mapping[str, str]) -> Tree:
    """Verbs by their paths, such as `train eat`, as a tree.

    Example:
        >>> planted({"explain": "a:b", "train eat": "c:d"})
        {'explain': 'a:b', 'train': {'eat': 'c:d'}}
    """
    tree: Tree = {}
    for path, target in paths.items():
        *words, last = path.split()
        branch = tree
        for word in words:
            if isinstance(branch.get(word), str):  # a verb that has verbs of its own: `explain` and `explain clicks`
                branch[word] = {"": branch[word]}
            branch = branch.setdefault(word, {})
        if isinstance(branch.get(last), dict):
            branch[last][""] = target
        else:
            branch[last] = target
    return tree


GROUP_HELP = {
    "world": "Generated bird worlds with a known answer.",
    "gates": "Attention modules that are built into a network.",
    "train": "Train a network.",
    "events": "Events in video with sound: where the cue is seen and when the sound is.",
    "audit": "Weaknesses of a network and of its data.",
    "predict": "Predictions of a trained network.",
}
"""What the words say that have verbs of their own."""


def _group(name: str, tree: Tree) -> Any:
    app = typer.Typer(no_args_is_help=True, help=GROUP_HELP.get(name, f"Verbs that {name}."), **SETTINGS)
    app.callback()(_nothing)
    group: Any = without_types(typer.main.get_command(app))
    group.name = name
    group.commands = Commands(tree)
    return group


def _nothing() -> None:
    """What a word does by itself that has verbs of its own."""


def _built(name: str, entry: Any) -> Any:
    if not isinstance(entry, dict):
        return _command(name, entry)
    return _with_verbs(name, entry) if "" in entry else _group(name, entry)


def _with_verbs(name: str, tree: Tree) -> Any:
    """A verb that has verbs of its own; it is what runs where its first argument is none of them."""
    command, verbs = _command(name, tree[""]), Commands({word: entry for word, entry in tree.items() if word})
    own = command.make_context

    def make_context(info_name: str | None, args: list[str], parent: Any = None, **more: Any) -> Any:
        if args and args[0] in verbs:
            return verbs[args[0]].make_context(f"{info_name} {args[0]}", args[1:], parent=parent, **more)
        return own(info_name, args, parent=parent, **more)

    command.make_context, command.further = make_context, verbs
    command.epilog = "Further verbs: " + ", ".join(f"sightline {name} {word}" for word in verbs) + "."
    return command


def _command(name: str, target: str) -> Any:
    module, _, function = target.partition(":")
    verb: Callable[..., None] = getattr(import_module(module), function)
    app = typer.Typer(**SETTINGS)
    app.command(name)(flattened(verb))
    return _with_old_options(without_types(typer.main.get_command(app)))


def _with_old_options(command: Any) -> Any:
    """The same command; it takes the old names of some options too, with a note."""
    own, known = command.make_context, {name for parameter in command.params for name in parameter.opts}

    def make_context(info_name: str | None, args: list[str], parent: Any = None, **more: Any) -> Any:
        return own(info_name, [_as_now(word, known) for word in args], parent=parent, **more)

    command.make_context = make_context
    return command


def _as_now(word: str, known: set[str]) -> str:
    """A word of the command line; an old option that still works becomes its new one."""
    option, sign, value = word.partition("=")
    old = option.removeprefix("--")
    if not option.startswith("--") or option in known or old not in WORKING or not (new := renamed(option, known)):
        return word
    say_note(f"the option {option} is called {new} now")
    return f"{new}{sign}{value}"


def without_types(command: Any) -> Any:
    """The same command; its flags, `--help` among them, and its arguments show no type."""
    for parameter in command.params:
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
        elif parameter.param_type_name == "argument":
            parameter.display_type_rich = lambda ctx: None
    own = command.get_help_option

    def get_help_option(ctx: Any) -> Any:
        option = own(ctx)
        if option is not None:
            option.metavar = ""
        return option

    command.get_help_option = get_help_option
    return command


def _with_new_name(problem: Any) -> Any:
    """What is wrong with the usage; where an option has another name now, that name."""
    option, ctx = getattr(problem, "option_name", None), problem.ctx
    options = [name for parameter in ctx.command.params for name in parameter.opts] if option and ctx else []
    if option and (new := renamed(option, options)):
        return USAGE(f"the option {option} is called {new} now", ctx=ctx)
    return problem
