"""Runs the `bash` blocks of a page: in order, in one fresh folder, at the toy sizes that `toy.py` names.

Commands of `sightline` run in this process; what a pipe does with their output is another program's. Every other
command must be in `toy.NOT_RUN`, with the reason.
"""

from __future__ import annotations

import re
import shlex
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sightline.cli.app import app
from tests.docs import toy
from tests.docs.conftest import ROOT

BLOCK = re.compile(r"^([ >]*)```(?:bash|sh|shell|console)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
PAGES = ("README.md", "CONTRIBUTING.md", "docs/**/*.md")
ADVICE = """
Each command of the page runs in one folder, in order, at toy size: see tests/docs/toy.py. A file that a command reads
is made there by its ending (GIVEN), an option that makes it small is set there (SIZES), a network that is quicker is
taken there (MODELS). A command that no test can run - it needs a GPU or a download - is listed in NOT_RUN with its
reason; anything else is a mistake in the page, or in the code."""


@dataclass(frozen=True)
class Line:
    """One command of a page, as it is written there."""

    page: str
    number: int
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.number}: {self.text}"

    @property
    def words(self) -> list[str]:
        """Its words, without comment, and without what a pipe or a redirection does with its output."""
        words = shlex.split(self.text, comments=True)
        ends = [place for place, word in enumerate(words) if word in ("|", ">", ">>", "2>")]
        return words[: min(ends, default=len(words))]


def pages() -> list[str]:
    """Every page that shows a command."""
    files = [path for pattern in PAGES for path in sorted(ROOT.glob(pattern))]
    names = [path.relative_to(ROOT).as_posix() for path in files]
    return [name for name in names if lines(name)]


def lines(page: str) -> list[Line]:
    """The commands of a page, in order; those that `&&` joins are several."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [line for block in BLOCK.finditer(text) for line in _of_block(page, text, block)]


def _configurations(page: str) -> list[tuple[str, str]]:
    """Names and contents of the TOML files that a page shows: a block that begins with `# NAME.toml`."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```toml\n(# ([\w-]+\.toml)\n.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [(name, content) for content, name in blocks]


def _of_block(page: str, text: str, block: re.Match[str]) -> Iterator[Line]:
    number = text[: block.start(2)].count("\n") + 1
    waiting, first = "", number
    for row in block[2].splitlines():
        waiting += row.removeprefix(block[1]).removesuffix("\\")
        if not row.endswith("\\"):
            yield from (Line(page, first, part) for part in _commands(waiting))
            waiting, first = "", number + 1
        number += 1


def _commands(text: str) -> list[str]:
    """What `&&` joins, without prompts, comments and empty lines."""
    parts = [part.strip().removeprefix("$ ") for part in text.split(" && ")]
    return [part for part in parts if part and not part.startswith("#")]


def run_page(page: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, Line]]:
    """Run all commands of a page; fails with every command that does not end well. Seconds and command of each."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "120")
    for name, content in _configurations(page):
        (folder / name).write_text(content, encoding="utf-8")
    problems, times = [], []
    for line in lines(page):
        start = time.perf_counter()
        if problem := _problem(line, folder, monkeypatch):
            problems.append(problem)
        times.append((time.perf_counter() - start, line))
    if problems:
        pytest.fail("\n\n".join(problems) + "\n" + ADVICE, pytrace=False)
    return times


def _problem(line: Line, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What went wrong with a command; empty where nothing did."""
    words = line.words
    if toy.not_run(line.text) is not None:
        return ""
    if words[:1] == ["export"]:
        name, _, value = words[1].partition("=")
        monkeypatch.setenv(name, value)
        return ""
    if words[:1] != ["sightline"]:
        return f"{line}\nis no command of sightline; list it in NOT_RUN with the reason"
    small = toy.small(words[1:])
    toy.make_given(small, folder)
    result = CliRunner().invoke(app, small)
    if result.exit_code == 0:
        return ""
    end = "" if isinstance(result.exception, SystemExit) else _trace(result.exc_info)
    return f"{line}\nran as: sightline {shlex.join(small)}\nexit code {result.exit_code}: {result.output[-800:]}{end}"


def _trace(about: object) -> str:
    return "".join(traceback.format_exception(*about)[-6:]) if isinstance(about, tuple) else ""
