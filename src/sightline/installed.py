"""What of Sightline is installed: its entry points beside those that its source declares, and its extras.

An update of a source tree changes the entry points that it declares, not those that an earlier installation wrote
down; the two are compared here. It must not know what the entry points are for.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from importlib.metadata import EntryPoint
from pathlib import Path

DISTRIBUTION = "sightline"
PREFIX = "sightline."
"""How the names of our groups of entry points begin."""


def is_ours(point: EntryPoint) -> bool:
    """Whether an entry point is Sightline's own, not that of another package."""
    return point.dist is not None and point.dist.name.lower() == DISTRIBUTION


@cache
def declared() -> tuple[EntryPoint, ...]:
    """The entry points that the `pyproject.toml` beside the source declares; none where there is no source tree."""
    file = Path(__file__).parents[2] / "pyproject.toml"
    if not file.is_file():
        return ()
    project = tomllib.loads(file.read_text(encoding="utf-8")).get("project", {})
    if project.get("name") != DISTRIBUTION:
        return ()
    groups = project.get("entry-points", {})
    return tuple(EntryPoint(name, value, group) for group in groups for name, value in groups[group].items())


def entries() -> list[EntryPoint]:
    """Every entry point of our groups that is installed, of whatever package."""
    groups = sorted(group for group in metadata.entry_points().groups if group.startswith(PREFIX))
    return [point for group in groups for point in metadata.entry_points(group=group)]


def missing(points: Iterable[EntryPoint], group: str | None = None) -> list[EntryPoint]:
    """Entry points that the source declares, in one group or in all, and that are not among those installed."""
    # Whose they are is not asked: that would parse the metadata of every package at each start of the command line.
    known = {(point.group, point.name, point.value) for point in points}
    wanted = [point for point in declared() if group in (None, point.group)]
    return [point for point in wanted if (point.group, point.name, point.value) not in known]


def cure(problem: Exception | None = None) -> str:
    """What to do where one of our own entry points is not there or, for this reason, cannot be loaded."""
    package = problem.name.partition(".")[0] if isinstance(problem, ModuleNotFoundError) and problem.name else ""
    for extra, packages in extras().items():
        if package and package.lower() in [name.lower().replace("-", "_") for name in packages]:
            return f"pip install '{DISTRIBUTION}[{extra}]'"
    return "pip install -e ." if declared() else f"pip install --force-reinstall {DISTRIBUTION}"


def extras() -> dict[str, list[str]]:
    """The packages that each extra brings."""
    try:
        requirements = metadata.requires(DISTRIBUTION) or ()
    except metadata.PackageNotFoundError:
        return {}
    packages: dict[str, list[str]] = {}
    for requirement in requirements:
        package = re.match(r"[A-Za-z0-9._-]+", requirement)
        extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)", requirement)
        if package and extra and package[0] != DISTRIBUTION:
            packages.setdefault(extra[1], []).append(package[0])
    return packages
