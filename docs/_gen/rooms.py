"""The tables of rooms in README and design.md, from what each package says of itself in its first line."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src" / "sightline"
LINKS = {
    "explainers": "docs/methods.md",
    "models": "docs/models.md",
    "metrics": "docs/metrics.md",
    "reports": "docs/reports.md",
    "cli": "docs/cli.md",
}
"""Pages that README's table leads to."""


def floors() -> list[str]:
    """The floors of the import contract, top floor first."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers: list[str] = project["tool"]["importlinter"]["contracts"][0]["layers"]
    return [layer.replace("sightline.", "") for layer in layers]


def first_line(package: Path) -> str:
    """What a package says of itself."""
    tree = ast.parse((package / "__init__.py").read_text(encoding="utf-8"))
    return (ast.get_docstring(tree) or "").partition("\n")[0]


def rooms() -> list[str]:
    """All rooms from the top floor down, and behind `tasks` each task."""
    names = [name for floor in floors() for name in floor.split(" | ") if (SRC / name).is_dir()]
    tasks = sorted(f"tasks/{path.parent.name}" for path in (SRC / "tasks").glob("*/__init__.py"))
    at = names.index("tasks") + 1
    return [*names[:at], *tasks, *names[at:]]


def table(*, linked: bool) -> str:
    """Every room and its first line as a Markdown table."""
    rows = [f"| {_name(room, linked=linked)} | {first_line(SRC / room)} |" for room in rooms()]
    return "\n".join(["| package | what it is for |", "|---|---|", *rows])


def _name(room: str, *, linked: bool) -> str:
    return f"[`{room}`]({LINKS[room]})" if linked and room in LINKS else f"`{room}`"


def filled(page: Path) -> str:
    """A page with what stands between its marks `<!-- rooms -->` and `<!-- /rooms -->` made anew."""
    text = page.read_text(encoding="utf-8")
    made = f"<!-- rooms -->\n\n{table(linked=page.name == 'README.md')}\n\n<!-- /rooms -->"
    return re.sub(r"<!-- rooms -->.*?<!-- /rooms -->", lambda _: made, text, flags=re.DOTALL)
