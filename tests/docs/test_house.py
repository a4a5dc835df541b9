"""What STYLE asks of the whole library, counted: public names, sizes of functions, pins, loading of weights."""

from __future__ import annotations

import ast
import re
import statistics
import sys
import tomllib
from importlib import import_module
from pathlib import Path

from tests.docs.conftest import ROOT

SRC = ROOT / "src" / "sightline"
TESTED = ("test", "captum", "video", "train", "audit", "docs")
LOCK = Path(__file__).with_name("public_names.txt")


def public_names() -> list[str]:
    """`room.name` of everything in an `__all__`, the package's own first."""
    rooms = ["sightline", *sorted(_rooms())]
    return [f"{room}.{name}" for room in rooms for name in sorted(import_module(room).__all__)]


def _rooms() -> list[str]:
    inits = [path for path in SRC.rglob("__init__.py") if path.parent != SRC]
    return [_module(path.parent) for path in inits if "__all__" in path.read_text(encoding="utf-8")]


def _module(path: Path) -> str:
    return ".".join(("sightline", *path.relative_to(SRC).parts))


def test_public_names_are_the_ones_on_the_list():
    listed = LOCK.read_text(encoding="utf-8").split()
    assert public_names() == listed, f"after a change on purpose: python -m tests.docs.test_house > {LOCK.name}"


def test_functions_are_small():
    sizes = sorted(node.end_lineno - node.lineno + 1 - _docstring(node) for node in _functions())
    assert statistics.median(sizes) <= 12
    assert sizes[int(0.9 * len(sizes))] <= 40


def _functions() -> list[ast.FunctionDef]:
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in SRC.rglob("*.py")]
    return [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def _docstring(function: ast.FunctionDef) -> int:
    text = ast.get_docstring(function, clean=False) is not None
    return function.body[0].end_lineno - function.body[0].lineno + 1 if text else 0


def test_no_file_says_to_load_a_pickle():
    loads = re.compile(r"torch\.load\((?![^)]*weights_only=True)|allow_pickle=True|pickle\.loads?\(")
    files = [path for room in ("src", "benchmarks", "docs") for path in (ROOT / room).rglob("*.py")]
    files += [path for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__)]
    assert not [path.name for path in files if loads.search(path.read_text(encoding="utf-8"))]


def test_every_direct_dependency_is_pinned_and_no_pin_holds_an_address():
    pins = [line for line in _lines(ROOT / "constraints.txt") if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9._-]*==[A-Za-z0-9.]+", pin) for pin in pins)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(need for name in TESTED for need in extras[name])]
    names = {re.match(r"[A-Za-z0-9._-]+", need)[0].lower() for need in wanted} - {"sightline"}
    assert names <= {pin.partition("==")[0] for pin in pins}


def test_no_checked_in_file_holds_an_address_of_a_registry():
    checked = [ROOT / name for name in ("constraints.txt", "pyproject.toml", ".pre-commit-config.yaml", ".ci/run")]
    assert not [
        path.name for path in checked if re.search(r"https?://|index-url|find-links", path.read_text("utf-8"))
    ]


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n")[:-1]


if __name__ == "__main__":
    sys.stdout.write("\n".join(public_names()) + "\n")
