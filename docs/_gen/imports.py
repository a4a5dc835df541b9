"""Imports between the packages of `sightline`, counted: `python docs/_gen/imports.py [SRC]`."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import grimp


def package(module: str) -> str:
    """The package right below `sightline` that a module belongs to."""
    return module.split(".")[1] if "." in module else ""


def main() -> None:
    """Print the number of imports that lead from one package into another, and where they lead."""
    src = sys.argv[1] if len(sys.argv) > 1 else str(Path(__file__).resolve().parents[2] / "src")
    sys.path.insert(0, src)
    graph = grimp.build_graph("sightline", cache_dir=None, exclude_type_checking_imports=True)
    into: Counter[str] = Counter()
    circles = []
    for module in sorted(graph.modules):
        for other in graph.find_modules_directly_imported_by(module):
            if module < other and module in graph.find_modules_directly_imported_by(other):
                circles.append(f"{module} and {other}")
            if package(module) and package(other) and package(module) != package(other):
                into[package(other)] += 1
    print(f"{len(graph.modules)} files, {sum(into.values())} imports between packages")
    print(", ".join(f"{name} {count}" for name, count in into.most_common()))
    print(f"files that import each other: {'; '.join(circles) or 'none'}")


if __name__ == "__main__":
    main()
