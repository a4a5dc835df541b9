"""Print the pinned version of every package that the `test` extra needs, directly or not, as it is installed here.

    python .ci/constraints.py > constraints.txt

Versions only, no addresses. Packages that other Pythons and systems need are pinned where they are installed.
"""

from __future__ import annotations

import sys
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def closure(root: str, extras: frozenset[str]) -> dict[str, str]:
    """Name to version of all that `root` needs with these extras; `root` itself is left out."""
    found: dict[str, str] = {}
    waiting, seen = [(root, extras)], set()
    while waiting:
        name, wanted = waiting.pop()
        if (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        try:
            package = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            sys.exit(f"{name} is not installed; install the test extra first")
        if name != root:
            found[name] = package.version
        waiting += _needs(package, wanted)
    return found


def _needs(package: metadata.Distribution, extras: frozenset[str]) -> list[tuple[str, frozenset[str]]]:
    requirements = [Requirement(text) for text in package.requires or ()]
    return [
        (canonicalize_name(need.name), frozenset(need.extras))
        for need in requirements
        if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in ("", *extras))
    ]


if __name__ == "__main__":
    pins = closure("sightline", frozenset({"test"}))
    sys.stdout.write("# Made by: python .ci/constraints.py > constraints.txt\n")
    sys.stdout.writelines(f"{name}=={version}\n" for name, version in sorted(pins.items()))
