"""What the command line writes: results on standard output, everything else on standard error.

Names of files and classes may hold anything; nothing that steers a terminal leaves this file. It must not know
what is being shown.
"""

from __future__ import annotations

import io
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sightline.common.text import json_text, printable, printable_name

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

PLAIN_WIDTH = 160
"""Columns of a table that does not go to a terminal."""


def steady() -> None:
    """Let what an output cannot write, such as a foreign letter under an old locale, be written out instead."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def out() -> Console:
    """Standard output."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH, highlight=False, markup=False, emoji=False)


def err() -> Console:
    """Standard error."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)


def say(text: str) -> None:
    """A line of a result on standard output."""
    out().print(printable(text), soft_wrap=True)


def say_error(text: str) -> None:
    """One sentence, in red where there is colour."""
    err().print(f"error: {printable(text)}", style="red")


def say_alarm(text: str) -> None:
    """A result that should stop a reader, bold and red where there is colour."""
    out().print(printable(text), style="bold red", soft_wrap=True)


def say_note(text: str) -> None:
    """Something worth knowing that is no error."""
    err().print(printable(text), style="dim")


def say_stopped() -> None:
    """What Ctrl-C leaves behind: nothing that is half there."""
    err().print("stopped, nothing half-written", style="yellow")


def say_json(content: Any) -> None:
    """JSON on standard output; numbers that JSON does not have become null."""
    sys.stdout.write(json_text(finite(content), indent=1) + "\n")


def finite(content: Any) -> Any:
    """The same content with NaN and infinities replaced by None."""
    if isinstance(content, dict):
        return {key: finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def say_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str = "") -> None:
    """A table on standard output; columns that begin with `>` are set to the right."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=Text(printable_name(title)) if title else None, box=SIMPLE_HEAD, title_justify="left", pad_edge=False
    )
    for column in columns:
        table.add_column(Text(column.lstrip(">")), justify="right" if column.startswith(">") else "left")
    for row in rows:
        table.add_row(*(Text("" if cell is None else printable_name(str(cell)), overflow="fold") for cell in row))
    out().print(table)


def progress() -> Progress:
    """A progress bar on standard error that goes away when done; a line now and then where that is no terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    if not sys.stderr.isatty():
        from sightline.terminal.lines import Lines

        return Lines()
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=err(),
        transient=True,
    )


@contextmanager
def picture_bar() -> Iterator[Callable[[int], None]]:
    """A bar of pictures that are read or drawn."""
    with progress() as bar:
        task = bar.add_task("pictures", total=None)
        yield lambda done: bar.update(task, advance=done)
