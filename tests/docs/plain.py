"""User-facing text, collected: pages, help, strings of the source, docstrings of public names, templates."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

from tests.docs.conftest import ROOT
from tests.docs.test_house import SRC, public_names

DOCS = ROOT / "docs"
NOT_FOR_USERS = (
    "studies/",
    "theory/",
    "references.md",
    "errors.md",
    "renamed.md",
    "design.md",
    "reference.md",
    "howto/new-task.md",
)
"""Pages for researchers and builders, and pages to look things up."""

Text = tuple[str, str]
"""Where a text stands, and the text."""


def user_pages() -> list[Path]:
    """The pages for users."""
    pages = sorted(DOCS.rglob("*.md"))
    return [page for page in pages if not page.relative_to(DOCS).as_posix().startswith(NOT_FOR_USERS)]


def prose(text: str) -> str:
    """A page without blocks of code, quotations of studies, generated parts and comments."""
    text = re.sub(r"^( *)(```|~~~).*?^\1\2", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)


GENERATED = {
    "gallery.md": r"^!\[.*?$|^\*Made by.*?$",
    "methods.md": r"^## The matrix$.*",
    "models.md": r"^\|.*?$",
    "metrics.md": r"^\|.*?$",
    "": r"<!-- table: \w+ -->.*?<!-- end -->|<!-- summary: \w+ -->.*?<!-- summary end -->",
}
"""What of a page a program writes, or a study says in the same words, by the page's name; empty: of every page."""


UNCOUNTED = ("gallery.md", "tutorials/")
"""Pages of pictures and runs, whose words do not count."""


def words(page: Path) -> int:
    """How many words of prose people have to read on a page: no code, generated tables, figures or addresses."""
    text = page.read_text(encoding="utf-8")
    for pattern in (GENERATED[""], GENERATED.get(page.name)):
        text = re.sub(pattern, "", text, flags=re.MULTILINE | re.DOTALL) if pattern else text
    text = re.sub(r"\]\([^)]*\)|\$\$.*?\$\$", "", prose(text), flags=re.DOTALL)
    return len(re.findall(r"[A-Za-z][\w'-]*", text))


def pages() -> Iterator[Text]:
    """Prose of the README, of the pages for users, of the errors, and the newest section of the changelog."""
    for page in [ROOT / "README.md", DOCS / "errors.md", *user_pages()]:
        yield page.relative_to(ROOT).as_posix(), prose(page.read_text(encoding="utf-8"))
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    yield "CHANGELOG.md", re.split(r"^## ", changes, flags=re.MULTILINE)[1]


@cache
def strings() -> tuple[Text, ...]:
    """Texts in the source that are no docstring: errors, logs, help, what pages are made of."""
    return tuple(text for path in sorted(SRC.rglob("*.py")) for text in _strings_of(path))


def _strings_of(path: Path) -> Iterator[Text]:
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    parts = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    left_out = parts | {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and id(node) not in left_out):
            text = _constant(node)
            if " " in text.strip():
                yield f"{path.relative_to(ROOT).as_posix()}:{node.lineno}", text


def _constant(node: ast.AST) -> str:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(_constant(part) or "…" for part in node.values)
    return ""


def docstrings() -> Iterator[Text]:
    """Docstrings of public names and of the public members of classes among them."""
    for path in public_names():
        module, _, name = path.rpartition(".")
        item = getattr(import_module(module), name)
        yield path, _own_docstring(item)
        for member, value in vars(item).items() if inspect.isclass(item) else ():
            if not member.startswith("_"):
                yield f"{path}.{member}", _own_docstring(value)


def _own_docstring(item: object) -> str:
    ours = inspect.isroutine(item) or inspect.isclass(item) or isinstance(item, property)
    return (inspect.getdoc(item) or "") if ours else ""


def helps() -> Iterator[Text]:
    """Help of every verb and of its options and arguments."""
    import typer.main

    from sightline.cli.app import app

    waiting = [("sightline", typer.main.get_command(app))]
    while waiting:
        path, command = waiting.pop()
        yield f"{path} --help", command.help or ""
        for parameter in command.params:
            yield f"{path} {parameter.name}", getattr(parameter, "help", None) or ""
        waiting += [(f"{path} {name}", one) for name, one in getattr(command, "commands", {}).items()]


def templates() -> Iterator[Text]:
    """What the templates and scripts of pages say."""
    for path in sorted(SRC.rglob("*.j2")):
        text = re.sub(
            r"\{[{%#].*?[}%#]\}|<(script|style).*?</\1>|<[^>]*>", " ", path.read_text("utf-8"), flags=re.DOTALL
        )
        yield path.relative_to(ROOT).as_posix(), text
    for path in sorted(SRC.rglob("*.js")):
        for match in re.finditer(r"\"((?:[^\"\\\n]|\\.)*)\"|`([^`]*)`", path.read_text("utf-8")):
            text = match[1] or match[2] or ""
            if " " in text:
                yield path.relative_to(ROOT).as_posix(), re.sub(r"\$\{.*?\}", "…", text)
